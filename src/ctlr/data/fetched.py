"""Content that is not there: what git-annex and Git LFS leave in the place of a file, and files of no bytes."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from ctlr.errors import DataError

__all__ = ["NOT_IN_ANNEX", "is_in_annex", "refuse_pointer", "unreadable"]

_ANNEX = re.compile(rb"\S*annex/objects/\S+\s*")
_LFS = re.compile(rb"version https://(git-lfs|hawser)\.github\.com/spec/")
_FORBIDDEN = (errno.EACCES, errno.EPERM)
NOT_IN_ANNEX = "git-annex has not fetched the content of this file. Run `datalad get` or `git annex get`."


def is_in_annex(link: str | Path) -> bool:
    """Whether a link points to what git-annex has not fetched."""
    return "annex/objects/" in os.readlink(link) and not os.path.exists(link)


def unreadable(path: Path, error: OSError, *, place: str = "") -> DataError:
    """Why a file cannot be opened, with the remedy.

    Args:
        path: The file.
        error: What opening it raised.
        place: What the message calls it; by default the caller names it.
    """
    if path.is_symlink() and not path.exists():
        if is_in_annex(path):
            return DataError(NOT_IN_ANNEX, place=place)
        reason = "it is a link to nothing. Put its target back, or run `datalad get`."
    elif path.is_dir():
        reason = "it is a folder. Put the file that lies in it in its place."
    else:
        remedy = "Grant read access." if error.errno in _FORBIDDEN else "Put a file in its place."
        reason = f"{error.strerror}. {remedy}"
    return DataError(f"the file cannot be read: {reason}", place=place)


def refuse_pointer(start: bytes, *, place: str = "") -> None:
    """Say what stands in the place of a file's content.

    Args:
        start: The first bytes of the file, 200 or all that there are.
        place: What the message calls it; by default the caller names it.

    Raises:
        DataError: There are none, or they are a pointer to content that was not fetched.
    """
    if not start:
        raise DataError("the file is empty (0 bytes). Copy, fetch or export it again.", place=place)
    if _ANNEX.match(start):
        raise DataError(NOT_IN_ANNEX, place=place)
    if _LFS.match(start):
        raise DataError(
            "Git LFS has not fetched the content of this file. Run `git lfs pull` or `datalad get`.", place=place
        )
