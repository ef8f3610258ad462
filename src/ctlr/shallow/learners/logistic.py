"""Multinomial logistic regression, and ridge regression (Hoerl & Kennard 1970), with the penalty that they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ctlr.shallow.families import LogisticSpec
from ctlr.shallow.features import Singles
from ctlr.shallow.linear import logistic_regression
from ctlr.shallow.sample import Floats

__all__ = ["check", "learn", "predict"]


def learn(spec: LogisticSpec, features: Singles, target: Any, n_classes: int) -> dict[str, Any]:
    """(F, K) weights and (K,) intercepts."""
    if n_classes:
        weights, intercept = logistic_regression(features.astype(np.float64), target, spec.slack)
    else:
        from sklearn.linear_model import Ridge

        model = Ridge(1 / spec.slack).fit(features.astype(np.float64), target)
        weights, intercept = model.coef_[:, None], np.array([model.intercept_])
    return {"weights": weights, "intercept": intercept}


def check(arrays: Mapping[str, Any], width: int, n_classes: int) -> None:
    """Refuse arrays that no model of so many features and classes has."""
    outputs = max(1, n_classes)
    if arrays["weights"].shape != (width, outputs) or arrays["intercept"].shape != (outputs,):
        raise ValueError("the weights do not fit each other")


def predict(spec: LogisticSpec, arrays: Mapping[str, Any], features: Singles, n_classes: int) -> Floats:
    """(N, K) probabilities, or (N,) values."""
    from scipy.special import softmax

    outputs = features.astype(np.float64) @ arrays["weights"] + arrays["intercept"]
    return np.asarray(softmax(outputs, axis=1)) if n_classes else np.asarray(outputs[:, 0])
