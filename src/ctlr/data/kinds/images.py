"""Folders of pictures: one folder a class, below train/val/test folders or not."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from ctlr.data.listing import SIDES, FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.errors import DataError
from ctlr.specs import ImagesSpec

__all__ = ["ENDINGS", "ImagesReader", "index"]

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File names that count as pictures, in lower case."""

_OF_SYSTEMS = frozenset(
    {"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir", "#recycle", "#snapshot"}
)
_FORMAT = re.compile(r"\.[a-z0-9]{1,5}")
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
    in several folders it is the whole path, for pictures that were numbered folder by folder. Pictures elsewhere than
    in the folder of a class, and files there that are none, are left out and counted.

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
    return Listing(root=root, images=tuple(images), faults=tuple(folder.faults), left_out=tuple(folder.left_out))


def _subject(file: PurePosixPath, *, unique: bool) -> str:
    if match := _SUBJECT.match(file.stem):
        return match.group()
    return file.stem if unique else str(file.with_suffix(""))


def _splits(folder: FolderReader) -> list[tuple[str, str]]:
    """Split and folder of each side; one side without a name when the folders are classes."""
    names = [entry.name for entry in folder.entries("", _visible) if entry.is_dir()]
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
    for entry in folder.entries(path, _visible):
        if not entry.is_dir():
            continue
        place = f"{path}/{entry.name}" if path else entry.name
        known_faults = len(folder.faults)
        pictures = folder.entries(place, _is_picture)
        others = _others(folder, place)
        if not pictures and len(folder.faults) == known_faults:
            below = list(islice(others, _LOOKED_AT))  # it is no class: a whole disk may lie here
            deep = sum(map(_is_picture, map(os.path.basename, below)))
            least = "at least " if len(below) == _LOOKED_AT else ""
            folder.fault(f"{place} ({least}{deep} below it)" if deep else place, _TOO_DEEP if deep else _NONE)
            continue
        for file in others:
            folder.leave_out(file, _PLACE if _is_picture(os.path.basename(file)) else _no_picture(file))
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


def _no_picture(file: str) -> str:
    ending = PurePosixPath(file).suffix.lower()
    kind = f"files ending in {ending}" if _FORMAT.fullmatch(ending) else "other files"
    return f"{kind} are no pictures that are read. Convert them if they are pictures."


def _leave_out_stray(folder: FolderReader, path: str) -> None:
    """Note the pictures beside the folders of classes."""
    for entry in folder.entries(path, _is_picture):
        if entry.is_file():
            folder.leave_out(f"{path}/{entry.name}" if path else entry.name, _PLACE)


def _others(folder: FolderReader, place: str) -> Iterator[str]:
    """Files of a class that are no pictures or lie further down, but for hidden ones."""
    top = os.path.join(folder.root, place)
    for below, folders, files in os.walk(top):
        folders[:] = sorted(filter(_visible, folders))
        for name in sorted(filter(_visible, files)):
            if below != top or not _is_picture(name):
                yield os.path.relpath(os.path.join(below, name), folder.root)


def _visible(name: str) -> bool:
    """Neither hidden nor what systems and NAS leave beside files and in archives."""
    return not name.startswith(".") and name not in _OF_SYSTEMS


def _is_picture(name: str) -> bool:
    return _visible(name) and PurePosixPath(name).suffix.lower() in ENDINGS
