"""What the names of files and folders say of pictures."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

__all__ = ["ENDINGS", "SPLITS", "is_picture", "no_picture", "subject_of", "visible"]

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File names that count as pictures, in lower case."""

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
"""Name of a folder above the classes, in lower case -> the side that it holds."""
_FORMAT = re.compile(r"\.[a-z0-9]{1,5}")
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+(?=_|$)")


def subject_of(file: PurePosixPath, *, unique: bool) -> str:
    """The `sub-XX` that the name begins with, else the name without its ending where it is unique, else the path."""
    if match := _SUBJECT.match(file.stem):
        return match.group()
    return file.stem if unique else str(file.with_suffix(""))


def no_picture(file: str) -> str:
    """Why a file is not read."""
    ending = PurePosixPath(file).suffix.lower()
    kind = f"files ending in {ending}" if _FORMAT.fullmatch(ending) else "other files"
    return f"{kind} are no pictures that are read. Convert them if they are pictures."


def visible(name: str) -> bool:
    """Neither hidden nor what macOS leaves in archives."""
    return not name.startswith(".") and name != "__MACOSX"


def is_picture(name: str) -> bool:
    """Whether a file counts as a picture."""
    return visible(name) and PurePosixPath(name).suffix.lower() in ENDINGS
