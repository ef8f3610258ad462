"""What a dataset holds before anything is read: images, the cells that describe them, and what is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ctlr.errors import DataError

__all__ = ["FolderReader", "IndexedImage", "Listing"]


@dataclass(frozen=True, kw_only=True)
class IndexedImage:
    """An image that was found. Paths are posix and relative to the dataset."""

    subject: str
    session: str = ""
    file: str
    mask: str | None = None
    """Mask of the brain in the same space."""
    columns: dict[str, str] = field(default_factory=dict)
    """Raw cells that describe the image; class and split in a folder of pictures."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A dataset's images in the order of their files, and what keeps others out."""

    root: Path
    images: tuple[IndexedImage, ...]
    faults: tuple[str, ...] = ()
    """One line for each subject or file that cannot be used: file, rule, remedy."""
    repeats: tuple[str, ...] = ()
    """One line for each image that is left out since it is there already: no fault."""
    units: dict[str, str] = field(default_factory=dict)
    """By column, where the dataset says them."""


class FolderReader:
    """Lists folders of one dataset, and never follows a link out of it.

    Args:
        root: The dataset.

    Raises:
        DataError: It is no folder, or cannot be listed.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.faults: list[str] = []
        self._real = os.path.join(os.path.realpath(root), "")
        if not os.path.isdir(root):
            raise DataError(f"The dataset's `root` must be a folder; {root.name!r} is none. Correct the path.")
        if not os.access(root, os.R_OK | os.X_OK):
            raise DataError(f"The dataset's folder {root.name!r} cannot be listed. Grant read access.")

    def entries(self, folder: str, keep: Callable[[str], bool]) -> list[os.DirEntry[str]]:
        """Entries of a folder (relative to the root, "" is the root) whose name `keep` takes, by name.

        A link that leads out of the dataset, a name that is no printable text, and a folder that cannot be listed
        become faults.
        """
        try:
            with os.scandir(os.path.join(self.root, folder)) as found:
                kept = sorted((entry for entry in found if keep(entry.name)), key=lambda entry: entry.name)
        except OSError as error:
            self.faults.append(f"{folder or '.'}: the folder cannot be listed: {error.strerror}. Grant read access.")
            return []
        return [entry for entry in kept if self._usable(entry, folder)]

    def _usable(self, entry: os.DirEntry[str], folder: str) -> bool:
        place = f"{folder}/{entry.name}" if folder else entry.name
        if not entry.name.isprintable():  # also what is not UTF-8, and could not be written down
            self.faults.append(f"{place!a}: a name must be printable text in UTF-8. Rename it.")
            return False
        if entry.is_symlink() and not os.path.realpath(entry.path).startswith(self._real):
            self.faults.append(f"{place}: a link must not point out of the dataset's folder. Copy its target here.")
            return False
        return True
