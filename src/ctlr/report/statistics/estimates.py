"""How sure a mean over seeds is, and whether a method gains over another: Student's t on both levels (`variance`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

from ctlr.errors import DataError
from ctlr.report.statistics.variance import VarianceParts, ends_inside, moderated, variance_parts
from ctlr.report.statistics.weighted import Difference, Evaluate, group_contrast, weighted_metric
from ctlr.specs import METRICS
from ctlr.training.metrics import ECE_BINS, confidence_bins

__all__ = [
    "Estimate",
    "Gain",
    "GroupDifference",
    "Outcome",
    "VarianceParts",
    "Verdict",
    "calibration_rows",
    "errors_of",
    "gains_together",
    "group_difference",
    "holm",
    "mean_score",
    "paired_gain",
    "roc_rows",
    "scores_together",
]

Floats = NDArray[np.float64]
Verdict = Literal["gain", "none", "negative transfer", "not tested"]
"""`none`: tested, and no difference shown. `not tested`: a single seed, or a single subject, supports no verdict."""

_BOUNDS = {metric: (0.0, 1.0 if direction == "max" else np.inf) for metric, direction in METRICS.items()}
_BOUNDS |= dict.fromkeys(("bias", "calibration_slope"), (-np.inf, np.inf))
_BOUNDS |= {"r": (-1.0, 1.0), "r2": (-np.inf, 1.0), "brier": (0.0, 2.0), "ece": (0.0, 1.0)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What one study predicted on its test images."""

    seed: int
    subjects: Sequence[str] | NDArray[Any]
    """(N,) key of each image's subject."""
    truth: NDArray[Any]
    """(N,) targets, or class codes 0..K-1."""
    predicted: Floats
    """(N,) predictions, or (N, K) probabilities."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over seeds and how far it may be trusted."""

    mean: float
    low: float
    """Lower end of the interval; NaN when a single subject leaves nothing to leave out."""
    high: float
    n_seeds: int
    n_subjects: int
    parts: VarianceParts
    """Of the mean's variance: from subjects and from seeds, with the degrees of freedom of each."""

    @property
    def se(self) -> float:
        """Standard error of the mean."""
        return self.parts.se

    @property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom of the standard error."""
        return self.parts.freedom

    @property
    def record(self) -> dict[str, float | str]:
        """What a table's file says of it."""
        return {
            "mean": self.mean, "low": self.low, "high": self.high, "se": self.se, "freedom": self.freedom,
            "n_seeds": self.n_seeds, "n_subjects": self.n_subjects, "interval_over": self.resampled,
        }  # fmt: skip

    @property
    def resampled(self) -> str:
        """What the interval accounts for: with a single seed it says nothing of other seeds."""
        return "over seeds and subjects" if self.n_seeds > 1 else "over subjects only"


@dataclass(frozen=True, kw_only=True)
class Gain(Estimate):
    """A mean paired difference to a baseline, signed so that positive is better."""

    p: float
    """Two-sided, of no difference; of this comparison alone (`holm` adjusts a table's). NaN where nothing is tested."""
    verdict: Verdict
    """Whether the interval excludes 0, and on which side."""

    @property
    def tested(self) -> bool:
        """Whether there are seeds and subjects enough for a verdict."""
        return self.verdict != "not tested"

    @property
    def shown(self) -> bool:
        """Whether a difference was shown, to either side."""
        return self.verdict in ("gain", "negative transfer")


# ---------------------------------------------------------------- estimates


def mean_score(
    outcomes: Sequence[Outcome], metric: str, *, bins: ArrayLike | None = None, level: float = 0.95
) -> Estimate | None:
    """Mean of a metric over seeds with an interval, which stays inside the metric's range.

    Args:
        outcomes: One a seed, all on the same test subjects.
        metric: A name of `ctlr.specs.METRICS`, or one that `weighted_metric` knows beside them.
        bins: Inner edges of the target's bins, for `f1_bins`.
        level: Share of intervals that hold the true value.

    Returns:
        None when there is no outcome, or the metric is undefined in one (r of constant predictions).

    Raises:
        DataError: The outcomes' test subjects differ.
        ValueError: Two outcomes have the same seed.
    """
    if not outcomes:
        return None
    _check_seeds(outcomes)
    subjects = _common_subjects(outcomes)
    found = _parts([_evaluator(outcome, metric, subjects, bins) for outcome in outcomes], len(subjects))
    return None if found is None else _score(*found, metric, level)


