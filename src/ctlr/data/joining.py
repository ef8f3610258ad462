"""Subjects that are one: pictures of which each is a copy of another one, or shows a part of it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from ctlr.data.neighbours import Copy, find_copies
from ctlr.data.overlaps import Overlap, find_overlaps
from ctlr.data.store import read_table, write_table
from ctlr.specs import LeakSpec, StoredArrays
from ctlr.workspace import Workspace

__all__ = ["join_copies"]

SIDE = "split"
"""Column of given sides."""
_FIRST = ("test", "val", "train")


def join_copies(stored: StoredArrays, folder: Path, workspace: Workspace) -> StoredArrays:
    """Give all images of a group of copies the first one's subject, and note how many subjects are gone.

    Where the table gives sides, all of a group stand on the side of the one that is tested, else validated: what is
    tested is not learned from.

    O(N^2 D) time for N images, in blocks of matrix products: 1,000 take half a second, 10,000 some ten.

    Args:
        stored: Whole but for its place.
        folder: Where its files lie now, below the workspace.
        workspace: Where that is.
    """
    lying = stored.model_copy(update={"path": str(folder.relative_to(workspace.root))})
    records = list(read_table(lying, workspace))
    of_subject, first = {record.subject: record.subject for record in records}, dict[str, str]()
    places = {subject: place for place, subject in enumerate(of_subject)}

    def root(subject: str) -> str:
        while of_subject[subject] != subject:
            subject = of_subject[subject]
        return subject

    def join(one: str, other: str) -> None:
        kept, gone = sorted((root(one), root(other)), key=places.__getitem__)
        of_subject[gone] = kept

    for record in records:
        join(first.setdefault(record.stored, record.subject), record.subject)
    rows, correlation = np.arange(len(records)), LeakSpec().copies
    assert correlation is not None
    pairs: list[Copy | Overlap] = [
        *find_copies(rows, [lying], workspace, correlation=correlation),
        *find_overlaps(rows, [lying], workspace),
    ]
    for pair in pairs:
        join(records[pair.row].subject, records[pair.other].subject)
    groups = defaultdict[str, set[str]](set)
    for subject in of_subject:
        groups[root(subject)].add(subject)
    moved = 0
    if len(groups) < len(of_subject):
        sides = defaultdict[str, set[str]](set)
        for record in records:
            sides[root(record.subject)].add(record.columns.get(SIDE, ""))
        for place, record in enumerate(records):
            subject, columns = root(record.subject), dict(record.columns)
            side = next((each for each in _FIRST if each in sides[subject]), None)
            if side is not None and columns.get(SIDE) != side:
                columns[SIDE], moved = side, moved + 1
            records[place] = record.model_copy(update={"subject": subject, "columns": columns})
        write_table(folder, records)
    changed = {"subjects": len(groups), "joined": len(of_subject) - len(groups), "moved": moved}
    return stored.model_copy(update=changed)
