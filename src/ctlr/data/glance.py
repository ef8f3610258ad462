"""A folder looked at by names alone, and what kinds of data see in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from ctlr.data.kinds.image_names import visible
from ctlr.errors import DataError

__all__ = ["Glance", "Sighting", "ending_of", "glance"]

_MOST = 200_000
"""Files that are looked at; a whole disk may lie there."""
_WORKSPACE = "workspace.json"
"""Lies in what runs have left, which is no data."""
_PACKED = (".gz", ".bz2", ".zip")


@dataclass(frozen=True)
class Glance:
    """What lies below a folder, by names.

    Attributes:
        root: The folder.
        files: Paths below it, posix, in the order of their folders; hidden ones and those of systems are left out.
        more: Whether there are more than were looked at.
    """

    root: Path
    files: tuple[str, ...]
    more: bool = False

    @cached_property
    def folders(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the files that lie in each folder itself, by its path; "" is the root."""
        found: dict[str, list[str]] = {}
        for file in self.files:
            place, _, name = file.rpartition("/")
            found.setdefault(place, []).append(name)
        return {place: tuple(names) for place, names in found.items()}

    @cached_property
    def endings(self) -> Mapping[str, int]:
        """How many files end so, the most frequent first."""
        return dict(Counter(map(ending_of, self.files)).most_common())

    @property
    def depth(self) -> int:
        """Folders above the deepest file."""
        return max((file.count("/") for file in self.files), default=0)

    def children(self, folder: str) -> list[str]:
        """Names of the folders right below one that hold a file somewhere."""
        start = f"{folder}/" if folder else ""
        found = {place[len(start) :].partition("/")[0] for place in self.folders if place.startswith(start)}
        return sorted(found - {""})

    def below(self, folder: str) -> Glance:
        """The same of a folder below."""
        start = f"{folder}/" if folder else ""
        inside = tuple(file[len(start) :] for file in self.files if file.startswith(start))
        return Glance(self.root / folder, inside, self.more)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A dataset that a kind of data sees in a folder.

    Attributes:
        kind: Of data.
        place: Folder below the one that was looked at; empty for itself.
        what: What it is taken for, as a noun: `a BIDS dataset`.
        files: That it would read; of two sightings that with more counts first.
        options: Of the dataset, as a benchmark file writes them, without `kind`, `root` and `preprocess`.
        preprocess: Likewise, where the kind has to look into the files for it.
        why: What was chosen among several, a sentence each.
        lacking: Why it cannot be read as it is, with the remedy; empty where it can.
        near: Of one that lacks something, how much of its layout is there, from 0 to 1.
    """

    kind: str
    place: str = ""
    what: str
    files: int
    options: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    lacking: str = ""
    near: float = 0.5


def glance(root: Path) -> Glance:
    """List what lies below a folder; no file is opened, no link to a folder followed, and no workspace looked into.

    Raises:
        DataError: It is no folder, or holds no file.
    """
    if not root.is_dir():
        told = "it is a file. Name the folder that it lies in." if root.exists() else "there is no such folder."
        raise DataError(f"{told} Correct the path.", place=str(root))
    files: list[str] = []
    for place, folders, names in os.walk(root):
        if _WORKSPACE in names:
            folders.clear()
            continue
        folders[:] = sorted(filter(visible, folders))
        above = PurePosixPath(os.path.relpath(place, root)).as_posix()
        start = "" if above == "." else f"{above}/"
        files += (f"{start}{name}" for name in sorted(names) if visible(name) and name.isprintable())
        if len(files) > _MOST:
            return Glance(root, tuple(files[:_MOST]), more=True)
    return Glance(root, tuple(files))


def ending_of(name: str) -> str:
    """`.nii.gz` of a packed file, `.png`; empty of a name without one."""
    path = PurePosixPath(name)
    ending = path.suffix.lower()
    return PurePosixPath(path.stem).suffix.lower() + ending if ending in _PACKED else ending
