"""What a task wants predicted, read from the raw cells of a table and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.data.strata import is_missing
from ctlr.data.table import Column, ImageRecord, Table
from ctlr.data.tsv import number
from ctlr.errors import ConfigError, DataError, nearest
from ctlr.specs import TaskSpec

__all__ = ["Targets", "read_targets"]

_SHOWN = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """The target of each image; the sessions of a subject may differ."""

    values: npt.NDArray[Any]
    """(N,) float64, NaN where unknown; or int64 class codes, -1 where unknown or of a class left out."""
    classes: tuple[str, ...] = ()
    """Name of each code; empty for regression."""
    column: str = ""
    dataset: str = ""

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the target is known."""
        return self.values >= 0 if self.classes else ~np.isnan(self.values)


def read_targets(table: Sequence[ImageRecord], task: TaskSpec, dataset: str) -> Targets:
    """Read a task's column.

    Args:
        table: One record an image.
        task: Names the column, its kind, and the classes to keep.
        dataset: Name for messages.

    Raises:
        ConfigError: The table has no such column, or the column no such class.
        DataError: More than half of the cells are empty, a numeric target holds text, or all known values are the same.
    """
    kept = Table.of(table)
    column = kept.columns.get(task.target)
    if column is None:
        raise ConfigError(
            f"Dataset {dataset!r} has no column {task.target!r} for a task's `target`. "
            f"{nearest(task.target, kept.columns)}"
        )
    # What is asked of a cell is asked once of each that occurs; the last one stands for a row without any.
    cells = [*(cell.strip() for cell in column.values), ""]
    missing = np.array([is_missing(cell) for cell in cells])
    counts = np.bincount(column.codes % len(cells), minlength=len(cells))
    where = f"Target {task.target!r} of dataset {dataset!r}"
    empty = int(counts[missing].sum())
    if 2 * empty > len(table):
        raise DataError(
            f"{where} must be known for at least half of the images; {empty} of {len(table)} cells are empty. "
            "Fill them in, or choose another target."
        )
    if task.kind == "regression":
        return Targets(values=_numbers(kept, column, cells, where), column=task.target, dataset=dataset)
    classes = _classes([cell for cell, count in zip(cells, counts, strict=True) if count], task.classes, where)
    known = {name: code for code, name in enumerate(classes)}
    code_of = np.array([-1 if gone else known.get(cell, -1) for cell, gone in zip(cells, missing, strict=True)])
    return Targets(values=code_of[column.codes], classes=classes, column=task.target, dataset=dataset)


def _numbers(table: Table, column: Column, cells: Sequence[str], where: str) -> npt.NDArray[np.float64]:
    known, bad = np.full(len(cells), np.nan), list[int]()
    for code, cell in enumerate(cells):
        try:
            known[code] = number(cell)
        except ValueError:
            bad.append(code)
    if bad:
        rows = np.flatnonzero(np.isin(column.codes, bad)).tolist()
        shown = [
            f"{table[row].subject!r} ({table[row].file}) has {cells[column.codes[row]]!r}" for row in rows[:_SHOWN]
        ]
        rule, remedy = f"{where} must be a number or n/a for a regression", "set the task's `kind: classification`."
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        raise DataError(
            f"{rule}; {len(rows)} cells are not. Correct them, or {remedy}",
            told=f"{rule}; {', '.join(shown)}{more}. Correct the cell{'s' * (len(rows) > 1)}, or {remedy}",
        )
    values = known[column.codes]
    met = np.unique(values[~np.isnan(values)])
    if len(met) < 2:
        raise DataError(f"{where} must differ between images; every known value is {met[0]:g}. Choose another target.")
    return values


def _classes(cells: Sequence[str], wanted: tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    """Classes in the order of their codes: the task's, or else sorted."""
    met = sorted({cell for cell in cells if not is_missing(cell)})
    for name in wanted or ():
        if name not in met:
            raise ConfigError(f"{where} has no class {name!r} of the task's `classes`. {nearest(name, met)}")
    if len(met) < 2:
        raise DataError(f"{where} must have two classes at least; {met[0]!r} is the only one. Choose another target.")
    return wanted or tuple(met)
