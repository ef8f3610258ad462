"""On which side the rows of a table stand, and which of them can meet another side at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ctlr.data.leakage import LEARNED, Placed
from ctlr.data.splits import Split
from ctlr.data.strata import is_missing
from ctlr.data.table import Column, Digests, Table

__all__ = ["PlacedRows", "meeting"]

_SIDES = (LEARNED, "validation", "test")


class PlacedRows:
    """Every row of a table on its side; without a split all are learned from.

    Args:
        name: Of the dataset.
        table: Its rows.
        split: Of its subjects.

    Attributes:
        sides: (N,) place in `learned, validation, test`; -1 for rows that stand on none.
    """

    def __init__(self, name: str, table: Table, split: Split | None) -> None:
        self.name, self.table = name, table
        self.sides = np.full(len(table), -1 if split else 0)
        if split is not None:
            groups = ((*split.train, *split.unlabelled), split.validation, split.test)
            for side, subjects in enumerate(groups):
                self.sides[table.rows_of(subjects)] = side

    def __getitem__(self, row: int) -> Placed | None:
        side = int(self.sides[row])
        return None if side < 0 else Placed(_SIDES[side], self.name, self.table[row])


def meeting(parts: Sequence[PlacedRows], group: str | None) -> Iterator[Placed]:
    """Rows that share something with a row of another side, in order: `find_leaks` finds in them what it finds in all.

    Equal ids and groups count across all datasets here, whether or not they are one subject.

    Args:
        parts: Of all datasets.
        group: Column whose values must stay on one side.
    """
    sides = np.concatenate([part.sides for part in parts])
    found = np.zeros(len(sides), bool)
    lengths = [len(part.table) for part in parts]
    contents = [[part.table.sha256 for part in parts], [part.table.stored for part in parts]]
    numbered = [
        _numbered([part.table.subject for part in parts], lengths),
        # Content is unknown until the images are stored.
        *(_numbered(columns, lengths, nothing=lambda cell: not cell) for columns in contents),
    ]
    if group is not None:
        numbered.append(_numbered([part.table.columns.get(group) for part in parts], lengths, nothing=is_missing))
    for codes in numbered:
        placed = (codes >= 0) & (sides >= 0)
        low, high = np.full((2, int(codes.max(initial=-1)) + 1), len(_SIDES))
        np.minimum.at(low, codes[placed], sides[placed])
        np.minimum.at(high, codes[placed], -sides[placed])
        found[placed] |= low[codes[placed]] != -high[codes[placed]]
    start = 0
    for part in parts:
        for row in np.flatnonzero(found[start : start + len(part.table)]).tolist():
            image = part[row]
            assert image is not None
            yield image
        start += len(part.table)


def _numbered(
    columns: Sequence[Column | None], lengths: Sequence[int], nothing: Callable[[str], bool] | None = None
) -> NDArray[np.int64]:
    """(N,) equal numbers for equal cells of several tables; -1 where there is none, or it says nothing."""
    only = columns[0] if len(columns) == 1 else None
    if only is not None and (nothing is None or isinstance(only, Digests)):
        return only.codes
    known: dict[str, int] = {}
    numbers = []
    for column, length in zip(columns, lengths, strict=True):
        cells = [] if column is None else [value.strip() for value in column.values]
        codes = [-1 if nothing and nothing(cell) else known.setdefault(cell, len(known)) for cell in cells]
        numbers.append(np.array([*codes, -1])[np.full(length, -1) if column is None else column.codes])
    return np.concatenate(numbers)
