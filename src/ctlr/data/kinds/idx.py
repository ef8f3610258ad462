"""Sets in IDX files: labels are read to list them, pictures when they are stored."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ctlr.data.idx import DAMAGED, idx_shape, parse_idx
from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.reader import Images, Progress
from ctlr.errors import DataError
from ctlr.specs import IdxPair, IdxSpec, Measured, PreprocessSpec, idx_pairs
from ctlr.workspace import Workspace

if TYPE_CHECKING:  # numpy is slow to load, and a plan reads no picture
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["IdxReader"]


class IdxReader:
    """Reads the pairs of files of a folder; each picture is a subject."""

    def __init__(self, spec: IdxSpec, listing: Listing | None = None) -> None:
        self.spec = spec
        self._listing = listing

    def listing(self) -> Listing:
        """Every picture that was asked for, with its class, and the side where each file's name says one."""
        if self._listing is None:
            root, _ = self.files()
            pairs = list(idx_pairs(root))
            sided = all(pair.side for pair in pairs)
            images = [
                IndexedImage(
                    subject=f"{pair.name}-{number:06d}", file=f"{pair.name}/{number:06d}",
                    columns={"class": self._class(pair, label)} | ({"split": pair.side} if sided else {}),
                )
                for pair in pairs
                for number, label in self._chosen(_labels(root, pair))
            ]  # fmt: skip
            self._listing = Listing(root=root, images=tuple(images))
        return self._listing

    def files(self) -> tuple[Path, list[str]]:
        """Pictures and labels.

        Raises:
            DataError: One is missing; says which.
        """
        root = Path(self.spec.root)
        if fault := self.spec.fault_of_root({"root": root.name}, root):
            raise DataError(fault)
        return root, [file for pair in idx_pairs(root) for file in (pair.images, pair.labels)]

    def look_at_files(self) -> None:
        """Look whether they hold the pictures that they say."""
        root, _ = self.files()
        for pair in idx_pairs(root):
            _pictures(root, pair)

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """The options and the files."""
        return self.spec.model_dump_json(exclude={"name", "root"}), json.dumps(sorted(digests.items()))

    def measure(self, image: IndexedImage) -> Measured:
        """Of all pictures of its file."""
        root, name = self.listing().root, image.file.rpartition("/")[0]
        pair = next(pair for pair in idx_pairs(root) if pair.name == name)
        with _opened(root, pair.images) as stream:
            return Measured(shape=idx_shape(stream.read(16), 3)[1:])

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Read the set into memory."""
        from PIL import Image

        from ctlr.data.picture import picture_digest
        from ctlr.data.rows import Row, fitted_row

        listing, options = self.listing(), self.spec.preprocess
        assert isinstance(options, PreprocessSpec)
        pixels = {pair.name: _pictures(listing.root, pair) for pair in idx_pairs(listing.root)}

        def row(image: IndexedImage) -> Row:
            name, _, number = image.file.rpartition("/")
            picture = Image.fromarray(pixels[name][int(number)])
            return fitted_row(picture, picture_digest(picture), options)

        return Images(listing, row)

    def _class(self, pair: IdxPair, label: int) -> str:
        names = self.spec.names
        if names is None:
            return str(label)
        if label >= len(names):
            raise DataError(f"{pair.labels}: `names` names {len(names)} classes, and there is a label {label}. Add it.")
        return names[label]

    def _chosen(self, labels: bytes) -> Iterator[tuple[int, int]]:
        """Number and label of the pictures that are kept, in their order."""
        if self.spec.per_class is None:
            yield from enumerate(labels)
            return
        of_class: dict[int, list[int]] = defaultdict(list)
        for number, label in enumerate(labels):
            of_class[label].append(number)
        kept = set[int]()
        for label, numbers in of_class.items():
            random.Random(1000 * self.spec.seed + label).shuffle(numbers)
            kept.update(numbers[: self.spec.per_class])
        yield from ((number, label) for number, label in enumerate(labels) if number in kept)


def _labels(root: Path, pair: IdxPair) -> bytes:
    """Labels of the pictures of a pair, as many as there are pictures."""
    with _opened(root, pair.labels) as stream:
        (count,) = idx_shape(stream.read(8), 1)
        labels = stream.read(count + 1)
    if len(labels) != count:
        raise DataError(f"{pair.labels} must hold {count} labels, as it says; it holds {len(labels)}. Fetch it again.")
    with _opened(root, pair.images) as stream:
        pictures, *sides = idx_shape(stream.read(16), 3)
    if pictures != count or not all(sides):
        raise DataError(
            f"{pair.images} and {pair.labels} must hold as many pictures as labels; they hold {pictures} and {count}. "
            "Fetch them again."
        )
    return labels


def _pictures(root: Path, pair: IdxPair) -> NDArray[np.uint8]:
    with _opened(root, pair.images) as stream:
        return parse_idx(stream, 3)


@contextmanager
def _opened(root: Path, file: str) -> Iterator[BinaryIO]:
    """A file, unpacked where it is gzipped; what is damaged in it is named."""
    try:
        if file.endswith(".gz"):
            with gzip.open(root / file) as packed:
                yield cast("BinaryIO", packed)
        else:
            with (root / file).open("rb") as plain:
                yield plain
    except DAMAGED as error:
        raise DataError(f"{file} must be an idx file of bytes; it is not ({error}). Fetch it again.") from error
