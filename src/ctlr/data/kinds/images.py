"""Folders of pictures: one folder a class, below train/val/test folders or not."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from ctlr.data.kinds.image_cases import index_cases
from ctlr.data.kinds.image_names import ENDINGS, is_picture, no_picture, subject_of, visible
from ctlr.data.listing import SIDES, FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.errors import DataError
from ctlr.specs import ImagesSpec

__all__ = ["ImagesReader", "index"]


class ImagesReader(FileReader):
    """Reads the pictures of a folder."""

    spec: ImagesSpec

    def index(self) -> Listing:
        """List the pictures."""
        return index(self.spec)


def index(spec: ImagesSpec) -> Listing:
    """List the pictures with their class and, where the folders give one, their split.

    With `group` or `table` see `ctlr.data.kinds.image_cases`. Without:

    The subject is the `sub-XX` that the name begins with, else the name without its ending; where that name occurs
    in several folders it is the whole path, for pictures that were numbered folder by folder. Pictures elsewhere than
    in the folder of a class, and files there that are none, are left out and counted.

    Raises:
        DataError: The folder cannot be used. Faults of single files are listed instead.
    """
    root = Path(spec.root)
    folder = FolderReader(root)
    if spec.described:
        return index_cases(spec, folder)
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
            subject=subject_of(PurePosixPath(file), unique=stems[PurePosixPath(file).stem] == 1),
            file=file,
            columns={"class": label} | ({"split": split} if split else {}),
        )
        for split, label, file in found
    ]
    return Listing(root=root, images=tuple(images), faults=tuple(folder.faults), left_out=tuple(folder.left_out))


def _splits(folder: FolderReader) -> list[tuple[str, str]]:
    """Split and folder of each side; one side without a name when the folders are classes."""
    names = [entry.name for entry in folder.entries("", visible) if entry.is_dir()]
    sides = [name for name in names if name.lower() in SIDES]
    if not sides:
        return [("", "")]
    if others := [name for name in names if name not in sides]:
        raise DataError(
            f"{others[0]}: beside the split {sides[0]!r} only {', '.join(SIDES)} may stand. "
            "Move every class below a split, or rename the class."
        )
    _leave_out_stray(folder, "")
    return [(SIDES[name.lower()], name) for name in sides]


def _pictures(folder: FolderReader, split: str, path: str) -> Iterator[tuple[str, str, str]]:
    """(split, class, file) of each picture below one side."""
    _leave_out_stray(folder, path)
    for entry in folder.entries(path, visible):
        if not entry.is_dir():
            continue
        place = f"{path}/{entry.name}" if path else entry.name
        known_faults = len(folder.faults)
        pictures = folder.entries(place, is_picture)
        others = _others(folder, place)
        if not pictures and len(folder.faults) == known_faults:
            below = list(islice(others, _LOOKED_AT))  # it is no class: a whole disk may lie here
            deep = sum(map(is_picture, map(os.path.basename, below)))
            least = "at least " if len(below) == _LOOKED_AT else ""
            folder.fault(f"{place} ({least}{deep} below it)" if deep else place, _TOO_DEEP if deep else _NONE)
            continue
        for file in others:
            folder.leave_out(file, _PLACE if is_picture(os.path.basename(file)) else no_picture(file))
        for picture in pictures:
            yield split, unicodedata.normalize("NFC", entry.name), f"{place}/{picture.name}"


_LOOKED_AT = 10_000
"""Files below a folder without pictures."""
_NONE = (
    f"the folder of a class must hold a picture ({', '.join(sorted(ENDINGS))}). Convert its files, or move it out of "
    "`root` if it is no class."
)
_TOO_DEEP = (
    "the pictures of a class must lie in its folder itself, not in folders below it. Move them up, or let `root` be "
    "the folder that holds the classes."
)
_PLACE = "a picture that does not lie in the folder of a class itself is not read. Move it there."


def _leave_out_stray(folder: FolderReader, path: str) -> None:
    """Note the pictures beside the folders of classes."""
    for entry in folder.entries(path, is_picture):
        if entry.is_file():
            folder.leave_out(f"{path}/{entry.name}" if path else entry.name, _PLACE)


def _others(folder: FolderReader, place: str) -> Iterator[str]:
    """Files of a class that are no pictures or lie further down, but for hidden ones."""
    top = os.path.join(folder.root, place)
    for below, folders, files in os.walk(top):
        folders[:] = sorted(filter(visible, folders))
        for name in sorted(filter(visible, files)):
            if below != top or not is_picture(name):
                yield os.path.relpath(os.path.join(below, name), folder.root)
