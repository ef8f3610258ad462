"""What the names of files and folders say of pictures."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

__all__ = ["ENDINGS", "is_picture", "no_picture", "subject_of", "visible"]

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File names that count as pictures, in lower case."""

_OF_SYSTEMS = frozenset(
    {"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir", "#recycle", "#snapshot"}
)
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
    """Neither hidden nor what systems and NAS leave beside files and in archives."""
    return not name.startswith(".") and name not in _OF_SYSTEMS


def is_picture(name: str) -> bool:
    """Whether a file counts as a picture."""
    return visible(name) and PurePosixPath(name).suffix.lower() in ENDINGS
