"""Paths as their user wrote them, without what names the user: a report says them so that it can be run again."""

from __future__ import annotations

import getpass
import re
from pathlib import Path

__all__ = ["as_written", "homeless"]

_HOMES = re.compile(r"(?<![^/\s=:,\"'\[({])/(home|Users)/[^/\s\"',\])}]+")
_ABSOLUTE = re.compile(r"(?<![^\s=:,\"'\[({])[/~\0][^\s\"',\])}]*")
_HIDDEN = "…"


def as_written(path: str, folder: Path) -> str:
    """A path as the file that names it has it.

    Args:
        path: As it was read: absolute, or of a volume elsewhere.
        folder: Of the file. A path that starts there is given from there on, another one as `homeless` gives it.
    """
    start, home = str(folder.absolute()), _own_home()
    if path == start:
        return "."
    if not path.startswith(f"{start}/") or (home.startswith(f"{start}/") and path.startswith(home)):
        return homeless(path)
    return path.removeprefix(f"{start}/")


def homeless(text: str, *, home: str = "~") -> str:
    """A text with other words for the folders of users, and for the name of this one where it is a folder's.

    Args:
        text: With paths.
        home: What stands for this user's home folder.
    """
    own = _own_home()
    if own:
        text = re.sub(rf"(?<![\w.~/-]){re.escape(own)}(?=/|$|[\s\"',:\])}}])", lambda _: home, text)
    text = _HOMES.sub(lambda found: f"/{found[1]}/{_HIDDEN}", text)
    user = _user()
    if not user:
        return text
    return _ABSOLUTE.sub(lambda path: re.sub(rf"(?<=/){re.escape(user)}(?=/|$)", _HIDDEN, path[0]), text)


def _own_home() -> str:
    try:
        found = str(Path.home())
    except RuntimeError:  # a user without one
        return ""
    return "" if found == "/" else found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a pod's user has no name
        return ""
