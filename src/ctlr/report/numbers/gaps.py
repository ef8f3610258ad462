"""The gap of a regression: predicted minus true, and how it leans on the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.report.numbers.contests import Done
from ctlr.report.numbers.predictions import Predictions
from ctlr.training.metrics import GapCorrection, brain_age_gap, fit_gap_correction

__all__ = ["Gap", "gap", "known_mean"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Gap:
    """Predicted minus true on the test images of every seed, and how it leans on the truth. M = images x seeds."""

    truth: Floats
    """(M,)"""
    prediction: Floats
    """(M,)"""
    corrected: Floats | None
    """(M,) gap less what the truth alone explains, by a line fitted on each study's validation subjects."""
    mean: float
    slope: float | None
    """Mean over the seeds; None where the truth does not vary."""
    corrected_mean: float | None
    corrected_slope: float | None

    @property
    def gap(self) -> Floats:
        """(M,) uncorrected."""
        return self.prediction - self.truth


def gap(cell: Sequence[Done]) -> Gap:
    """The gap of a regression, uncorrected and corrected (`ctlr.training.metrics.fit_gap_correction`)."""
    tests = [done.predictions["test"] for done in cell]
    plain = [brain_age_gap(test.truth, test.prediction) for test in tests]
    lines = [_correction(done.predictions.get("validation")) for done in cell]
    corrected = [
        brain_age_gap(test.truth, test.prediction, line)
        for test, line in zip(tests, lines, strict=True)
        if line is not None
    ]
    whole = len(corrected) == len(plain)
    return Gap(
        truth=np.concatenate([test.truth for test in tests]),
        prediction=np.concatenate([test.prediction for test in tests]),
        corrected=np.concatenate([each.gap for each in corrected]) if whole else None,
        mean=float(np.mean([each.mean for each in plain])),
        slope=known_mean([each.slope for each in plain]),
        corrected_mean=float(np.mean([each.mean for each in corrected])) if whole else None,
        corrected_slope=known_mean([each.slope for each in corrected]) if whole else None,
    )


def _correction(validation: Predictions | None) -> GapCorrection | None:
    """None where the validation set cannot carry a line."""
    if validation is None or np.ptp(validation.truth) <= 1e-9 * np.abs(validation.truth).max():
        return None
    return fit_gap_correction(validation.truth, validation.prediction)


def known_mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that there are; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
