"""Rows of what estimators say of the Bayes error: nothing formatted yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctlr.report.numbers.truth import LeastRow
from ctlr.shallow.bayes_error import under_noise
from ctlr.specs import Assessment, LeastErrors

__all__ = ["DEAF", "EstimatorRow", "estimator_rows"]

DEAF = 0.05
"""Mean distance from what wrong labels must give, beyond which an estimator tells something else."""


@dataclass(frozen=True, kw_only=True)
class EstimatorRow:
    """What one estimator says of one side."""

    side: str
    estimator: str
    trusted: bool
    """Whether it claims to estimate the Bayes error; a closed loop does not deserve to."""
    value: float
    low: float | None
    high: float | None
    """None where it gives no range."""
    known: float | None
    """The true one."""
    shares: tuple[float, ...]
    """Of the labels drawn anew, from 0 on."""
    told: tuple[float, ...]
    """What it says then."""
    due: tuple[float, ...]
    """What it would have to say: from the true error where that is known, else from neighbours' shares."""
    doubts: tuple[str, ...]
    """Of the side."""

    @property
    def off(self) -> float:
        """Mean distance from what it would have to say, labels made wrong."""
        return float(np.abs(np.array(self.told[1:]) - np.array(self.due[1:])).mean())

    @property
    def missed(self) -> float:
        """How far its range lies from the true error; 0 where it holds it, or where nobody knows it."""
        if self.known is None or self.low is None or self.high is None:
            return 0.0
        return max(self.low - self.known, self.known - self.high, 0.0)

    @property
    def worthless(self) -> bool:
        """Whether it is not to be quoted."""
        return bool(self.doubts) if self.trusted else self.off > DEAF


def estimator_rows(found: LeastErrors, least: LeastRow | None) -> list[EstimatorRow]:
    """Four estimators a side, those that deserve trust first.

    Args:
        found: Of a target.
        least: Its true errors, where they are known.
    """
    rows = []
    for side, assessed in found.sides.items():
        known = getattr(least, side, None)
        rows += _of_side(side, assessed, known, len(found.classes))
    return rows


def _of_side(side: str, found: Assessment, known: float | None, n_classes: int) -> list[EstimatorRow]:
    checks = found.under_noise
    truth = found.posterior.value if known is None else known
    shares = (0.0, *(check.share for check in checks))
    due = tuple(under_noise(truth, share, n_classes) for share in shares)

    def row(
        estimator: str, trusted: bool, told: tuple[float, ...], low: float | None = None, high: float | None = None
    ) -> EstimatorRow:
        return EstimatorRow(
            side=side, estimator=estimator, trusted=trusted, value=told[0], low=low, high=high, known=known,
            shares=shares, told=told, due=due, doubts=found.doubts,
        )  # fmt: skip

    loops = {"nearest": "KNN, closed loop", "random_forest": "forest, closed loop"}
    return [
        row("k-NN posterior", True, (found.posterior.value, *(check.posterior for check in checks)),
            found.posterior.low, found.posterior.high),
        row("1-NN bounds", True, (found.nearest.value, *(check.nearest for check in checks)),
            found.nearest.low, found.nearest.high),
        *(row(label, False, (found.closed_loop[name], *(check.closed_loop[name] for check in checks)))
          for name, label in loops.items()),
    ]  # fmt: skip