def paired_gain(
    method: Sequence[Outcome],
    baseline: Sequence[Outcome],
    metric: str,
    *,
    bins: ArrayLike | None = None,
    level: float = 0.95,
) -> Gain | None:
    """What a method gains over a baseline, paired by seed and by subject; `gains_together` joins those of a table.

    Args:
        method: One outcome a seed.
        baseline: One outcome a seed, on the same test subjects; seeds that only one of the two has are left out.
        metric: A name of `ctlr.specs.METRICS`; the sign of the difference follows its direction.
        bins: Inner edges of the target's bins, for `f1_bins`.
        level: Share of intervals that hold the true value.

    Returns:
        None when no seed is shared, or the metric is undefined in one of the outcomes.

    Raises:
        DataError: The outcomes' test subjects differ.
        ValueError: Two outcomes of one side have the same seed.
    """
    _check_seeds(method)
    _check_seeds(baseline)
    theirs = {outcome.seed: outcome for outcome in baseline}
    pairs = [(outcome, theirs[outcome.seed]) for outcome in method if outcome.seed in theirs]
    if not pairs:
        return None
    subjects = _common_subjects([outcome for pair in pairs for outcome in pair])
    sign = 1.0 if METRICS[metric] == "max" else -1.0
    curves = [
        Difference(_evaluator(own, metric, subjects, bins), _evaluator(other, metric, subjects, bins), sign)
        for own, other in pairs
    ]
    found = _parts(curves, len(subjects))
    return None if found is None else _gain(*found, metric, level)


@dataclass(frozen=True, kw_only=True)
class GroupDifference(Estimate):
    """Mean error of a group of test images less that of all others."""

    p: float
    """Two-sided, of no difference; of this group alone."""


def group_difference(
    outcomes: Sequence[Outcome], members: Sequence[NDArray[np.bool_]], *, level: float = 0.95
) -> GroupDifference | None:
    """How much larger the error of a group is: the absolute error, or the share that is wrong.

    Args:
        outcomes: One a seed, all on the same test subjects.
        members: (N,) of each outcome: whether an image is of the group.
        level: Share of intervals that hold the true value.

    Returns:
        None where one subject or none is inside or outside.
    """
    subjects = _common_subjects(outcomes)
    order = np.argsort(subjects)
    curves = [
        group_contrast(
            errors_of(outcome), inside, order[np.searchsorted(subjects, np.asarray(outcome.subjects), sorter=order)]
        )
        for outcome, inside in zip(outcomes, members, strict=True)
    ]
    found = _parts(curves, len(subjects))
    if found is None or not math.isfinite(found[1].subjects):
        return None
    mean, parts = found
    half = parts.half_width(level)
    return GroupDifference(
        mean=mean, low=mean - half, high=mean + half, n_seeds=parts.n_seeds, n_subjects=parts.n_subjects, parts=parts,
        p=parts.p(mean),
    )  # fmt: skip


def errors_of(outcome: Outcome) -> Floats:
    """(N,) absolute errors of a regression; of classes 1 where the most probable one is wrong, else 0."""
    truth, predicted = np.asarray(outcome.truth), np.asarray(outcome.predicted, np.float64)
    if predicted.ndim == 1:
        return np.asarray(np.abs(predicted - truth))
    return np.asarray(predicted.argmax(axis=1) != truth, np.float64)


def scores_together(scores: Sequence[Estimate], metric: str, *, level: float) -> list[Estimate]:
    """Estimates of one table in one metric, each with what the others tell of how much seeds vary."""
    parts = moderated([score.parts for score in scores])
    return [_score(score.mean, own, metric, level) for score, own in zip(scores, parts, strict=True)]


def gains_together(gains: Sequence[Gain], metric: str, *, level: float) -> list[Gain]:
    """Gains of one table in one metric, each with what the others tell of how much seeds vary."""
    parts = moderated([gain.parts for gain in gains])
    return [_gain(gain.mean, own, metric, level) for gain, own in zip(gains, parts, strict=True)]


def _parts(curves: Sequence[Evaluate], n_subjects: int) -> tuple[float, VarianceParts] | None:
    """Mean over the K seeds and the parts of its variance; None when the metric is undefined in a seed."""
    scores = np.array([float(curve(np.ones((1, n_subjects)))[0]) for curve in curves])
    if np.isnan(scores).any():
        return None
    subjects, seeds, shared = float("nan"), 0.0, 0.0
    if n_subjects > 1:
        left_out = np.stack([curve.without_each() for curve in curves])
        subjects, seeds, shared = (float(part) for part in variance_parts(scores, left_out))
    return float(scores.mean()), VarianceParts(
        subjects=subjects, seeds=seeds, shared=shared, n_subjects=n_subjects, n_seeds=len(scores)
    )


def _score(mean: float, parts: VarianceParts, metric: str, level: float) -> Estimate:
    low, high = ends_inside(mean, parts.half_width(level), *_BOUNDS[metric])
    return Estimate(
        mean=mean, low=float(low), high=float(high), n_seeds=parts.n_seeds, n_subjects=parts.n_subjects, parts=parts
    )  # fmt: skip


