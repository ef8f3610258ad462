"""Whether predictions mean what they say: bias and slope of a regression, confidence of classes, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.report.findings import View
from ctlr.report.numbers.contests import Done
from ctlr.report.numbers.rows import outcomes_of
from ctlr.report.statistics.estimates import Estimate, mean_score, scores_together
from ctlr.report.theme.formats import Cell, Table, decimals, number
from ctlr.report.wording import factors, interval, interval_words, table_name

__all__ = ["CalibrationRow", "calibration_of", "calibration_table", "tenths"]

Floats = NDArray[np.float64]
_PARTS = 10
_FEWEST = 30
"""Predictions that are cut into tenths; of fewer, a tenth is one or two subjects."""

_COLUMNS = {
    "bias": "Bias", "calibration_slope": "Slope of true on predicted", "ece": "ECE", "confidence": "Mean confidence",
    "accuracy": "Accuracy",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CalibrationRow:
    """A method's calibration on the test set at one size; estimates by statistic."""

    method: str
    values: dict[str, Estimate]
    confidence: float | None = None
    """Mean probability of the predicted class; of classes alone."""


def calibration_of(view: View) -> list[CalibrationRow]:
    """Of each method that is drawn, at the largest size; what is undefined is left out."""
    regression = view.contest.task.kind == "regression"
    statistics = ("bias", "calibration_slope") if regression else ("ece", "accuracy")
    values: dict[str, dict[str, Estimate]] = {method: {} for method in view.drawn}
    for name in statistics:
        known = {
            method: estimate
            for method, cell in view.drawn.items()
            if (estimate := mean_score(outcomes_of(cell), name, level=view.rows.level)) is not None
        }
        for method, estimate in zip(
            known, scores_together([*known.values()], name, level=view.rows.level), strict=True
        ):
            values[method][name] = estimate
    return [
        CalibrationRow(method=method, values=values[method], confidence=_confidence(cell))
        for method, cell in view.drawn.items()
        if values[method]
    ]


def _confidence(cell: Sequence[Done]) -> float | None:
    shares = [done.predictions["test"].probabilities for done in cell]
    known = [share.max(axis=1).mean() for share in shares if share is not None]
    return float(np.mean(known)) if known else None


def calibration_table(view: View, rows: Sequence[CalibrationRow]) -> Table:
    """Bias and slope with what they should be, 0 and 1; or ECE beside confidence and accuracy."""
    contest, regression = view.contest, view.contest.task.kind == "regression"
    unit = f" ({contest.unit})" if contest.unit else ""
    told = [estimate for row in rows for estimate in row.values.values()]
    names = ("bias", "calibration_slope") if regression else ("ece", "confidence", "accuracy")
    ends = [end for row in rows if "bias" in row.values for end in (row.values["bias"].low, row.values["bias"].high)]
    digits = {"bias": max(0, decimals(map(abs, ends)) - 1)}
    honest = (
        f"Bias is the mean of predicted minus true{unit}: 0 where predictions are right on average. The slope says by "
        "how much people differ whose predictions differ by 1: below 1 predictions are spread too widely, above 1 too "
        "little"
        if regression
        else "ECE is the mean distance of confidence from the share that is right (0 is honest; few images alone make "
        "some of it); more confidence than accuracy is overconfidence"
    )
    return Table(
        name=table_name("calibration", contest),
        caption=f"Calibration on the test set at n = {view.detail}, with the {interval_words(told, view.rows.level)}. "
        f"{honest}.",
        columns=("Method", *(f"{_COLUMNS[name]}{unit if name == 'bias' else ''}" for name in names)),
        rows=tuple(
            (Cell(row.method), *(_cell(row, name, digits.get(name, 2 if regression else 3)) for name in names))
            for row in rows
        ),
        records=tuple(
            factors(contest)
            | {"method": row.method, "n_train": view.detail_size, "statistic": name}
            | estimate.record
            for row in rows
            for name, estimate in row.values.items()
        ),
    )  # fmt: skip


def _cell(row: CalibrationRow, name: str, digits: int) -> Cell:
    if name == "confidence":
        return Cell(number(row.confidence, digits))
    estimate = row.values.get(name)
    if estimate is None:
        return Cell("–")
    sign = name == "bias"
    return Cell(number(estimate.mean, digits, sign=sign), interval(estimate, digits, sign=sign))


def tenths(truth: Floats, prediction: Floats) -> tuple[Floats, Floats] | None:
    """Mean true and mean predicted value of each tenth of the predictions; None of too few.

    Args:
        truth: (M,) true values, all seeds.
        prediction: (M,)
    """
    if len(truth) < _FEWEST:
        return None
    parts = np.array_split(np.argsort(prediction, kind="stable"), _PARTS)
    return np.array([truth[part].mean() for part in parts]), np.array([prediction[part].mean() for part in parts])
