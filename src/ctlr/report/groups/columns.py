"""Columns of a table by which people are grouped, and the group of each subject."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.data.strata import is_missing, quantile_codes
from ctlr.data.tsv import number
from ctlr.report.images import Stock
from ctlr.report.theme.formats import decimals
from ctlr.report.theme.formats import number as shown
from ctlr.specs import Study

__all__ = ["FEWEST", "Grouped", "group_columns", "grouped_by"]

FEWEST = 5
"""Test subjects of a group that is listed, at least: of fewer, people could be known."""
_USUAL = {"age", "sex", "gender", "site", "scanner", "center", "centre", "hospital"}
"""Words in the names of columns that are looked at without being named."""
_DIFFERENT = 12
"""Numbers of so many different values or fewer are codes; of more they are measured, and cut into parts."""
_PARTS = 4


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """A column, and the group of each test image."""

    column: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    """(N,) place in `names`; -1 where the cell is empty, or the group too small."""
    left_out: int = 0
    """Subjects of groups that are too small to be listed."""


def group_columns(study: Study, columns: Sequence[str]) -> list[str]:
    """Those that the benchmark balances or splits by, reads beside the image or learns too; then age, sex and site."""
    task, split = study.target.task, study.split
    named = [*split.stratify, *([split.group] if split.group else ()), *task.inputs, *(a.target for a in task.also)]
    usual = [name for name in columns if _words(name) & _USUAL]
    own = {task.target} if task.kind == "classification" else set()  # its confusion matrix says more
    return [name for name in dict.fromkeys([*usual, *named]) if name in columns and name not in own]


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.split(r"[\W_\d]+|(?<=[a-z])(?=[A-Z])", name)}


def grouped_by(stock: Stock, column: str, rows: NDArray[np.int64]) -> Grouped | None:
    """Sort test images into groups; None where there are not two that may be listed.

    Args:
        stock: Of the dataset.
        column: Of its table.
        rows: (N,) of the test images; -1 where one is not known.
    """
    table = stock.store.table
    every = table.cells(column)
    cells = ["" if row < 0 else every[row] for row in rows.tolist()]
    people = np.where(rows < 0, -1, table.subject.codes[rows])
    codes, names = _sorted(cells)
    kept, left_out = [], 0
    for code in range(len(names)):
        count = len(np.unique(people[codes == code]))
        if count >= FEWEST:
            kept.append(code)
        else:
            left_out += count
    if len(kept) < 2:
        return None
    place = np.full(len(names) + 1, -1)
    place[kept] = np.arange(len(kept))
    return Grouped(
        column=column, names=tuple(names[code] for code in kept), codes=place[codes], left_out=left_out
    )  # fmt: skip


def _sorted(cells: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) code of each cell, -1 for none, and the names of the codes."""
    known = [cell for cell in cells if cell and not is_missing(cell)]
    different = sorted(set(known))
    try:
        values = np.array([number(cell) if cell and not is_missing(cell) else np.nan for cell in cells])
        numeric = len(different) > 0
    except ValueError:
        values, numeric = np.empty(0), False
    if numeric and len(different) > _DIFFERENT:
        codes = quantile_codes(values, _PARTS)
        digits = max(0, decimals(values[np.isfinite(values)]) - 1)
        parts = [values[codes == code] for code in range(int(codes.max()) + 1)]
        return codes, [
            f"{shown(part.min(), digits)} to {shown(part.max(), digits)}" if len(part) else "" for part in parts
        ]
    if numeric:
        different.sort(key=number)
    index = {cell: code for code, cell in enumerate(different)}
    return np.array([index.get(cell, -1) for cell in cells], np.int64), different
