"""Metrics under many weightings of the same images at once: what makes leaving out each subject in turn cheap.

Nearly every metric is a function of a few sums over images (errors, counts by class, moments). Summed by subject first,
all weightings are one matrix product. ROC-AUC needs an order instead: it is sorted once, then weighed.

The numbers are those of `ctlr.training.metrics` on images repeated as often as they weigh (a test says so), with NaN
where that leaves the metric out. R weightings, S subjects, N images, K classes, F sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ctlr.training.metrics import ECE_BINS, TOP, among_top, confidence_bins

__all__ = ["Difference", "Evaluate", "group_contrast", "weighted_metric"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
_OfSums = Callable[[Floats], Floats]
"""(R, F) sums over images -> (R,) values of the metric."""


class Evaluate(Protocol):
    """A metric as a function of how much each subject weighs."""

    def __call__(self, weights: Floats) -> Floats:
        """(R, S) weights of the subjects -> (R,) values of the metric."""
        ...

    def without_each(self) -> Floats:
        """(S,) the metric without each of the subjects, in time and memory that grow with S, not with its square."""
        ...


def weighted_metric(
    metric: str, truth: Array, predicted: Array, subjects: Array, *, bins: Floats | None = None
) -> Evaluate:
    """Prepare a metric of `ctlr.specs.METRICS` for evaluation under any weights of the subjects.

    Args:
        metric: Its name; or, of a regression, `bias` (mean of predicted less true) or `calibration_slope` (of the line
            from predicted to true values).
        truth: (N,) targets or class codes.
        predicted: (N,) predictions, or (N, K) probabilities.
        subjects: (N,) codes 0..S-1: whose image it is.
        bins: Inner edges of the target's bins; `f1_bins` alone needs them.
    """
    if metric == "roc_auc":
        return _roc_auc(truth, _shares(predicted), subjects)
    sums, value = _parts(metric, truth, predicted, bins)
    by_subject = np.zeros((int(subjects.max()) + 1, sums.shape[1]))
    np.add.at(by_subject, subjects, sums)
    return _Summed(by_subject, value)


def group_contrast(errors: Floats, inside: NDArray[np.bool_], subjects: Array) -> Evaluate:
    """Mean error of some images less that of the others.

    Args:
        errors: (N,)
        inside: (N,) whether an image is one of them.
        subjects: (N,) codes 0..S-1: whose image it is.
    """
    sums = np.stack([errors * inside, inside, errors * ~inside, ~inside], axis=1).astype(np.float64)
    by_subject = np.zeros((int(subjects.max()) + 1, 4))
    np.add.at(by_subject, subjects, sums)
    return _Summed(by_subject, lambda found: _mean(found[:, :2]) - _mean(found[:, 2:]))


@dataclass(frozen=True, eq=False)
class Difference:
    """What one metric is above another, times a sign."""

    first: Evaluate
    second: Evaluate
    sign: float

    def __call__(self, weights: Floats) -> Floats:
        """Under the same weights."""
        return self.sign * (self.first(weights) - self.second(weights))

    def without_each(self) -> Floats:
        """Without the same subject."""
        return self.sign * (self.first.without_each() - self.second.without_each())


@dataclass(frozen=True, eq=False)
class _Summed:
    by_subject: Floats
    """(S, F)"""
    value: _OfSums

    def __call__(self, weights: Floats) -> Floats:
        return self.value(weights @ self.by_subject)

    def without_each(self) -> Floats:
        # The sums of those before and of those after: taking one off the whole would lose digits to an outlier.
        left = np.zeros_like(self.by_subject)
        left[1:] = np.cumsum(self.by_subject[:-1], axis=0)
        left[:-1] += np.cumsum(self.by_subject[:0:-1], axis=0)[::-1]
        return self.value(left)


def _parts(metric: str, truth: Array, predicted: Array, bins: Floats | None) -> tuple[Floats, _OfSums]:
    """(N, F) summands of a metric, and what makes it of their sums."""
    if metric == "f1_bins":
        if bins is None:
            raise ValueError("`f1_bins` needs the `bins` that cut the target")
        return _class_counts(np.digitize(truth, bins), np.digitize(predicted, bins), len(bins) + 1), _f1
    if predicted.ndim == 1:
        summands, value = _REGRESSION[metric]
        return summands(truth, predicted), value
    summands, value = _CLASSIFICATION[metric]
    return summands(truth, _shares(predicted)), value


def _shares(probabilities: Array) -> Floats:
    shares: Floats = np.asarray(probabilities, dtype=np.float64)
    sums: Floats = shares.sum(axis=1, keepdims=True)
    return shares / sums


def _ratio(above: Floats, below: Floats, otherwise: float = np.nan) -> Floats:
    ratio = np.full(np.shape(above), otherwise)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


# ------------------------------------------------------------ regression: (N,), (N,) -> (N, F); (R, F) -> (R,)


def _absolute(truth: Array, predicted: Array) -> Floats:
    return np.stack([np.abs(predicted - truth), np.ones(len(truth))], axis=1)


def _squared(truth: Array, predicted: Array) -> Floats:
    return np.stack([(predicted - truth) ** 2, np.ones(len(truth))], axis=1)


def _moments(truth: Array, predicted: Array) -> Floats:
    # Centred and scaled first: differences of large sums of squares would lose the variance.
    x, y = (v - v.mean() for v in (truth, predicted))
    x, y = (v / (np.abs(v).max() or 1.0) for v in (x, y))
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)


def _signed(truth: Array, predicted: Array) -> Floats:
    return np.stack([predicted - truth, np.ones(len(truth))], axis=1)


def _products(truth: Array, predicted: Array) -> Floats:
    x, y = (v - v.mean() for v in (truth, predicted))
    return np.stack([np.ones(len(x)), x, y, y * y, x * y], axis=1)


def _slope(sums: Floats) -> Floats:
    n, x, y, yy, xy = sums.T
    return _ratio(xy - _ratio(x * y, n), _variance(n, y, yy))


def _truth_moments(truth: Array, predicted: Array) -> Floats:
    x = truth - truth.mean()
    return np.stack([np.ones(len(x)), x, x * x, (predicted - truth) ** 2], axis=1)


def _mean(sums: Floats) -> Floats:
    return _ratio(sums[:, 0], sums[:, 1])


def _root_mean(sums: Floats) -> Floats:
    return np.sqrt(_mean(sums))


def _variance(n: Floats, total: Floats, squares: Floats) -> Floats:
    """Sum of squared deviations; 0 where only rounding is left of it."""
    spread = squares - _ratio(total**2, n)
    return np.where(spread > 1e-12 * squares, spread, 0.0)


def _r(sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = sums.T
    spread = np.sqrt(_variance(n, x, xx) * _variance(n, y, yy))
    return np.clip(_ratio(xy - _ratio(x * y, n), spread), -1.0, 1.0)


def _r2(sums: Floats) -> Floats:
    n, x, xx, squared_error = sums.T
    return 1.0 - _ratio(squared_error, _variance(n, x, xx))


# ------------------------------------------------------------ classification: (N,), (N, K) -> (N, F); (R, F) -> (R,)


def _class_counts(truth: Array, predicted: Array, n_classes: int) -> Floats:
    """Columns of each class: right, true, predicted."""
    true, said = (codes[:, None] == np.arange(n_classes) for codes in (truth, predicted))
    return np.concatenate([true & said, true, said], axis=1).astype(np.float64)


def _counts(truth: Array, shares: Floats) -> Floats:
    return _class_counts(truth, shares.argmax(axis=1), shares.shape[1])


def _brier(truth: Array, shares: Floats) -> Floats:
    squares = ((shares - (truth[:, None] == np.arange(shares.shape[1]))) ** 2).sum(axis=1)
    return np.stack([squares, np.ones(len(truth))], axis=1)


def _surprise(truth: Array, shares: Floats) -> Floats:
    # Clipped like scikit-learn's log_loss, so that one wrong certainty does not make it infinite.
    tiny = np.finfo(np.float64).eps
    own = np.clip(shares[np.arange(len(truth)), truth], tiny, 1 - tiny)
    return np.stack([-np.log(own), np.ones(len(truth))], axis=1)


def _confidence_errors(truth: Array, shares: Floats) -> Floats:
    """A column a confidence bin: signed error; then one of ones."""
    confidence = shares.max(axis=1)
    error = (shares.argmax(axis=1) == truth) - confidence
    columns = np.where(confidence_bins(confidence)[:, None] == np.arange(ECE_BINS), error[:, None], 0.0)
    return np.concatenate([columns, np.ones((len(truth), 1))], axis=1)


def _ece(sums: Floats) -> Floats:
    return _ratio(np.abs(sums[:, :-1]).sum(axis=1), sums[:, -1])


def _top(truth: Array, shares: Floats) -> Floats:
    # With few classes nothing is counted, and the metric is left out.
    counted = np.full(len(truth), float(shares.shape[1] > TOP))
    return np.stack([among_top(truth, shares) * counted, counted], axis=1)


def _confidence(truth: Array, shares: Floats) -> Floats:
    right = shares.argmax(axis=1) == truth
    return np.stack([shares.max(axis=1) * right, right], axis=1)


def _accuracy(sums: Floats) -> Floats:
    right, true, _ = np.split(sums, 3, axis=1)
    return _ratio(right.sum(axis=1), true.sum(axis=1))


def _balanced_accuracy(sums: Floats) -> Floats:
    right, true, _ = np.split(sums, 3, axis=1)
    return _ratio(_ratio(right, true, 0.0).sum(axis=1), (true > 0).sum(axis=1).astype(np.float64))


def _macro(sums: Floats, above: Floats, below: Floats) -> Floats:
    """Mean over the classes in truth or prediction."""
    _, true, said = np.split(sums, 3, axis=1)
    return _ratio(_ratio(above, below, 0.0).sum(axis=1), (true + said > 0).sum(axis=1).astype(np.float64))


def _precision(sums: Floats) -> Floats:
    right, _, said = np.split(sums, 3, axis=1)
    return _macro(sums, right, said)


def _recall(sums: Floats) -> Floats:
    right, true, _ = np.split(sums, 3, axis=1)
    return _macro(sums, right, true)


def _f1(sums: Floats) -> Floats:
    right, true, said = np.split(sums, 3, axis=1)
    return _macro(sums, 2 * right, true + said)


_Parts = tuple[Callable[[Array, Floats], Floats], _OfSums]
_REGRESSION: Mapping[str, _Parts] = {
    "mae": (_absolute, _mean),
    "rmse": (_squared, _root_mean),
    "r": (_moments, _r),
    "r2": (_truth_moments, _r2),
    "bias": (_signed, _mean),
    "calibration_slope": (_products, _slope),
}
_CLASSIFICATION: Mapping[str, _Parts] = {
    "accuracy": (_counts, _accuracy),
    "balanced_accuracy": (_counts, _balanced_accuracy),
    "precision": (_counts, _precision),
    "recall": (_counts, _recall),
    "f1": (_counts, _f1),
    "top5_accuracy": (_top, _mean),
    "confidence": (_confidence, _mean),
    "brier": (_brier, _mean),
    "ece": (_confidence_errors, _ece),
    "log_loss": (_surprise, _mean),
}


# ---------------------------------------------------------------- ROC-AUC


@dataclass(frozen=True, eq=False)
class _MeanArea:
    """Mean over the classes that allow it."""

    areas: list[_Area]

    def __call__(self, weights: Floats) -> Floats:
        return self._mean([area(weights) for area in self.areas])

    def without_each(self) -> Floats:
        return self._mean([area.without_each() for area in self.areas])

    @staticmethod
    def _mean(areas: list[Floats]) -> Floats:
        values = np.stack(areas)
        defined = ~np.isnan(values)
        return _ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


class _Area:
    """Share of (positive, negative) pairs in order, ties half: the Mann-Whitney form of the area."""

    def __init__(self, positive: Array, score: Floats, subjects: Array) -> None:
        order = np.argsort(score, kind="stable")
        self._owner, self._positive = subjects[order], positive[order]
        self._starts = np.diff(score[order], prepend=-np.inf) != 0  # of each run of equal scores

    def __call__(self, weights: Floats) -> Floats:
        each, starts = weights[:, self._owner], np.flatnonzero(self._starts)
        above = np.add.reduceat(np.where(self._positive, each, 0.0), starts, axis=1)
        below = np.add.reduceat(np.where(self._positive, 0.0, each), starts, axis=1)
        won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        return _ratio(won, above.sum(axis=1) * below.sum(axis=1))

    def without_each(self) -> Floats:
        owner, positive = self._owner, self._positive
        below = _below(~positive, self._starts, np.zeros(len(owner), np.intp))
        above = positive.sum() - _below(positive, self._starts, np.zeros(len(owner), np.intp))
        won = float(below[positive].sum())
        # A pair inside a subject is lost once, though both of its images are.
        mine = np.argsort(owner, kind="stable")
        first = np.diff(owner[mine], prepend=-1) != 0
        run = np.cumsum(self._starts)[mine]
        starts = first | (np.diff(run, prepend=0) != 0)
        inside = _below(~positive[mine], starts, np.maximum.accumulate(np.where(first, np.arange(len(mine)), 0)))
        lost = np.bincount(owner, np.where(positive, below, above))
        lost = lost - np.bincount(owner[mine], np.where(positive[mine], inside, 0.0))
        positives, negatives = (np.bincount(owner, kind) for kind in (positive, ~positive))
        pairs = (positives.sum() - positives) * (negatives.sum() - negatives)
        return _ratio(np.asarray(won - lost, np.float64), pairs.astype(np.float64))


def _below(counted: Array, starts: Array, since: Array) -> Floats:
    """(N,) how many of the counted images lie below each image, those of its own run half.

    Args:
        counted: (N,) which ones, by rising score.
        starts: (N,) where a run of equal scores starts.
        since: (N,) the first image that counts for each.
    """
    before = np.concatenate([[0], np.cumsum(counted)])
    places = np.flatnonzero(starts)
    number = np.cumsum(starts) - 1
    start, stop = places[number], np.append(places[1:], len(counted))[number]
    below: Floats = (before[start] + before[stop]) / 2 - before[since]
    return below


def _roc_auc(truth: Array, shares: Floats, subjects: Array) -> Evaluate:
    columns = [1] if shares.shape[1] == 2 else range(shares.shape[1])
    return _MeanArea([_Area(truth == k, shares[:, k], subjects) for k in columns])