def _gain(mean: float, parts: VarianceParts, metric: str, level: float) -> Gain:
    half, (floor, ceiling) = parts.half_width(level), _BOUNDS[metric]
    widest = ceiling - floor  # of two values in the metric's range
    low, high = (float(np.clip(end, -widest, widest)) for end in (mean - half, mean + half))
    tested = parts.n_seeds > 1 and not np.isnan(half)
    shown: Verdict = "gain" if low > 0 else "negative transfer" if high < 0 else "none"
    return Gain(
        mean=mean, low=low, high=high, n_seeds=parts.n_seeds, n_subjects=parts.n_subjects, parts=parts,
        p=parts.p(mean) if tested else float("nan"), verdict=shown if tested else "not tested",
    )  # fmt: skip


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of one table for their number (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    Calling only those below 0.05 real keeps the chance of any false one in the table below 0.05, however they depend.
    NaN (nothing was tested) stays, and is no comparison.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


# ---------------------------------------------------------------- preparation


def _evaluator(outcome: Outcome, metric: str, subjects: NDArray[Any], bins: ArrayLike | None) -> Evaluate:
    order = np.argsort(subjects)
    codes = order[np.searchsorted(subjects, np.asarray(outcome.subjects), sorter=order)]
    edges = None if bins is None else np.asarray(bins, dtype=np.float64)
    return weighted_metric(metric, outcome.truth, outcome.predicted, codes, bins=edges)


def _check_seeds(outcomes: Sequence[Outcome]) -> None:
    seeds = [outcome.seed for outcome in outcomes]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"each seed may occur once; got {seeds}")


def _common_subjects(outcomes: Sequence[Outcome]) -> NDArray[Any]:
    """(S,) keys of the test subjects that every outcome has, by the truth and prediction of the first one.

    Keys are drawn anew for each workspace: in their own order, the same seed would resample other subjects in each.
    """
    first, *others = [np.unique(np.asarray(outcome.subjects)) for outcome in outcomes]
    for outcome, found in zip(outcomes[1:], others, strict=True):
        if not np.array_equal(first, found):
            raise DataError(
                f"Studies are compared on the same test subjects; that of seed {outcomes[0].seed} has {len(first)}, "
                f"that of seed {outcome.seed} has {len(found)}, and they share {len(np.intersect1d(first, found))}. "
                "Compare studies of one benchmark only."
            )
    predicted = np.asarray(outcomes[0].predicted, dtype=np.float64).reshape(len(outcomes[0].truth), -1)[:, 0]
    keys = np.asarray(outcomes[0].subjects)[np.lexsort((predicted, np.asarray(outcomes[0].truth)))]
    return np.asarray(keys[np.sort(np.unique(keys, return_index=True)[1])])


# ---------------------------------------------------------------- rows for plots


def calibration_rows(truth: ArrayLike, probabilities: ArrayLike) -> list[dict[str, float]]:
    """Confidence against accuracy in the 15 bins of the expected calibration error; empty bins are left out.

    Args:
        truth: (N,) class codes.
        probabilities: (N, K), rows summing to 1.

    Returns:
        Rows of lower, upper (edges of the bin), count, confidence and accuracy (means of its images).
    """
    shares = np.asarray(probabilities, dtype=np.float64)
    confidence = shares.max(axis=1)
    right = shares.argmax(axis=1) == np.asarray(truth)
    bins = confidence_bins(confidence)
    return [
        {
            "lower": int(m) / ECE_BINS,
            "upper": (int(m) + 1) / ECE_BINS,
            "count": float(np.count_nonzero(bins == m)),
            "confidence": float(confidence[bins == m].mean()),
            "accuracy": float(right[bins == m].mean()),
        }
        for m in np.unique(bins)
    ]


def roc_rows(truth: ArrayLike, probabilities: ArrayLike) -> list[dict[str, float]]:
    """ROC curves: of class 1 when there are two classes, else of each class against the rest.

    Args:
        truth: (N,) class codes.
        probabilities: (N, K).

    Returns:
        Rows of class (its code), false_positive_rate and true_positive_rate, rising from (0, 0) to (1, 1). A class that
        no image has, or every one, has no curve.
    """
    codes, shares = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    rows = []
    for k in [1] if shares.shape[1] == 2 else range(shares.shape[1]):
        if 0 < np.count_nonzero(codes == k) < len(codes):
            false, true, _ = roc_curve(codes == k, shares[:, k])
            rows += [
                {"class": float(k), "false_positive_rate": float(x), "true_positive_rate": float(y)}
                for x, y in zip(false, true, strict=True)
            ]
    return rows
