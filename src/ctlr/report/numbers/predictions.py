"""What a study left on disk: predictions by subject, histories by epoch."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctlr.cells import plain
from ctlr.errors import DataError

__all__ = ["Predictions", "read_history", "read_predictions"]


_BLOCK = 2**15
"""Lines that are held as texts at a time."""
_REMEDY = "Delete that folder and run `ctlr resume`: the study is done again."


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions for the N images of one split.

    `truth` and `prediction` are (N,) float64: values of a regression target, or indices into `classes`.
    """

    subjects: NDArray[np.str_]
    """(N,) keyed hashes; a subject with several images stands in several rows."""
    truth: NDArray[np.float64]
    prediction: NDArray[np.float64]
    classes: tuple[str, ...] = ()
    """Empty for regression."""
    probabilities: NDArray[np.float64] | None = None
    """(N, C) in the order of `classes`."""

    @property
    def codes(self) -> NDArray[np.int64]:
        """The true classes as whole numbers, (N,)."""
        return self.truth.astype(np.int64)


def read_predictions(
    file: Path, kind: Literal["regression", "classification"], *, needed: str = "test"
) -> dict[str, Predictions]:
    """Read `predictions.csv` as split -> predictions, in the file's order.

    Args:
        file: To read.
        kind: Of the target.
        needed: The split without which the file is of no use.

    Raises:
        DataError: The file is missing, cut short, or lacks a column or the needed split.
    """
    place = f"{file.parent.name}/{file.name}"
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            splits = _by_split(csv.reader(stream), classified=kind == "classification")
        if needed not in splits:
            found = sorted(splits) or "none"
            raise DataError(f"{place} must hold rows of the split `{needed}`; it has {found}. {_REMEDY}")
        return splits
    except OSError as error:
        raise DataError(f"{place} cannot be read ({error.strerror}). {_REMEDY}") from error
    except (KeyError, ValueError, csv.Error) as error:
        raise DataError(f"{place} is damaged: {error}. {_REMEDY}") from error


def _by_split(lines: Iterator[list[str]], *, classified: bool) -> dict[str, Predictions]:
    """Read by columns, some thousand lines at a time: a million lines as texts would take gigabytes."""
    columns = next(lines, [])
    classes = tuple(name[2:] for name in columns if name.startswith("p_")) if classified else ()
    parts: dict[str, list[Predictions]] = {}
    while block := [line for line in islice(lines, _BLOCK) if line]:
        if any(len(line) != len(columns) for line in block):
            raise ValueError(f"a line has other cells than {', '.join(columns)}")
        cells = dict(zip(columns, zip(*block, strict=True), strict=True))
        read, split = _parse(cells, classes), np.array(cells["split"])
        for name in dict.fromkeys(cells["split"]):
            parts.setdefault(name, []).append(_rows(read, split == name))
    return {split: _joined(found) for split, found in parts.items()}


def _parse(cells: Mapping[str, tuple[str, ...]], classes: tuple[str, ...]) -> Predictions:
    def numbers(name: str) -> NDArray[np.float64]:
        return np.fromiter(map(float, cells[name]), np.float64, len(cells[name]))

    if classes:
        index = {name: float(position) for position, name in enumerate(classes)}
        code = {cell: index[plain(cell)] for name in ("y_true", "y_pred") for cell in set(cells[name])}
        truth, prediction = (np.array([code[cell] for cell in cells[name]]) for name in ("y_true", "y_pred"))
        probabilities = np.stack([numbers(f"p_{name}") for name in classes], axis=1)
    else:
        truth, prediction, probabilities = numbers("y_true"), numbers("y_pred"), None
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise ValueError("a value is not finite")
    return Predictions(
        subjects=np.array(cells["subject"]), truth=truth, prediction=prediction, classes=classes,
        probabilities=probabilities,
    )  # fmt: skip


def _rows(found: Predictions, chosen: NDArray[np.bool_]) -> Predictions:
    shares = found.probabilities
    return replace(
        found, subjects=found.subjects[chosen], truth=found.truth[chosen], prediction=found.prediction[chosen],
        probabilities=None if shares is None else shares[chosen],
    )  # fmt: skip


def _joined(parts: Sequence[Predictions]) -> Predictions:
    shares = [part.probabilities for part in parts if part.probabilities is not None]
    return replace(
        parts[0], subjects=np.concatenate([part.subjects for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        prediction=np.concatenate([part.prediction for part in parts]),
        probabilities=np.concatenate(shares) if shares else None,
    )  # fmt: skip


def read_history(file: Path) -> dict[str, NDArray[np.float64]]:
    """Read `history.csv` as column -> (E,) values by epoch; empty where the file is missing or has no rows.

    Raises:
        DataError: It cannot be read, or a cell is no number.
    """
    if not file.is_file():
        return {}
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else ())}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{file.parent.name}/{file.name} is damaged: {error}. {_REMEDY}") from error
