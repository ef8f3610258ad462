"""Content that is not there: what git-annex and Git LFS leave in the place of a file, and files of no bytes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ctlr.errors import DataError

__all__ = ["refuse_pointer", "unreadable"]

_ANNEX = re.compile(rb"\S*annex/objects/\S+\s*")
_LFS = re.compile(rb"version https://(git-lfs|hawser)\.github\.com/spec/")


def unreadable(path: Path, error: OSError) -> DataError:
    """Why a file cannot be opened, with the remedy. The caller names the file."""
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        if "annex/objects/" in target:
            return _of_annex()
        return DataError("the file cannot be read: it is a link to nothing. Put its target back, or run `datalad get`.")
    return DataError(f"the file cannot be read: {error.strerror}. Grant read access, or repair it.")


def refuse_pointer(start: bytes) -> None:
    """Say what stands in the place of a file's content.

    Args:
        start: The first bytes of the file, 200 or all that there are.

    Raises:
        DataError: There are none, or they are a pointer to content that was not fetched. The caller names the file.
    """
    if not start:
        raise DataError("the file is empty (0 bytes). Copy, fetch or export it again.")
    if _ANNEX.match(start):
        raise _of_annex()
    if _LFS.match(start):
        raise DataError("Git LFS has not fetched the content of this file. Run `git lfs pull` or `datalad get`.")


def _of_annex() -> DataError:
    return DataError("git-annex has not fetched the content of this file. Run `datalad get` or `git annex get`.")
