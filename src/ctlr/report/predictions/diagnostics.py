"""What lies behind the score of a classification: ranking, calibration and confusion.

Each function takes one cell (the seeds of a method at one size) and returns what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.report.numbers.contests import Done
from ctlr.report.numbers.predictions import Predictions
from ctlr.report.statistics.estimates import calibration_rows, roc_rows

__all__ = ["Calibration", "Confusion", "Roc", "calibration", "confusion", "roc"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Roc:
    """True against false positive rate; with more than two classes the mean of one against the rest."""

    false_positive: Floats
    """(102,) 0, then an even grid from 0 to 1."""
    true_positive: Floats
    """(102,) mean over the seeds (and classes)."""
    lowest: Floats
    """(102,) of the seeds."""
    highest: Floats
    """(102,) of the seeds."""


def roc(cell: Sequence[Done]) -> Roc | None:
    """Average the curves of the seeds at equal false positive rates; None where the test set has one class only."""
    grid = np.linspace(0, 1, 101)
    curves = [curve for done in cell if (curve := _mean_curve(done.predictions["test"], grid)) is not None]
    if not curves:
        return None
    # The rate 0 stands twice: a curve leaves the origin upwards.
    stack = np.pad(np.stack(curves), ((0, 0), (1, 0)))  # (seeds, 102)
    return Roc(
        false_positive=np.pad(grid, (1, 0)), true_positive=stack.mean(axis=0), lowest=stack.min(axis=0),
        highest=stack.max(axis=0),
    )  # fmt: skip


def _mean_curve(test: Predictions, grid: Floats) -> Floats | None:
    assert test.probabilities is not None
    by_class: dict[float, list[tuple[float, float]]] = {}
    for row in roc_rows(test.codes, test.probabilities):
        by_class.setdefault(row["class"], []).append((row["false_positive_rate"], row["true_positive_rate"]))
    curves = [np.interp(grid, *np.array(points).T) for points in by_class.values()]
    return np.mean(curves, axis=0) if curves else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """How often the predicted class is right, by how sure the prediction was. B filled bins."""

    confidence: Floats
    """(B,) mean probability of the predicted class."""
    accuracy: Floats
    """(B,)"""
    count: NDArray[np.int64]
    """(B,) predictions in the bin."""


def calibration(cell: Sequence[Done]) -> Calibration:
    """Pool the seeds into the bins of the expected calibration error (Guo et al. 2017)."""
    tests = [done.predictions["test"] for done in cell]
    shares = [test.probabilities for test in tests if test.probabilities is not None]
    rows = calibration_rows(np.concatenate([test.codes for test in tests]), np.concatenate(shares))
    return Calibration(
        confidence=np.array([row["confidence"] for row in rows]),
        accuracy=np.array([row["accuracy"] for row in rows]),
        count=np.array([row["count"] for row in rows], dtype=np.int64),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Confusion:
    """Counts of true class (row) by predicted class (column), over all seeds. K classes."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    """(K, K)"""

    @property
    def shares(self) -> Floats:
        """(K, K) each row divided by its sum; rows of absent classes are 0."""
        shares: Floats = self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        return shares


def confusion(cell: Sequence[Done]) -> Confusion:
    """Count the predictions of every seed."""
    classes = cell[0].predictions["test"].classes
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for done in cell:
        test = done.predictions["test"]
        np.add.at(counts, (test.codes, test.prediction.astype(np.int64)), 1)
    return Confusion(classes=classes, counts=counts)
