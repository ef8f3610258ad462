"""What reads a kind of data: the promises, and what all kinds share whose images lie in files of their own."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from ctlr.data.listing import IndexedImage, Listing
from ctlr.errors import DataError
from ctlr.specs import DatasetSpec, Measured, PreprocessSpec
from ctlr.workspace import Workspace

if TYPE_CHECKING:  # numpy is slow to load, and a plan reads no image
    from numpy.typing import NDArray
    from PIL import Image

    from ctlr.data.nifti import Volume
    from ctlr.data.rows import Row

__all__ = ["FileReader", "Images", "LooksAtFiles", "Progress", "Reader", "reader_of"]

_READING, _PICTURES = "2", "3"
"""Version of how headers and tables are understood, and that of pictures; another one makes arrays of files anew."""
Progress = Callable[[int, int], None]
"""Told (done, in all)."""


@dataclass(frozen=True)
class Images:
    """A dataset that is ready to be read."""

    listing: Listing
    """Its images in the order in which they are stored."""
    row: Callable[[IndexedImage], Row]
    """Reads and preprocesses one of them, from any thread; raises DataError, without the file's name."""
    values: NDArray[Any] | None = None
    """All of them as they are stored, (N, *shape), where they are small and very many: the listing then has
    `ManyImages`, and nobody asks for one `row` after the other."""


class Reader(Protocol):
    """Reads a dataset of one kind. It is made of its spec, and of the listing where that is known already.

    Contract: what is read depends on the content of `files` and on the spec's options alone, neither on where the
    dataset lies nor on what it is called. No message and no listing tells a folder above it. Loading the module and
    all methods but `open` take neither torch nor, as `ctlr plan` waits for them, numpy.

    For `ctlr init --data` it may also have `measure(image)`, what a header says (`ctlr.specs.Measured`), and
    `intensities(image)`, the 1st, 50th and 99th percentile of an image in its file.
    """

    def listing(self) -> Listing | None:
        """What the dataset holds, by names and tables alone; read once, however often it is asked for.

        None where images would have to be opened or made for it: the spec says `known_subjects` then.

        Raises:
            DataError: The dataset cannot be listed. Faults of single images are part of the listing instead.
        """
        ...

    def files(self) -> tuple[Path, list[str]]:
        """Folder and files, relative to it, whose content decides what is read; no file where the spec alone does.

        Raises:
            DataError: One is missing.
        """
        ...

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """All that decides the stored images, as texts that become their fingerprint.

        Args:
            digests: Of each of `files`.
        """
        ...

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Make the images ready.

        Args:
            workspace: Keeps what has to be made for it.
            workers: Threads.
            progress: Called while images are made.

        Raises:
            DataError: The dataset cannot be used.
        """
        ...


@runtime_checkable
class LooksAtFiles(Protocol):
    """A reader of few files with many images each, which can say whether they are whole."""

    def look_at_files(self) -> None:
        """Read them, and keep nothing.

        Raises:
            DataError: One is damaged; names it.
        """
        ...


def reader_of(dataset: DatasetSpec, listing: Listing | None = None) -> Reader:
    """What reads a dataset, found by its kind.

    Args:
        dataset: Which one.
        listing: Of it, where it is known already.
    """
    made = pkgutil.resolve_name(dataset.reader) if isinstance(dataset.reader, str) else dataset.reader
    return cast("Reader", made(dataset, listing))


class FileReader:
    """Reads images that lie in files of their own below a root.

    A kind adds `index`; where its files are neither NIfTI volumes nor pictures, `volume` or `picture` too, and of
    points or signals `row`.
    """

    def __init__(self, spec: DatasetSpec, listing: Listing | None = None) -> None:
        self.spec = spec
        self._listing = listing

    def index(self) -> Listing:
        """List the images."""
        raise NotImplementedError

    def volume(self, path: Path) -> Volume:
        """Read a volume, or a mask of the brain."""
        from ctlr.data.nifti import read_volume

        return read_volume(path)

    def picture(self, path: Path) -> Image.Image:
        """Read a picture: upright, in mode RGB, L or F."""
        from ctlr.data.picture import read_picture

        return read_picture(path)

    def look(self, image: IndexedImage) -> None:
        """Look whether an image can be read, without reading it as a whole where its header and its end tell.

        Files that a kind reads in a way of its own are not looked at, unless it says how.

        Raises:
            DataError: It cannot be used. The caller names the file.
        """
        root, own = self.listing().root, type(self)
        if self.spec.ndim == 2 and own.picture is FileReader.picture:
            from ctlr.data.picture import look_at_picture

            look_at_picture(root / image.file)
        elif self.spec.ndim == 3 and own.volume is FileReader.volume:
            from ctlr.data.nifti import look_at_volume

            look_at_volume(root / image.file)
            if image.mask is not None:
                try:
                    look_at_volume(root / image.mask)
                except DataError as error:
                    raise DataError(f"its mask: {error.reason}", place=image.mask) from error

    def measure(self, image: IndexedImage) -> Measured:
        """What the header of an image says.

        Raises:
            DataError: It cannot be read. The caller names the file.
        """
        path = self.listing().root / image.file
        if self.spec.ndim == 2:
            from ctlr.data.picture import measure_picture

            return measure_picture(path)
        from ctlr.data.nifti import measure_volume

        return measure_volume(path)

    def intensities(self, image: IndexedImage) -> tuple[float, float, float]:
        """The 1st, 50th and 99th percentile of an image as it is stored in its file.

        Raises:
            DataError: It cannot be read. The caller names the file.
        """
        import numpy as np

        path = self.listing().root / image.file
        if self.spec.ndim == 2:
            values = np.asarray(self.picture(path), np.float32)
        else:
            volume = self.volume(path)
            values = volume.voxels[::2, ::2, ::2].astype(np.float32) * volume.slope + volume.inter
        low, middle, high = (float(value) for value in np.percentile(values, [1, 50, 99]))
        return low, middle, high

    def listing(self) -> Listing:
        """As it was given, or indexed."""
        if self._listing is None:
            self._listing = self.index()
        return self._listing

    def files(self) -> tuple[Path, list[str]]:
        """Images and masks."""
        listing = self.listing()
        return listing.root, [file for image in listing.images for file in (image.file, image.mask) if file]

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """The options, each image with its cells, and what keeps others out."""
        listing = self.listing()
        images = [
            [image.subject, image.session, image.file, digests[image.file], digests.get(image.mask or "", ""),
             sorted(image.columns.items())]
            for image in listing.images
        ]  # fmt: skip
        others = [[str(fault) for fault in listing.faults], listing.units]
        version = _PICTURES if self.spec.ndim == 2 else _READING
        return self.spec.model_dump_json(exclude={"name", "root"}), json.dumps(images), json.dumps(others), version

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Files need no more than their listing."""
        return Images(self.listing(), self.row)

    def row(self, image: IndexedImage) -> Row:
        """Read and preprocess an image, from any thread; a kind of points or signals says how.

        Raises:
            DataError: It cannot be used, without the file's name.
        """
        from ctlr.data.rows import picture_row, volume_row

        root, options = self.listing().root, self.spec.preprocess
        assert isinstance(options, PreprocessSpec), "a kind with preprocessing of its own has a `row` of its own"
        if self.spec.ndim == 2:
            return picture_row(image, root, options, self.picture)
        return volume_row(image, root, options, self.volume)
