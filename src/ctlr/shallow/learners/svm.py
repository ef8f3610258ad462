"""Support vector machines (Cortes & Vapnik 1995, Machine Learning 20, 273-297), one against one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from ctlr.shallow.families import SVMSpec
from ctlr.shallow.features import Singles
from ctlr.shallow.sample import Floats

__all__ = ["check", "learn", "predict"]

_STEPS = 200_000
"""Of the solver at most: with a weak penalty it may otherwise go on for hours."""


def learn(spec: SVMSpec, features: Singles, target: Any, n_classes: int) -> dict[str, Any]:
    """Support vectors, what each of them weighs, and intercepts."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC, SVR

    options: dict[str, Any] = {
        "C": spec.slack, "kernel": spec.kernel, "gamma": spec.gamma, "degree": 3, "coef0": 1.0, "max_iter": _STEPS,
    }  # fmt: skip
    model = SVC(**options) if n_classes else SVR(**options, epsilon=spec.epsilon)
    model.random_state = 0  # the solver draws nothing, but fit seeds it, otherwise from everybody's random state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features.astype(np.float64), target)
    return {
        "vectors": model.support_vectors_.astype(np.float32),
        "weights": model.dual_coef_,
        "intercept": model.intercept_,
        "counts": model.n_support_.astype(np.int64),
    }


def check(arrays: Mapping[str, Any], width: int, n_classes: int) -> None:
    """Refuse arrays that no machine of so many features and classes has."""
    vectors, pairs = arrays["vectors"], max(1, n_classes * (n_classes - 1) // 2)
    fits = (
        vectors.shape[1:] == (width,)
        and arrays["weights"].shape == (max(1, n_classes - 1), len(vectors))
        and arrays["intercept"].shape == (pairs,)
        and (not n_classes or (arrays["counts"].shape == (n_classes,) and arrays["counts"].sum() == len(vectors)))
        and (arrays["counts"] >= 0).all()
    )
    if not fits:
        raise ValueError("the support vectors do not fit each other")


def predict(spec: SVMSpec, arrays: Mapping[str, Any], features: Singles, n_classes: int) -> Floats:
    """(N, K) shares that follow the votes of the K (K - 1) / 2 machines, or (N,) values; shares are not calibrated."""
    from scipy.special import expit, softmax

    alike = _kernel(spec, features.astype(np.float64), arrays["vectors"].astype(np.float64))
    if n_classes <= 2:
        margin: Floats = alike @ arrays["weights"][0] + arrays["intercept"][0]
        return np.asarray(expit(np.stack([-margin, margin], axis=1))) if n_classes else margin
    return np.asarray(softmax(_votes(_margins(alike, arrays, n_classes), n_classes), axis=1))


def _kernel(spec: SVMSpec, left: Floats, right: Floats) -> Floats:
    """(N, M) likeness of features."""
    products = left @ right.T
    if spec.kernel == "linear":
        return products
    if spec.kernel == "poly":
        return np.asarray((spec.gamma * products + 1) ** 3)
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * products
    return np.asarray(np.exp(-spec.gamma * np.maximum(squares, 0)))


def _margins(alike: Floats, arrays: Mapping[str, Any], n_classes: int) -> Floats:
    """(N, P) margins between two classes each, above 0 for the first one."""
    weights, edges = arrays["weights"], np.concatenate([[0], np.cumsum(arrays["counts"])])
    part = [slice(edges[code], edges[code + 1]) for code in range(n_classes)]
    # A vector of a class has a weight for each other class, in their order.
    margins = [
        alike[:, part[i]] @ weights[j - 1, part[i]] + alike[:, part[j]] @ weights[i, part[j]]
        for i, j in combinations(range(n_classes), 2)
    ]
    return np.asarray(np.stack(margins, axis=1) + arrays["intercept"])


def _votes(margins: Floats, n_classes: int) -> Floats:
    """(N, K) pairs that a class wins; margins decide between equals."""
    votes, sums = np.zeros((2, len(margins), n_classes))
    for margin, (i, j) in zip(margins.T, combinations(range(n_classes), 2), strict=True):
        votes[:, i] += margin >= 0
        votes[:, j] += margin < 0
        sums[:, i] += margin
        sums[:, j] -= margin
    return np.asarray(votes + sums / (3 * (np.abs(sums) + 1)))
