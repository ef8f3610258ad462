"""Published sets of pictures: read whole, repeats left out, classes and a number of pictures chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctlr.config import missing_files
from ctlr.data.listing import IndexedImage, Listing
from ctlr.errors import DataError
from ctlr.specs import PUBLISHED, CollectionSpec, DigitsSpec, Exclusion, TorchvisionSpec

__all__ = ["Collection", "files_of", "read_collection"]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A published set in memory.

    Attributes:
        listing: The pictures that were asked for.
        pixels: By `file` of a listed picture: (H, W) or (H, W, 3).
        digests: By the same: what the gate against leaks compares.
    """

    listing: Listing
    pixels: dict[str, NDArray[np.uint8]]
    digests: dict[str, str]


def files_of(spec: CollectionSpec) -> tuple[Path, list[str]]:
    """The folder and the files whose content decides what is read; none for what comes with a package.

    Raises:
        DataError: One is missing; says which, and where to get it.
    """
    if not isinstance(spec, TorchvisionSpec):
        return Path(), []
    root, published = Path(spec.root), PUBLISHED[spec.set]
    if missing := missing_files(spec.set, root):
        raise DataError(f"{spec.set!r} {missing}")
    candidates = [name for file in published.files for name in (file, f"{file}.gz")]
    there = [name for name in candidates if (root / name).is_file()]
    return root, there if len(there) >= len(published.files) else [*there, published.archive]


def read_collection(spec: CollectionSpec) -> Collection:
    """Read a set and choose from it.

    A picture that stands in the set twice is left out the second time, before anything is chosen: so two datasets with
    different classes of one set never share a picture. Each is a subject of its own.

    Raises:
        DataError: A file is missing, or holds something else; names it.
    """
    files_of(spec)
    names, pixels, originals, codes = _digits(spec) if isinstance(spec, DigitsSpec) else _torchvision(spec)
    digests = [hashlib.sha256(f"{picture.shape} ".encode() + picture.tobytes()).hexdigest() for picture in originals]
    first: dict[str, int] = {}
    for row, digest in enumerate(digests):
        first.setdefault(digest, row)
    once = np.zeros(len(names), bool)
    once[list(first.values())] = True
    classes = list(spec.held())
    rows = _chosen(spec, codes, once)
    wanted = {code for code, name in enumerate(classes) if spec.classes is None or name in spec.classes}
    images = [
        IndexedImage(subject=names[row].replace("/", "-"), file=names[row], columns={"class": classes[codes[row]]})
        for row in rows
    ]
    repeats = [
        Exclusion(place=names[row], reason="this picture stands in the set before; the first one is kept.")
        for row in np.flatnonzero(~once)
        if codes[row] in wanted
    ]
    return Collection(
        listing=Listing(root=Path(), images=tuple(images), repeats=tuple(repeats)),
        pixels={names[row]: pixels[row] for row in rows},
        digests={names[row]: digests[row] for row in rows},
    )


def _chosen(spec: CollectionSpec, codes: NDArray[np.int64], once: NDArray[np.bool_]) -> list[int]:
    """Rows in the order of the set; each class is drawn by itself, so that other classes do not change what it gets."""
    rows: list[int] = []
    for code, name in enumerate(spec.held()):
        if spec.classes is not None and name not in spec.classes:
            continue
        found = np.flatnonzero((codes == code) & once)
        if not len(found):
            raise DataError(f"the files hold no picture of class {name!r}. Leave it out of `classes`, or fetch them.")
        drawn = np.random.default_rng([spec.seed, code]).permutation(found)[: spec.per_class]
        rows += drawn.tolist()
    return sorted(rows)


_Rows = tuple[list[str], Sequence[NDArray[np.uint8]], Sequence[NDArray[np.uint8]], NDArray[np.int64]]
"""Names, pictures, what they were made from, and codes."""


def _digits(spec: DigitsSpec) -> _Rows:
    from ctlr.data.digits import read_digits  # scikit-learn is slow to load

    pixels, plain, codes = read_digits(spec.domain)
    return [f"digit/{number:04d}" for number in range(len(codes))], list(pixels), list(plain), codes


def _torchvision(spec: CollectionSpec) -> _Rows:
    assert isinstance(spec, TorchvisionSpec)
    parts = _cifar10(Path(spec.root)) if spec.set == "cifar10" else _emnist(Path(spec.root))
    names = [f"{part}/{number:06d}" for part, _, codes in parts for number in range(len(codes))]
    pictures = [picture for _, pixels, _ in parts for picture in pixels]
    return names, pictures, pictures, np.concatenate([codes for _, _, codes in parts])


_Part = tuple[str, NDArray[np.uint8], NDArray[np.int64]]


def _cifar10(root: Path) -> list[_Part]:
    from ctlr.data.cifar import read_batch

    return [(Path(file).name, *read_batch(root / file)) for file in PUBLISHED["cifar10"].files]


def _emnist(root: Path) -> list[_Part]:
    from ctlr.data.emnist import read_part

    train_images, train_labels, test_images, test_labels = PUBLISHED["emnist-balanced"].files
    return [
        ("train", *read_part(root, train_images, train_labels)),
        ("test", *read_part(root, test_images, test_labels)),
    ]
