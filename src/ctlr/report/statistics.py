"""How sure a mean over seeds is, and whether a method gains over another: from crossed replicates (`bootstrap`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

from ctlr.errors import DataError
from ctlr.report.bootstrap import draw_replicates
from ctlr.report.weighted import Evaluate, weighted_metric
from ctlr.specs import METRICS
from ctlr.training.metrics import ECE_BINS, confidence_bins

__all__ = [
    "Estimate",
    "Gain",
    "Outcome",
    "Verdict",
    "bootstrap_mean",
    "calibration_rows",
    "holm",
    "paired_gain",
    "roc_rows",
]

Floats = NDArray[np.float64]
Verdict = Literal["gain", "none", "negative transfer"]

_BOUNDS = {metric: (0.0, 1.0 if direction == "max" else np.inf) for metric, direction in METRICS.items()}
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
    """Lower end of the interval; NaN when a single subject leaves nothing to resample."""
    high: float
    n_seeds: int
    n_subjects: int

    @property
    def resampled(self) -> str:
        """What the interval accounts for: with a single seed it says nothing of other seeds."""
        return "seeds and subjects" if self.n_seeds > 1 else "subjects only (one seed)"


@dataclass(frozen=True, kw_only=True)
class Gain(Estimate):
    """A mean paired difference to a baseline, signed so that positive is better."""

    p: float
    """Two-sided, of no difference, from the replicates; of this comparison alone (`holm` adjusts a table's)."""
    verdict: Verdict
    """Whether the interval excludes 0, and on which side."""


# ---------------------------------------------------------------- estimates


def bootstrap_mean(
    outcomes: Sequence[Outcome],
    metric: str,
    rng: np.random.Generator,
    *,
    bins: ArrayLike | None = None,
    replicates: int = 2000,
    level: float = 0.95,
) -> Estimate | None:
    """Mean of a metric over seeds with an interval, which stays inside the metric's range.

    Args:
        outcomes: One a seed, all on the same test subjects.
        metric: A name of `ctlr.specs.METRICS`.
        rng: Draws the replicates.
        bins: Inner edges of the target's bins, for `f1_bins`.
        replicates: Of the bootstrap.
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
    curves = [_evaluator(outcome, metric, subjects, bins) for outcome in outcomes]
    drawn = draw_replicates(curves, len(subjects), rng, replicates, level)
    if drawn is None:
        return None
    low, high = drawn.interval(level)
    floor, ceiling = _BOUNDS[metric]
    return Estimate(
        mean=drawn.mean,
        low=float(np.clip(low, floor, ceiling)),
        high=float(np.clip(high, floor, ceiling)),
        n_seeds=len(outcomes),
        n_subjects=len(subjects),
    )


def paired_gain(
    method: Sequence[Outcome],
    baseline: Sequence[Outcome],
    metric: str,
    rng: np.random.Generator,
    *,
    bins: ArrayLike | None = None,
    replicates: int = 2000,
    level: float = 0.95,
) -> Gain | None:
    """What a method gains over a baseline: paired by seed and by subject, both under the same replicates.

    Args:
        method: One outcome a seed.
        baseline: One outcome a seed, on the same test subjects; seeds that only one of the two has are left out.
        metric: A name of `ctlr.specs.METRICS`; the sign of the difference follows its direction.
        rng: Draws the replicates.
        bins: Inner edges of the target's bins, for `f1_bins`.
        replicates: Of the bootstrap.
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
        _difference(*(_evaluator(outcome, metric, subjects, bins) for outcome in pair), sign=sign) for pair in pairs
    ]
    drawn = draw_replicates(curves, len(subjects), rng, replicates, level)
    if drawn is None:
        return None
    low, high = drawn.interval(level)
    verdict: Verdict = "gain" if low > 0 else "negative transfer" if high < 0 else "none"
    return Gain(
        mean=drawn.mean, low=low, high=high, n_seeds=len(pairs), n_subjects=len(subjects), p=drawn.p(), verdict=verdict
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of one table for their number (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    Calling only those below 0.05 real keeps the chance of any false one in the table below 0.05, however they depend.
    Bootstrap p-values cannot fall below 2 / (replicates + 1): a table of m rows needs well above 40 m replicates.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return [float(value) for value in adjusted]


# ---------------------------------------------------------------- preparation


def _evaluator(outcome: Outcome, metric: str, subjects: NDArray[Any], bins: ArrayLike | None) -> Evaluate:
    order = np.argsort(subjects)
    codes = order[np.searchsorted(subjects, np.asarray(outcome.subjects), sorter=order)]
    edges = None if bins is None else np.asarray(bins, dtype=np.float64)
    return weighted_metric(metric, outcome.truth, outcome.predicted, codes, bins=edges)


def _difference(method: Evaluate, baseline: Evaluate, *, sign: float) -> Evaluate:
    return lambda weights: sign * (method(weights) - baseline(weights))


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
