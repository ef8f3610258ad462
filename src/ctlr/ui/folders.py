"""Folders of pictures that runs are started from, each with a name below `uploads/` of the workspace.

uploads/<name>/folder.json     where the pictures lie, and how they came
uploads/<name>/pictures/       those that were uploaded
uploads/<name>/examined.json   what was found out about them (`examining`)
uploads/<name>/thumbnails/     made when they are asked for
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.errors import ConfigError, DataError
from ctlr.runs import NAME
from ctlr.specs import dns_name
from ctlr.ui.options import Options
from ctlr.ui.unpacking import Taken, settled, unpack
from ctlr.ui.uploading import Form
from ctlr.workspace import write_aside

__all__ = ["Folder", "Folders", "allowed_file", "allowed_folder"]

_INCOMING = ".incoming"
_FORSAKEN_SECONDS = 86400.0
"""An upload in which no file has begun for so long has no server any more."""


@dataclass(frozen=True)
class Folder:
    """A folder of pictures."""

    name: str
    home: Path
    """Below `uploads/`."""
    root: Path
    """Where the folders of classes lie."""
    uploaded: bool
    left_out: Mapping[str, int]
    """Of an upload: reason -> files that were not taken."""


def allowed_folder(path: str, below: Sequence[Path]) -> Path:
    """A folder of this machine, without links.

    Args:
        path: As somebody names it.
        below: Folders in one of which it must lie.

    Raises:
        ConfigError: It is none, or lies elsewhere.
    """
    return _allowed(path, below, "folder", Path.is_dir)


def allowed_file(path: str, below: Sequence[Path]) -> Path:
    """A file of this machine, as `allowed_folder` says of folders."""
    return _allowed(path, below, "file", Path.is_file)


def _allowed(path: str, below: Sequence[Path], kind: str, fits: Callable[[Path], bool]) -> Path:
    if not path or "\0" in path or not Path(path).is_absolute():
        raise ConfigError(f"a {kind} must be an absolute path; got {path!r}.")
    root = Path(os.path.realpath(path))
    if not any(root.is_relative_to(os.path.realpath(each)) for each in below):
        allowed = ", ".join(str(each) for each in below)
        raise ConfigError(f"a {kind} must lie below {allowed}; `ctlr ui --data DIR` allows others.")
    if not fits(root):
        raise ConfigError(f"{path!r} is no {kind}, or cannot be read.")
    return root


class Folders:
    """The folders of pictures of a workspace."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._place = options.workspace / "uploads"

    def __iter__(self) -> Iterator[Folder]:
        for home in sorted(self._place.glob("*/folder.json")):
            try:
                yield self.get(home.parent.name)
            except (ConfigError, DataError):
                continue

    def get(self, name: str) -> Folder:
        """A folder by its name.

        Raises:
            ConfigError: There is none.
        """
        home = self._place / name
        try:
            if not re.fullmatch(NAME, name):
                raise ValueError(name)
            told: dict[str, Any] = json.loads((home / "folder.json").read_bytes())
            root = home / "pictures" / told["below"] if told["uploaded"] else Path(told["path"])
            return Folder(name, home, root, bool(told["uploaded"]), dict(told.get("left_out", {})))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"There is no folder of pictures {name!r} here.") from error

    def register(self, path: str, name: str = "") -> Folder:
        """Use a folder where it lies; nothing of it is copied.

        Raises:
            ConfigError: It is none, lies elsewhere than allowed, or the name is taken.
        """
        root = allowed_folder(path, self._options.data)
        home = self._begin(name or root.name)
        write_aside(home / "folder.json", json.dumps({"uploaded": False, "path": str(root)}).encode())
        return self.get(home.name)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """An empty folder for pictures that arrive; it is gone afterwards, unless `keep` has taken it."""
        self._place.mkdir(parents=True, exist_ok=True)
        self._sweep()
        # Not `.partial`, which is what runs look at as they begin.
        place = self._place / f".{secrets.token_hex(8)}{_INCOMING}"
        (place / "pictures").mkdir(parents=True)
        try:
            yield place / "pictures"
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what servers that were killed have left of uploads."""
        for place in self._place.glob(f".*{_INCOMING}"):
            with contextlib.suppress(OSError):
                if time.time() - max(file.stat().st_mtime for file in (place, *place.iterdir())) > _FORSAKEN_SECONDS:
                    shutil.rmtree(place, ignore_errors=True)

    def keep(self, form: Form, wanted: str) -> Folder:
        """Unpack what arrived, and give it its name.

        Raises:
            DataError: An archive is refused, or there is no picture.
            ConfigError: The name is taken.
        """
        pictures, limits = form.folder, self._options.limits
        taken = Taken(form.taken.pictures, 0, form.taken.left_out.copy())
        for archive in form.archives:
            found = unpack(archive, pictures, limits)
            archive.unlink()
            taken.pictures += found.pictures
            taken.left_out += found.left_out
            taken.check(limits)
        if not taken.pictures:
            told = "; ".join(f"{count} {reason}" for reason, count in taken.left_out.items())
            raise DataError(f"an upload must hold pictures, one folder a class; none is there. {told}".strip())
        below = settled(pictures).relative_to(pictures)
        told_of = {"uploaded": True, "below": str(below), "left_out": dict(taken.left_out)}
        write_aside(pictures.parent / "folder.json", json.dumps(told_of).encode())
        name = self._free(wanted or below.name)
        try:
            pictures.parent.rename(self._place / name)
        except OSError as error:
            raise ConfigError(f"the name {name!r} is taken. Choose another one.") from error
        return self.get(name)

    def delete(self, name: str) -> None:
        """Forget a folder, and remove it where it was uploaded."""
        shutil.rmtree(self.get(name).home, ignore_errors=True)

    def _begin(self, wanted: str) -> Path:
        home = self._place / self._free(wanted)
        home.mkdir(parents=True)
        return home

    def _free(self, wanted: str) -> str:
        """A name that is not taken yet, like the wanted one."""
        name = dns_name(wanted or "pictures", 32)
        names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
        return next(each for each in names if not (self._place / each).exists())
