"""Gaussian naive Bayes: each feature has a mean and a variance in each class, and tells by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ctlr.shallow.families import NaiveBayesSpec
from ctlr.shallow.features import Singles
from ctlr.shallow.sample import Floats

__all__ = ["check", "learn", "predict"]


def learn(spec: NaiveBayesSpec, features: Singles, target: Any, n_classes: int) -> dict[str, Any]:
    """(K, F) means and variances, (K,) shares of the classes."""
    from sklearn.naive_bayes import GaussianNB

    model = GaussianNB(var_smoothing=spec.smoothing).fit(features.astype(np.float64), target)
    return {"mean": model.theta_, "variance": model.var_, "share": model.class_prior_}


def check(arrays: Mapping[str, Any], width: int, n_classes: int) -> None:
    """Refuse arrays that no model of so many features and classes has."""
    shapes = {arrays[name].shape for name in ("mean", "variance")}
    if shapes != {(n_classes, width)} or arrays["share"].shape != (n_classes,) or (arrays["variance"] <= 0).any():
        raise ValueError("means and variances do not fit each other")


def predict(spec: NaiveBayesSpec, arrays: Mapping[str, Any], features: Singles, n_classes: int) -> Floats:
    """(N, K) probabilities."""
    from scipy.special import softmax

    points, precision = features.astype(np.float64), 1 / arrays["variance"]
    squares = points**2 @ precision.T - 2 * points @ (arrays["mean"] * precision).T
    constant = np.log(arrays["share"]) - 0.5 * (np.log(arrays["variance"]) + arrays["mean"] ** 2 * precision).sum(
        axis=1
    )
    return np.asarray(softmax(constant - 0.5 * squares, axis=1))
