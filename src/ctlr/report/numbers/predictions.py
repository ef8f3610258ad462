"""What a study left on disk: predictions by subject, histories by epoch."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctlr.cells import plain
from ctlr.errors import DataError

__all__ = ["Predictions", "read_history", "read_predictions"]


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
            rows = list(csv.DictReader(stream))
        columns = list(rows[0]) if rows else []
        classes = tuple(name[2:] for name in columns if name.startswith("p_")) if kind == "classification" else ()
        splits: dict[str, list[dict[str, str]]] = {}
        for row in rows:
            splits.setdefault(row["split"], []).append(row)
        if needed not in splits:
            found = sorted(splits) or "none"
            raise DataError(f"{place} must hold rows of the split `{needed}`; it has {found}. {_REMEDY}")
        return {split: _parse(group, classes) for split, group in splits.items()}
    except OSError as error:
        raise DataError(f"{place} cannot be read ({error.strerror}). {_REMEDY}") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{place} is damaged: {error}. {_REMEDY}") from error


def _parse(rows: list[dict[str, str]], classes: tuple[str, ...]) -> Predictions:
    subjects = np.array([row["subject"] for row in rows])
    if classes:
        index = {name: position for position, name in enumerate(classes)}
        values = [[float(index[plain(row["y_true"])]), float(index[plain(row["y_pred"])])] for row in rows]
        probabilities = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])
    else:
        values = [[float(row["y_true"]), float(row["y_pred"])] for row in rows]
        probabilities = None
    truth, prediction = np.array(values, dtype=np.float64).T
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise ValueError("a value is not finite")
    return Predictions(
        subjects=subjects, truth=truth, prediction=prediction, classes=classes, probabilities=probabilities
    )


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
