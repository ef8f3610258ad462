"""Images sorted by what is to be learned of them: by class, or by thirds of a number."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.data.strata import quantile_codes
from ctlr.data.targets import read_targets
from ctlr.errors import CtlrError
from ctlr.report.images import Stock
from ctlr.report.theme.formats import decimals, number
from ctlr.specs import DataTask

__all__ = ["Groups", "grouped"]

_MOST = 10
"""Classes that are shown; of more, the first ones."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """What each row of a dataset is told to be."""

    names: tuple[str, ...]
    codes: NDArray[np.int64]
    """(N,) place in `names`; -1 where it is not known, or not shown."""
    by: str
    """`class` or `thirds of age`."""
    more: int = 0
    """Classes that are not shown."""

    def rows(self, code: int) -> NDArray[np.int64]:
        """Of a group, ascending."""
        return np.flatnonzero(self.codes == code)


def grouped(stock: Stock, ends: Sequence[DataTask]) -> Groups | None:
    """By what is learned of a dataset; None where no column can be read.

    Classes of a column are shown together, whichever task keeps them.

    Args:
        stock: The dataset.
        ends: Its tasks, the one that counts first.
    """
    if not ends:
        return None
    table, first = stock.store.table, ends[0].task
    try:
        targets = read_targets(table, first, ends[0].data.name)
        if targets.classes:
            same = [end for end in ends if (end.task.target, end.task.kind) == (first.target, first.kind)]
            every = [read_targets(table, end.task, end.data.name).classes for end in same]
            return _by_class(table.cells(first.target), list(dict.fromkeys(itertools.chain(*every))), first.target)
    except CtlrError:
        return None
    codes, unit = quantile_codes(targets.values, 3), stock.arrays.units.get(first.target, "")
    parts = [targets.values[codes == code] for code in range(3)]
    if not all(map(len, parts)):
        return None
    digits = max(0, decimals(targets.values[targets.known]) - 1)
    names = [
        f"{number(part.min(), digits)} to {number(part.max(), digits)}{f' {unit}' if unit else ''}" for part in parts
    ]
    return Groups(names=tuple(names), codes=codes, by=f"thirds of {first.target}")


def _by_class(cells: Sequence[str], names: Sequence[str], column: str) -> Groups:
    shown = {name: code for code, name in enumerate(names[:_MOST])}
    codes = np.array([shown.get(cell, -1) for cell in cells], np.int64)
    return Groups(names=tuple(shown), codes=codes, by=column, more=len(names) - len(shown))
