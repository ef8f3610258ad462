"""Columns of a table that a task's answer may be computed from: read, checked, and made numbers.

What a column becomes is learned on training subjects alone, and kept in the model: numbers are standardised by their
mean and deviation, categories are the ones that they have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.data.strata import column_codes, is_missing
from ctlr.data.table import Table
from ctlr.data.targets import Targets
from ctlr.data.tsv import number
from ctlr.errors import ConfigError, DataError, LeakageError, nearest
from ctlr.specs import InputColumn, TaskSpec

__all__ = ["cells_of", "check_inputs", "encoded", "encoded_rows", "given_cells", "input_columns", "nearly_tells"]

Rows = npt.NDArray[np.int64]

_LEAST = 20
"""Categories up to which a column that has one for nearly every subject may still be no name."""
_TELLS, _NEARLY = 0.999, 0.95
_BINS = 20
"""Of a number, within each of which the class is looked at."""


def input_columns(table: Table, inputs: Mapping[str, str], rows: Rows, dataset: str) -> tuple[InputColumn, ...]:
    """Learn what columns become.

    Args:
        table: One record an image.
        inputs: Column -> auto, category or number. `auto` is a number where every known cell of the column is one.
        rows: (N,) of the training images; no other cell is looked at, but for what kind of column it is.
        dataset: Name for messages.

    Raises:
        ConfigError: The table has no such column.
        DataError: A column of numbers holds text, or nothing is known of any column.
    """
    columns = tuple(_column(name, kind, table, rows, dataset) for name, kind in inputs.items())
    if columns and not any(column.width for column in columns):
        raise DataError(
            f"`inputs` ({', '.join(inputs)}) must be known for some training subjects of dataset {dataset!r}; they are "
            "for none. Fill them in, or raise `sample_sizes`."
        )
    return columns


def encoded(columns: Sequence[InputColumn], cells: Mapping[str, Sequence[str]]) -> npt.NDArray[np.float32]:
    """(N, C) numbers of N images; C is the sum of the columns' widths.

    Args:
        columns: What they become.
        cells: By the column's name, N each; a number's cell holds a number or is missing.
    """
    return np.concatenate([_encoded(column, cells[column.name]) for column in columns], axis=1)


def encoded_rows(columns: Sequence[InputColumn], table: Table, rows: Rows) -> npt.NDArray[np.float32]:
    """(N, C) numbers of those rows; of a column that the table does not have, every cell is missing."""
    return encoded(columns, {column.name: cells_of(table, column.name, rows) for column in columns})


def given_cells(
    columns: Sequence[InputColumn], inputs: Mapping[str, Sequence[Any]] | None, count: int
) -> dict[str, list[str]]:
    """Cells as somebody hands them to a model: texts, numbers, or None where a value is missing.

    Args:
        columns: That the model reads.
        inputs: By the column's name.
        count: Images that they belong to.

    Raises:
        DataError: A column is missing, unknown or of another length, or a number is text.
    """
    wanted, given = [column.name for column in columns], dict(inputs or {})
    if lacking := [name for name in wanted if name not in given]:
        raise DataError(
            f"the model reads {', '.join(map(repr, wanted))} beside the image; {', '.join(map(repr, lacking))} "
            f"{'is' if len(lacking) == 1 else 'are'} not given. Give `inputs={{{lacking[0]!r}: [...], …}}`, one value "
            "an image, None where it is unknown."
        )
    if strange := [name for name in given if name not in wanted]:
        reads = f"{', '.join(map(repr, wanted))} alone" if wanted else "no column"
        raise DataError(f"the model reads {reads} beside the image; `inputs` has {strange[0]!r}. Leave it out.")
    found = {name: [_text(value) for value in given[name]] for name in wanted}
    for column in columns:
        cells = found[column.name]
        if len(cells) != count:
            raise DataError(
                f"`inputs` must have a value an image; {column.name!r} has {len(cells)} for {count} images."
            )
        if (
            column.kind == "number"
            and (bad := next((cell for cell in cells if not _is_number(cell)), None)) is not None
        ):
            raise DataError(f"{column.name!r} must be a number or None, as in training; got {bad!r}.")
    return found


# ---------------------------------------------------------------- leaks


def check_inputs(table: Table, task: TaskSpec, targets: Targets) -> None:
    """Refuse inputs from which nothing can be learned that holds for others.

    Args:
        table: One record an image.
        task: With its inputs.
        targets: Of the same images.

    Raises:
        ConfigError: The table has no such column, or it names subjects or sides.
        DataError: A column of numbers holds text.
        LeakageError: A column tells the target.
    """
    for name, measure, told in _measured(table, task, targets):
        if measure > _TELLS:
            raise LeakageError(
                f"Input {name!r} of dataset {targets.dataset!r} tells the target {targets.column!r} ({told}): a model "
                "that reads it need not look at any image. Remove it from the task's `inputs`."
            )


def nearly_tells(table: Table, task: TaskSpec, targets: Targets) -> list[str]:
    """Sentences on inputs that tell nearly all of the target: it may be that they were made from it."""
    return [
        f"Input {name!r} nearly tells the target ({told}). Remove it if it was made from the target; the baseline "
        "`covariates` shows what the inputs alone predict."
        for name, measure, told in _measured(table, task, targets)
        if measure > _NEARLY
    ]


def _measured(table: Table, task: TaskSpec, targets: Targets) -> list[tuple[str, float, str]]:
    """(column, how nearly it tells the target, the same in words) of each input."""
    every = np.arange(len(table))
    known = np.flatnonzero(targets.known)
    found = []
    for column in input_columns(table, task.inputs, every, targets.dataset):
        if column.name == "split":
            raise ConfigError(f"`inputs` of the task {task.name!r}: 'split' says who trains and tests. Remove it.")
        cells = cells_of(table, column.name, every)
        if column.kind == "category":
            _refuse_names(column.name, cells, table, targets.dataset)
        rows = known[[not is_missing(cells[row]) for row in known.tolist()]]
        found.append((column.name, *_telling(column, [cells[row] for row in rows.tolist()], targets, rows)))
    return found


def _refuse_names(name: str, cells: Sequence[str], table: Table, dataset: str) -> None:
    """A category that nobody shares says nothing of anybody else."""
    owners: dict[str, set[int]] = {}
    for cell, owner in zip(cells, table.subject.codes.tolist(), strict=True):
        if not is_missing(cell):
            owners.setdefault(cell, set()).add(owner)
    alone = sum(len(people) == 1 for people in owners.values())
    if len(owners) > _LEAST and 2 * alone > len(owners):
        raise ConfigError(
            f"`inputs`: column {name!r} of dataset {dataset!r} has {len(owners)} categories, and {alone} of them have "
            "one subject each: it names subjects, and says nothing of new ones. Remove it, or say that it is a number."
        )


def _telling(column: InputColumn, cells: Sequence[str], targets: Targets, rows: Rows) -> tuple[float, str]:
    """Of two numbers |r| of values or of ranks, of a category and a number the correlation ratio, of a class the share
    of images whose class the column foretells, where the most frequent class does not foretell as many."""
    values = targets.values[rows]
    if len(rows) < 3 or len(np.unique(values)) < 2:
        return 0.0, ""
    numbers = np.array([number(cell) for cell in cells]) if column.kind == "number" else None
    if targets.classes:
        codes = column_codes(cells, _BINS) if numbers is not None else np.unique(cells, return_inverse=True)[1]
        told = sum(int(np.bincount(values[codes == code]).max()) for code in np.unique(codes)) / len(rows)
        return (told, f"{told:.1%} of the classes") if told > np.bincount(values).max() / len(rows) else (0.0, "")
    if numbers is None:
        codes = np.unique(cells, return_inverse=True)[1]
        counts = np.bincount(codes)
        means = np.bincount(codes, weights=values) / counts
        spare = len(rows) - len(counts)
        # Adjusted for the categories: where each has one image, they tell nothing.
        rest = ((values - means[codes]) ** 2).sum() / spare if spare else values.var(ddof=1)
        ratio = math.sqrt(max(0.0, 1 - rest / values.var(ddof=1)))
        return ratio, f"correlation ratio {ratio:.4f}"
    from scipy.stats import rankdata  # slow to load, and asked where there are inputs alone

    pairs = [(numbers, values), (rankdata(numbers), rankdata(values))]
    r = max(abs(float(np.corrcoef(one, other)[0, 1])) if np.ptp(one) else 0.0 for one, other in pairs)
    return r, f"|r| {r:.4f}"


# ---------------------------------------------------------------- cells


def _column(name: str, kind: str, table: Table, rows: Rows, dataset: str) -> InputColumn:
    held = table.columns.get(name)
    if held is None:
        raise ConfigError(f"Dataset {dataset!r} has no column {name!r} for a task's `inputs`. "
                          f"{nearest(name, table.columns)}")  # fmt: skip
    texts = [value for value in held.values if not _is_number(value.strip())]
    if kind == "number" and texts:
        raise DataError(
            f"Input {name!r} of dataset {dataset!r} must be a number or n/a; some cells are not. Correct them, or "
            f"write `inputs: {{{name}: category}}`.",
            told=f"Input {name!r} of dataset {dataset!r} must be a number or n/a; a cell has {texts[0]!r}. Correct it, "
            f"or write `inputs: {{{name}: category}}`.",
        )
    met = Counter(cells_of(table, name, rows))
    missing = any(map(is_missing, met))
    if kind == "category" or texts:
        return InputColumn(name=name, kind="category", categories=tuple(sorted(c for c in met if not is_missing(c))))
    values = np.array([number(cell) for cell in met])
    known = ~np.isnan(values)
    counts = np.array(list(met.values()))[known]
    if not counts.sum():
        return InputColumn(name=name, kind="number")
    mean = float(np.average(values[known], weights=counts))
    deviation = math.sqrt(float(np.average((values[known] - mean) ** 2, weights=counts)))
    return InputColumn(name=name, kind="number", mean=mean, std=deviation, flagged=missing)


def cells_of(table: Table, name: str, rows: Rows) -> list[str]:
    """Of those rows; empty where there is none."""
    column = table.columns.get(name)
    if column is None:
        return [""] * len(rows)
    values = [*(value.strip() for value in column.values), ""]
    return [values[code] for code in column.codes[rows].tolist()]


def _encoded(column: InputColumn, cells: Sequence[str]) -> npt.NDArray[np.float32]:
    places = {cell: place for place, cell in enumerate(dict.fromkeys(cells))}
    met = np.zeros((max(1, len(places)), column.width), np.float32)
    for cell, place in places.items():
        if column.kind == "category":
            met[place] = [cell == category for category in column.categories]
        elif not _is_number(cell) or is_missing(cell):  # another dataset may hold text in a column of that name
            met[place, 1:] = 1.0
        elif column.std:
            met[place, 0] = (number(cell) - column.mean) / column.std
    return met[[places[cell] for cell in cells]]


def _text(value: Any) -> str:
    """A cell as a table has it: 1.0 is 1."""
    if value is None:
        return ""
    return f"{value:.15g}" if isinstance(value, float | np.floating) else str(value).strip()


def _is_number(cell: str) -> bool:
    try:
        number(cell)
    except ValueError:
        return False
    return True
