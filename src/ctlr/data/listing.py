"""What a dataset holds before anything is read: images, the cells that describe them, and what is wrong."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from ctlr.data.fetched import NOT_IN_ANNEX, is_in_annex
from ctlr.errors import DataError
from ctlr.specs import Exclusion

__all__ = ["SIDES", "FolderReader", "IndexedImage", "Listing", "ManyImages"]

SIDES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
"""What folders and cells call the sides of a split, in lower case -> what they are."""


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


@dataclass(frozen=True, kw_only=True, eq=False)
class ManyImages(Sequence[IndexedImage]):
    """Very many images of a few files, by columns; one of them is made when somebody asks for it."""

    subjects: Sequence[str]
    files: Sequence[str]
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.subjects)

    @overload
    def __getitem__(self, place: int) -> IndexedImage: ...
    @overload
    def __getitem__(self, place: slice) -> list[IndexedImage]: ...
    def __getitem__(self, place: int | slice) -> IndexedImage | list[IndexedImage]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        cells = {name: column[place] for name, column in self.columns.items()}
        return IndexedImage(subject=self.subjects[place], file=self.files[place], columns=cells)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A dataset's images in the order of their files, and what keeps others out."""

    root: Path
    images: Sequence[IndexedImage]
    faults: tuple[Exclusion, ...] = ()
    """One for each subject or file that cannot be used: file; rule and remedy."""
    left_out: tuple[Exclusion, ...] = ()
    """One for each image or file that is not read though nothing is wrong with it: a repeat, another format."""
    units: dict[str, str] = field(default_factory=dict)
    """By column, where the dataset says them."""

    @property
    def subjects(self) -> int:
        """How many different ones there are."""
        if isinstance(self.images, ManyImages):
            return len(set(self.images.subjects))
        return len({image.subject for image in self.images})


class FolderReader:
    """Lists folders of one dataset, and never follows a link out of it.

    What git-annex keeps for the repository that the dataset lies in counts as part of it.

    Args:
        root: The dataset.

    Raises:
        DataError: It is no folder, the whole disk, or cannot be listed.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.faults: list[Exclusion] = []
        self.left_out: list[Exclusion] = []
        self._noted: set[tuple[str, str]] = set()
        self._within = (os.path.join(os.path.realpath(root), ""), *_repository(Path(os.path.realpath(root))))
        if not os.path.isdir(root):
            raise DataError(
                "The dataset's `root` must be a folder. Correct the path.",
                told=f"The dataset's `root` must be a folder; {root.name!r} is none. Correct the path.",
            )
        if self._within[0] == os.sep:
            raise DataError("The dataset's `root` must be a folder of its own, not the whole disk. Correct the path.")
        if not os.access(root, os.R_OK | os.X_OK):
            raise DataError("The dataset's folder cannot be listed. Grant read access.", place=repr(root.name))

    def fault(self, place: str, reason: str) -> None:
        """Note once why something cannot be used; the reason says no name."""
        if (place, reason) not in self._noted:
            self._noted.add((place, reason))
            self.faults.append(Exclusion(place=place, reason=reason))

    def leave_out(self, place: str, reason: str) -> None:
        """Note what is not read, though it is no fault; the reason says no name."""
        self.left_out.append(Exclusion(place=place if place.isprintable() else ascii(place), reason=reason))

    def entries(self, folder: str, keep: Callable[[str], bool]) -> list[os.DirEntry[str]]:
        """Entries of a folder (relative to the root, "" is the root) whose name `keep` takes, by name.

        A link that leads out of the dataset, a name that is no printable text, and a folder that cannot be listed
        become faults.
        """
        try:
            with os.scandir(os.path.join(self.root, folder)) as found:
                kept = sorted((entry for entry in found if keep(entry.name)), key=lambda entry: entry.name)
        except OSError as error:
            remedy = "Put a folder in its place." if isinstance(error, NotADirectoryError) else "Grant read access."
            self.fault(folder or ".", f"the folder cannot be listed: {error.strerror}. {remedy}")
            return []
        return [entry for entry in kept if self._usable(entry, folder)]

    def _usable(self, entry: os.DirEntry[str], folder: str) -> bool:
        place = f"{folder}/{entry.name}" if folder else entry.name
        if not entry.name.isprintable():  # also what is not UTF-8, and could not be written down
            self.fault(ascii(place), "a name must be printable text in UTF-8. Rename it.")
            return False
        if entry.is_symlink() and not os.path.realpath(entry.path).startswith(self._within):
            outside = "a link must not point out of the dataset's folder. Copy its target here."
            self.fault(place, NOT_IN_ANNEX if is_in_annex(entry.path) else outside)
            return False
        return True


def _repository(folder: Path) -> tuple[str, ...]:
    """Where the git repository around a folder keeps its content, which git-annex links to; nothing without one."""
    for parent in (folder, *folder.parents):
        git = str(parent / ".git")
        if os.path.isfile(git):  # of a submodule or a worktree: `gitdir: ../.git/modules/name`
            with contextlib.suppress(OSError):
                git = str(parent / Path(git).read_text(errors="replace").removeprefix("gitdir:").strip())
        if os.path.isdir(git):
            return tuple(os.path.join(os.path.realpath(place), "") for place in (git, os.path.join(git, "annex")))
    return ()
