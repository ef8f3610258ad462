"""Scores of predictions, under the names of `ctlr.specs.METRICS`; what is undefined is left out, never NaN.

Arrays in, numbers out: nothing here knows torch. N images, K classes. What is scored after every epoch is NumPy alone,
and equals scikit-learn's (the tests compare them), whose checks of 500 predictions cost more than to learn 500 points.
SciPy's parts are imported where they are called: no process should wait for them before it begins to work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctlr.errors import TrainingError

__all__ = [
    "ECE_BINS",
    "TOP",
    "BrainAgeGap",
    "GapCorrection",
    "among_top",
    "brain_age_gap",
    "calibration_error",
    "classification_scores",
    "confidence_bins",
    "fit_gap_correction",
    "is_constant",
    "regression_scores",
]

Floats = NDArray[np.float64]

TOP = 5
"""Classes that `top5_accuracy` looks at."""
ECE_BINS = 15
"""Equal-width bins of the confidence, as in Guo et al. 2017."""


# ---------------------------------------------------------------- regression


def regression_scores(y_true: ArrayLike, y_pred: ArrayLike, *, bins: ArrayLike) -> dict[str, float]:
    """Score a regression.

    Args:
        y_true: (N,) targets, in the target's unit.
        y_pred: (N,) predictions, in the same unit.
        bins: (B - 1,) rising inner edges that cut the target into B classes for `f1_bins`; take them from
            quantiles of training targets, so that they tell nothing of the test set.

    Returns:
        mae, rmse and f1_bins (macro F1 over the bins met in truth or prediction); r2 unless the truth is constant;
        r (Pearson) unless truth or predictions are.

    Raises:
        TrainingError: A prediction is not finite.
        ValueError: The arrays are empty, of different shapes, or a target is missing.
    """
    truth, predicted = _numbers(y_true, y_pred)
    error = predicted - truth
    scores = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
    if not _is_flat(truth):
        about = truth - truth.mean()
        scores["r2"] = float(1 - (error**2).sum() / (about**2).sum())
        if not _is_flat(predicted):
            other = predicted - predicted.mean()
            cosine = float((about / np.linalg.norm(about)) @ (other / np.linalg.norm(other)))
            scores["r"] = min(max(cosine, -1.0), 1.0)
    edges = np.asarray(bins, dtype=np.float64)
    counts = _confusion(np.digitize(truth, edges), np.digitize(predicted, edges), len(edges) + 1)
    scores["f1_bins"] = float(_macro(counts)[2])
    return scores


def is_constant(predictions: ArrayLike, tolerance: float = 1e-5) -> bool:
    """Whether a predictor says the same for every image.

    Args:
        predictions: (N,) numbers or (N, K) probabilities.
        tolerance: Largest spread (greatest minus least, of a column) that counts as none, as a share of the greatest
            magnitude; the default lies above what float32 rounds off, below what any model that learned will say.

    Returns:
        Always False for fewer than two images, which cannot tell.
    """
    values = np.asarray(predictions, dtype=np.float64)
    return len(values) > 1 and float(np.ptp(values, axis=0).max()) <= tolerance * float(np.abs(values).max())


def _numbers(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    truth, predicted = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != predicted.shape or not len(truth):
        raise ValueError(f"truth and predictions must both be (N,) with N > 0; got {truth.shape} and {predicted.shape}")
    if not np.isfinite(truth).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(truth))} targets are missing: score labelled images only")
    return truth, _finite(predicted)


def _finite(predicted: Floats) -> Floats:
    bad = int(np.count_nonzero(~np.isfinite(predicted).reshape(len(predicted), -1).all(axis=1)))
    if bad:
        raise TrainingError(
            f"Predictions must be finite; {bad} of {len(predicted)} are not. "
            "Lower `lr`, set `clip`, or use bf16 instead of fp16."
        )
    return predicted


def _is_flat(values: Floats) -> bool:
    """Constant up to rounding: a correlation with it would be noise."""
    return is_constant(values, 1e-9) or len(values) == 1


# ---------------------------------------------------------------- classification


def classification_scores(y_true: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """Score a classification; the predicted class is the most probable one.

    Args:
        y_true: (N,) class codes 0..K-1.
        probabilities: (N, K), not negative; rows are divided by their sums, which half precision leaves near 1.

    Returns:
        accuracy; balanced_accuracy (mean recall of the classes in the truth); precision, recall and f1 (macro, over the
        classes in truth or prediction, 0 where undefined); roc_auc (of class 1 when K = 2, else the mean of one
        against the rest over the classes that allow it; left out when none does); top5_accuracy (the true class is
        among the five most probable; left out with five classes or fewer); confidence (mean probability of the
        predicted class over the images that are predicted rightly, as LRBench, Wu et al. 2019; left out when none is);
        brier (sum of squares over the
        classes, 0..2, as Brier 1950: with two classes twice the one-sided score); ece (`calibration_error`);
        log_loss (nats).

    Raises:
        TrainingError: A probability is not finite.
        ValueError: Shapes do not fit, a code lies outside 0..K-1, or probabilities are negative or all zero.
    """
    truth, shares = _classes(y_true, probabilities)
    rows, classes = np.arange(len(truth)), shares.shape[1]
    counts = _confusion(truth, shares.argmax(axis=1), classes)
    precision, recall, f1 = _macro(counts)
    told, met = shares[rows, truth], counts.sum(axis=1) > 0
    scores = {
        "accuracy": float(np.trace(counts) / len(truth)),
        "balanced_accuracy": float((np.diag(counts)[met] / counts.sum(axis=1)[met]).mean()),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "brier": float(((shares**2).sum(axis=1) - told**2 + (1 - told) ** 2).mean()),
        "ece": calibration_error(truth, shares),
        "log_loss": float(0 - np.log(np.maximum(told, np.finfo(np.float64).eps)).mean()),
    }
    if classes > TOP:
        scores["top5_accuracy"] = float(among_top(truth, shares).mean())
    right = shares.argmax(axis=1) == truth
    if right.any():
        scores["confidence"] = float(told[right].mean())
    columns = [1] if classes == 2 else range(classes)
    ranked = [k for k in columns if 0 < np.count_nonzero(truth == k) < len(truth)]
    if ranked:
        scores["roc_auc"] = float(np.mean([_auc(truth == k, shares[:, k]) for k in ranked]))
    return scores


def among_top(truth: NDArray[Any], probabilities: Floats) -> NDArray[np.bool_]:
    """(N,) whether the true class is among the five most probable; of equal ones the first counts as the more probable,
    as for the predicted class.

    Args:
        truth: (N,) class codes.
        probabilities: (N, K).
    """
    first = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    found: NDArray[np.bool_] = (first == truth[:, None]).any(axis=1)
    return found


def _confusion(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """(K, K) counts: rows are true classes, columns predicted ones."""
    return np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _macro(counts: NDArray[np.int64]) -> Floats:
    """Mean precision, recall and F1 of the classes in truth or prediction, 0 where undefined."""
    right, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    met = true + said > 0
    shares = np.stack([right, right, 2 * right]) / np.maximum(np.stack([said, true, true + said]), 1)
    means: Floats = shares[:, met].mean(axis=1)
    return means


def _auc(positive: NDArray[np.bool_], scores: Floats) -> float:
    """The share of pairs of a positive and a negative that are in order, ties half (Mann & Whitney 1947)."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def calibration_error(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Expected calibration error (Guo et al. 2017, eq. 3): the mean distance of confidence from accuracy, 0..1.

    Args:
        y_true: (N,) class codes.
        probabilities: (N, K), rows summing to 1.
    """
    shares = np.asarray(probabilities, dtype=np.float64)
    confidence = shares.max(axis=1)
    error = (shares.argmax(axis=1) == np.asarray(y_true)) - confidence
    sums = np.bincount(confidence_bins(confidence), weights=error, minlength=ECE_BINS)
    return float(np.abs(sums).sum() / len(confidence))


def confidence_bins(confidence: Floats) -> NDArray[np.intp]:
    """Number the bin of each confidence: bin m holds (m / 15, (m + 1) / 15]."""
    return np.clip(np.ceil(confidence * ECE_BINS).astype(np.intp) - 1, 0, ECE_BINS - 1)


def _classes(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[Any], Floats]:
    truth, shares = np.asarray(y_true), np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or shares.ndim != 2 or len(truth) != len(shares) or not len(truth) or shares.shape[1] < 2:
        raise ValueError(f"truth must be (N,), probabilities (N, K >= 2), N > 0; got {truth.shape} and {shares.shape}")
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= shares.shape[1]:
        raise ValueError(f"class codes must be integers in 0..{shares.shape[1] - 1}; got {truth.min()}..{truth.max()}")
    _finite(shares)
    sums = shares.sum(axis=1, keepdims=True)
    if shares.min() < 0 or sums.min() <= 0:
        raise ValueError(
            f"probabilities must not be negative, nor all zero; got {shares.min()} and a sum of {sums.min()}"
        )
    return truth, shares / sums


# ---------------------------------------------------------------- brain-age gap


@dataclass(frozen=True, kw_only=True)
class GapCorrection:
    """The part of the gap that age alone explains: slope * age + intercept, in years."""

    slope: float
    """Years of gap a year of age; negative where a model draws everyone towards the mean."""
    intercept: float


@dataclass(frozen=True, kw_only=True, eq=False)
class BrainAgeGap:
    """Predicted minus true age; positive means that the brain looks older."""

    gap: Floats
    """(N,) years."""
    mean: float
    slope: float | None
    """Years of gap a year of age; None when all ages are equal."""


def fit_gap_correction(y_true: ArrayLike, y_pred: ArrayLike) -> GapCorrection:
    """Regress the gap on age, on validation subjects: what is fitted on the test set flatters it.

    Of the two usual corrections this is that of Beheshti et al. 2019 (NeuroImage: Clinical 24, 102063), which takes
    slope * age + intercept off the prediction; Cole's regresses the prediction on age instead (de Lange & Cole 2020,
    NeuroImage: Clinical 26, 102229, compare them).

    Args:
        y_true: (N,) ages in years.
        y_pred: (N,) predicted ages in years.

    Raises:
        TrainingError: A prediction is not finite.
        ValueError: Shapes do not fit, an age is missing, or all ages are equal.
    """
    from scipy import stats

    age, predicted = _numbers(y_true, y_pred)
    if _is_flat(age):
        raise ValueError(f"a slope on age needs two different ages; all {len(age)} are {age[0]:g}")
    line = stats.linregress(age, predicted - age)
    return GapCorrection(slope=float(line.slope), intercept=float(line.intercept))


def brain_age_gap(y_true: ArrayLike, y_pred: ArrayLike, correction: GapCorrection | None = None) -> BrainAgeGap:
    """The gap of each image and its slope on age, uncorrected or corrected.

    A corrected prediction knows the true age. Compare gaps with it, never accuracies: an MAE or R2 of corrected
    predictions looks good whatever the model (Butler et al. 2021, doi 10.1002/hbm.25533).

    Args:
        y_true: (N,) ages in years.
        y_pred: (N,) predicted ages in years.
        correction: Fitted on other subjects; None leaves the gap as it is.

    Raises:
        TrainingError: A prediction is not finite.
        ValueError: Shapes do not fit, or an age is missing.
    """
    from scipy import stats

    age, predicted = _numbers(y_true, y_pred)
    gap = predicted - age
    if correction is not None:
        gap = gap - (correction.slope * age + correction.intercept)
    slope = None if _is_flat(age) else float(stats.linregress(age, gap).slope)
    return BrainAgeGap(gap=gap, mean=float(gap.mean()), slope=slope)
