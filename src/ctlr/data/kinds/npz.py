"""NumPy archives of pictures: labels are read to list them, pictures when they are stored."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.npy import npy_shape, whole_numbers
from ctlr.data.reader import Images, Progress
from ctlr.errors import DataError
from ctlr.specs import Measured, NpzSpec, PreprocessSpec
from ctlr.specs._datasets.npz import npz_sets
from ctlr.workspace import Workspace

if TYPE_CHECKING:  # numpy is slow to load, and a plan reads no picture
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SIDES", "NpzReader", "shapes_in"]

SIDES = ("train", "val", "test")
_LARGEST = 2**33
"""Bytes of one array of pictures once it is unpacked."""
_DAMAGED = (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, struct.error, ValueError, NotImplementedError)
"""What damaged archives end in."""


class NpzReader:
    """Reads an archive; each picture is a subject."""

    def __init__(self, spec: NpzSpec, listing: Listing | None = None) -> None:
        self.spec = spec
        self._listing = listing

    def listing(self) -> Listing:
        """Every picture with its class and side."""
        if self._listing is None:
            root, (file,) = self.files()
            with _opened(root, file) as archive:
                images = [
                    IndexedImage(
                        subject=f"{side}-{number:06d}", file=f"{side}/{number:06d}",
                        columns={"class": self._class(label), "split": side},
                    )
                    for side in SIDES
                    for number, label in enumerate(_labels(archive, side))
                ]  # fmt: skip
            if not images:
                raise DataError("arrays `train_images` and `train_labels` are needed; they are not there.", place=file)
            self._listing = Listing(root=root, images=tuple(images))
        return self._listing

    def files(self) -> tuple[Path, list[str]]:
        """The archive.

        Raises:
            DataError: It is missing, or there are several.
        """
        root = Path(self.spec.root)
        if fault := self.spec.fault_of_root({"root": root.name, "set": self.spec.set}, root):
            raise DataError(fault)
        return root, [f"{self.spec.set or npz_sets(root)[0]}.npz"]

    def look_at_files(self) -> None:
        """Look whether the archive holds the pictures that it says."""
        root, (file,) = self.files()
        with _opened(root, file) as archive:
            for side in shapes_in(archive):
                _pictures(archive, side)

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """The options and the archive."""
        options = self.spec.model_dump_json(exclude={"name", "root", "set"})
        return options, json.dumps(sorted(digests.values()))

    def measure(self, image: IndexedImage) -> Measured:
        """Of all pictures of its side."""
        root, (file,) = self.files()
        with _opened(root, file) as archive:
            shape = shapes_in(archive)[image.file.partition("/")[0]]
        return Measured(shape=shape[1:3], colour=len(shape) == 4)

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Read the archive into memory."""
        from PIL import Image

        from ctlr.data.picture import picture_digest
        from ctlr.data.rows import Row, fitted_row

        listing, options = self.listing(), self.spec.preprocess
        assert isinstance(options, PreprocessSpec)
        root, (file,) = self.files()
        with _opened(root, file) as archive:
            pixels = {side: _pictures(archive, side) for side in shapes_in(archive)}

        def row(image: IndexedImage) -> Row:
            side, _, number = image.file.partition("/")
            picture = Image.fromarray(pixels[side][int(number)])
            return fitted_row(picture, picture_digest(picture), options)

        return Images(listing, row)

    def _class(self, label: int) -> str:
        names = self.spec.names
        if names is None:
            return str(label)
        if not 0 <= label < len(names):
            raise DataError(f"`names` names {len(names)} classes, and there is a label {label}. Add it.")
        return names[label]


def shapes_in(archive: zipfile.ZipFile) -> dict[str, tuple[int, ...]]:
    """Shape of the pictures of each side that is there: (N, H, W) or (N, H, W, 3).

    Raises:
        DataError: They are of another kind.
        ValueError: An array is damaged.
    """
    found = {}
    for side in SIDES:
        if f"{side}_images.npy" not in archive.namelist():
            continue
        with archive.open(f"{side}_images.npy") as stream:
            kind, shape, turned = npy_shape(stream)
        grey, coloured = len(shape) == 3, len(shape) == 4 and shape[3] == 3
        if kind != "|u1" or turned or not (grey or coloured) or not all(shape[1:3]):
            raise DataError(
                f"pictures of bytes (N, height, width) or (N, height, width, 3) are needed; `{side}_images` holds "
                f"{kind} {shape}. Take a set of pictures, not of volumes."
            )
        found[side] = shape
    return found


def _labels(archive: zipfile.ZipFile, side: str) -> list[int]:
    """One a picture; none where the side is not there."""
    shape = shapes_in(archive).get(side)
    if shape is None:
        return []
    with archive.open(f"{side}_labels.npy") as stream:
        labels = whole_numbers(stream)
    if len(labels) != shape[0]:
        raise DataError(
            f"one label a picture is needed; `{side}_labels` holds {len(labels)} for {shape[0]} pictures. Take a set "
            "with one label."
        )
    return list(labels)


def _pictures(archive: zipfile.ZipFile, side: str) -> NDArray[np.uint8]:
    import math

    import numpy as np

    with archive.open(f"{side}_images.npy") as stream:
        _, shape, _ = npy_shape(stream)
        if math.prod(shape) > _LARGEST:
            raise ValueError(f"`{side}_images` claims {math.prod(shape)} bytes")
        return np.frombuffer(stream.read(math.prod(shape)), np.uint8).reshape(shape)


@contextmanager
def _opened(root: Path, file: str) -> Iterator[zipfile.ZipFile]:
    """An archive; what is damaged in it is named."""
    try:
        with zipfile.ZipFile(root / file) as archive:
            yield archive
    except _DAMAGED as error:
        raise DataError(f"it must be a NumPy archive with images and labels; it is not ({error}). Fetch it again.",
                        place=file) from error  # fmt: skip
