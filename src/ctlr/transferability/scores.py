"""Scores of how well a source model will transfer, from its features or predictions on the target's training data.

Every score is larger where transfer should go better. None of them sees a test image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ctlr.errors import DataError

__all__ = ["combined_class_variance", "h_score", "leep", "log_me", "nce"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def leep(probabilities: NDArray[np.floating], labels: Codes) -> float:
    """Log expected empirical prediction (Nguyen et al. 2020, eq. 2), in nats; at most 0.

    Args:
        probabilities: (N, Z) of the source classes, as the source model predicts them for target images.
        labels: (N,) target classes 0..K-1.

    Raises:
        DataError: A value is not finite, or a class is missing.
    """
    theta = _finite(probabilities, "probabilities")
    joint = _one_hot(labels, len(theta)).T @ theta / len(theta)  # (K, Z)
    marginal = joint.sum(0)
    conditional = np.divide(joint, marginal, out=np.zeros_like(joint), where=marginal > 0)
    expected = (theta * conditional[labels]).sum(1)
    return float(np.log(np.maximum(expected, np.finfo(np.float64).tiny)).mean())


def nce(source: Codes, target: Codes) -> float:
    """Negative conditional entropy -H(target | source) (Tran et al. 2019), in nats; at most 0.

    Args:
        source: (N,) source classes of target images: labels where they are known, else the model's predictions.
        target: (N,) target classes 0..K-1.

    Raises:
        DataError: A class is missing.
    """
    if len(source) != len(target):
        raise DataError(f"Every image needs a source and a target class; got {len(source)} and {len(target)}.")
    _, codes = np.unique(source, return_inverse=True)
    joint = _one_hot(target, len(target)).T @ _one_hot(codes, len(codes)) / len(target)
    marginal = joint.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(joint > 0, joint * np.log(joint / marginal), 0.0)
    return float(terms.sum())


def log_me(features: NDArray[np.floating], target: NDArray[np.generic], *, classification: bool) -> float:
    """Logarithm of the maximum evidence of a linear model on the features (You et al. 2021, alg. 1 and 3), per sample.

    The precisions of weights and noise are found by the fixed-point iteration of the paper; a classification is one
    regression for each class, on 0 and 1.

    Args:
        features: (N, D).
        target: (N,) classes 0..K-1, or numbers.
        classification: Which of them.

    Raises:
        DataError: A value is not finite, features are constant, or a class is missing.
    """
    points = _features(features)
    if classification:
        targets = _one_hot(target.astype(np.int64), len(points))
    else:
        targets = _finite(target.astype(np.float64)[:, None], "targets")
    u, singular, _ = linalg.svd(points, full_matrices=False)
    return float(np.mean([_evidence(u, singular, y, points.shape) for y in targets.T]))


def _evidence(u: Array, singular: Array, y: Array, shape: tuple[int, ...]) -> float:
    """Maximum of log p(y | features) / N over the two precisions."""
    n, d = shape
    spectrum = singular**2
    projected = (u.T @ y) ** 2
    outside = max(float(y @ y - projected.sum()), 0.0)
    alpha, beta = 1.0, 1.0
    for _ in range(_ITERATIONS):
        t = alpha / beta
        gamma = float((spectrum / (spectrum + t)).sum())
        weight = float((spectrum * projected / (spectrum + t) ** 2).sum())
        residual = float((projected * t**2 / (spectrum + t) ** 2).sum()) + outside
        alpha, beta = gamma / (weight + _TINY), (n - gamma) / (residual + _TINY)
        if abs(alpha / beta - t) <= 1e-5 * t:
            break
    t = alpha / beta
    weight = float((spectrum * projected / (spectrum + t) ** 2).sum())
    residual = float((projected * t**2 / (spectrum + t) ** 2).sum()) + outside
    # log |A| of A = alpha + beta F'F; the d - rank directions without data have precision alpha.
    determinant = float(np.log(alpha + beta * spectrum).sum()) + (d - len(spectrum)) * np.log(alpha)
    evidence = d * np.log(alpha) + n * np.log(beta) - determinant
    evidence += -beta * residual - alpha * weight - n * np.log(2 * np.pi)
    return float(evidence / (2 * n))


_ITERATIONS = 100
_TINY = 1e-12


def h_score(features: NDArray[np.floating], labels: Codes) -> float:
    """H-score (Bao et al. 2019, def. 2): trace of cov(features)^-1 cov(class means); at most K - 1.

    With no more samples than features + 1 in general position it is K - 1 whatever the labels, and says nothing.

    Args:
        features: (N, D).
        labels: (N,) classes 0..K-1.

    Raises:
        DataError: A value is not finite, features are constant, or a class is missing.
    """
    points = _features(features)
    points = points - points.mean(0)
    means = _class_means(points, labels)[labels]
    inverse = linalg.pinvh(points.T @ points / len(points))
    return float(np.trace(inverse @ (means.T @ means / len(points))))


def combined_class_variance(features: NDArray[np.floating], labels: Codes) -> float:
    """Share of the features' variance that lies between classes: between / (between + within), in 0..1.

    Between is the variance of the class means, within the mean variance inside classes, both summed over features and
    weighted by class (the ratio that Fisher's criterion maximises).

    Args:
        features: (N, D).
        labels: (N,) classes 0..K-1.

    Raises:
        DataError: A value is not finite, features are constant, a class is missing or has one sample.
    """
    points = _features(features)
    means = _class_means(points, labels)[labels]
    counts = np.bincount(labels)
    if counts.min() < 2:
        raise DataError(
            f"The variance inside a class needs two samples of each; class {int(counts.argmin())} has {counts.min()}. "
            "Add samples or leave the class out."
        )
    between = float((means - points.mean(0)).var(0).sum())
    within = float((points - means).var(0).sum())
    return between / (between + within)


def _class_means(points: Array, labels: Codes) -> Array:
    hot = _one_hot(labels, len(points))
    return np.asarray((hot.T @ points) / hot.sum(0)[:, None])


def _one_hot(labels: Codes, n: int) -> Array:
    """(N, K) of 0 and 1; every class has a sample."""
    if len(labels) != n or n == 0:
        raise DataError(f"Every sample needs a class; got {n} samples and {len(labels)} classes.")
    if labels.min() < 0:
        raise DataError(f"Classes must be numbered from 0; the smallest number is {labels.min()}. Number them anew.")
    counts = np.bincount(labels)
    if counts.min() == 0:
        raise DataError(
            f"Classes must be numbered from 0 and have a sample each; class {int(counts.argmin())} has none. Leave "
            "empty classes out and number the others anew."
        )
    return np.eye(len(counts))[labels]


def _features(values: NDArray[np.floating]) -> Array:
    points = _finite(values, "features")
    if not np.ptp(points, axis=0).any():
        raise DataError(
            "The features are constant: the source model sees no difference. Choose another layer or model."
        )
    return points


def _finite(values: NDArray[np.floating], what: str) -> Array:
    bad = int(np.size(values) - np.isfinite(values).sum())
    if bad:
        raise DataError(f"The {what} must be finite; {bad} of {np.size(values)} values are not. Leave them out.")
    return np.asarray(values, np.float64)
