"""Choose from a published set that was read: repeats left out, then classes and a number of pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.rows import Row, fitted_row
from ctlr.errors import DataError
from ctlr.specs import CollectionSpec, Exclusion, PreprocessSpec

__all__ = ["Collection", "Rows", "choose"]


class Rows(NamedTuple):
    """All pictures of a set, in its order."""

    names: list[str]
    pixels: Sequence[NDArray[np.uint8]]
    """(H, W) or (H, W, 3) each."""
    originals: Sequence[NDArray[np.uint8]]
    """What they were made from: equal ones are one picture."""
    codes: NDArray[np.int64]
    """Place of each one's class in `CollectionSpec.held`."""


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

    def row(self, image: IndexedImage, options: PreprocessSpec) -> Row:
        """Preprocess one picture; it lies in no file below a root."""
        return fitted_row(Image.fromarray(self.pixels[image.file]), self.digests[image.file], options)


def choose(spec: CollectionSpec, rows: Rows) -> Collection:
    """Choose from a set.

    A picture that stands in the set twice is left out the second time, before anything is chosen: so two datasets with
    different classes of one set never share a picture. Each is a subject of its own.

    Raises:
        DataError: The set holds no picture of a class that is asked for.
    """
    names, pixels, originals, codes = rows
    digests = [hashlib.sha256(f"{picture.shape} ".encode() + picture.tobytes()).hexdigest() for picture in originals]
    first: dict[str, int] = {}
    for row, digest in enumerate(digests):
        first.setdefault(digest, row)
    once = np.zeros(len(names), bool)
    once[list(first.values())] = True
    classes = list(spec.held())
    chosen = _chosen(spec, codes, once)
    wanted = {code for code, name in enumerate(classes) if spec.classes is None or name in spec.classes}
    images = [
        IndexedImage(subject=names[row].replace("/", "-"), file=names[row], columns={"class": classes[codes[row]]})
        for row in chosen
    ]
    repeats = [
        Exclusion(place=names[row], reason="this picture stands in the set before; the first one is kept.")
        for row in np.flatnonzero(~once)
        if codes[row] in wanted
    ]
    return Collection(
        listing=Listing(root=Path(), images=tuple(images), left_out=tuple(repeats)),
        pixels={names[row]: pixels[row] for row in chosen},
        digests={names[row]: digests[row] for row in chosen},
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
