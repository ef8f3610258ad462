"""Folders of pictures: one folder a class, below train/val/test folders or not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.errors import DataError
from ctlr.specs import ImagesSpec

__all__ = ["ENDINGS", "ImagesReader", "index"]

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File names that count as pictures, in lower case."""

_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+(?=_|$)")


class ImagesReader(FileReader):
    """Reads the pictures of a folder."""

    spec: ImagesSpec

    def index(self) -> Listing:
        """List the pictures."""
        return index(self.spec)


def index(spec: ImagesSpec) -> Listing:
    """List the pictures with their class and, where the folders give one, their split.

    The subject is the `sub-XX` that the name begins with, else the name without its ending; where that name occurs
    in several folders it is the whole path, for pictures that were numbered folder by folder.

    Raises:
        DataError: The folder cannot be used. Faults of single files are listed instead.
    """
    root = Path(spec.root)
    folder = FolderReader(root)
    found = [picture for split, path in _splits(folder) for picture in _pictures(folder, split, path)]
    if not found and not folder.faults:
        raise DataError(
            "pictures are needed in one folder a class, and none is there. Take "
            f"{', '.join(sorted(ENDINGS))}; correct `root` if it is another folder.",
            place=repr(root.name),
        )
    stems = Counter(PurePosixPath(file).stem for _, _, file in found)
    images = [
        IndexedImage(
            subject=_subject(PurePosixPath(file), unique=stems[PurePosixPath(file).stem] == 1),
            file=file,
            columns={"class": label} | ({"split": split} if split else {}),
        )
        for split, label, file in found
    ]
    return Listing(root=root, images=tuple(images), faults=tuple(folder.faults))


def _subject(file: PurePosixPath, *, unique: bool) -> str:
    if match := _SUBJECT.match(file.stem):
        return match.group()
    return file.stem if unique else str(file.with_suffix(""))


def _splits(folder: FolderReader) -> list[tuple[str, str]]:
    """Split and folder of each side; one side without a name when the folders are classes."""
    names = [entry.name for entry in folder.entries("", _visible) if entry.is_dir()]
    sides = [name for name in names if name.lower() in _SPLITS]
    if not sides:
        return [("", "")]
    if others := [name for name in names if name not in sides]:
        raise DataError(
            f"{others[0]}: beside the split {sides[0]!r} only {', '.join(_SPLITS)} may stand. "
            "Move every class below a split, or rename the class."
        )
    return [(_SPLITS[name.lower()], name) for name in sides]


def _pictures(folder: FolderReader, split: str, path: str) -> Iterator[tuple[str, str, str]]:
    """(split, class, file) of each picture below one side."""
    for entry in folder.entries(path, _visible):
        if not entry.is_dir():
            continue
        place = f"{path}/{entry.name}" if path else entry.name
        known_faults = len(folder.faults)
        pictures = folder.entries(place, _is_picture)
        if not pictures and len(folder.faults) == known_faults:
            folder.fault(place, "the folder of a class must hold a picture. Remove it if it is no class.")
        for picture in pictures:
            yield split, entry.name, f"{place}/{picture.name}"


def _visible(name: str) -> bool:
    return not name.startswith(".")


def _is_picture(name: str) -> bool:
    return _visible(name) and PurePosixPath(name).suffix.lower() in ENDINGS
