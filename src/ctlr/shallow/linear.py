"""Ridge regression (Hoerl & Kennard 1970) and multinomial logistic regression, on voxels or principal components."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore
from ctlr.shallow.choosing import chosen, folds_of
from ctlr.shallow.components import Components
from ctlr.shallow.sample import Floats, Predict, Rows, Sample, constant
from ctlr.specs import LinearSpec, UnchangedLinearSpec

__all__ = ["fit_linear"]

PENALTIES = np.logspace(4, -4, 17)
"""Of a ridge, as shares of the images' mean squared length; the strongest first."""
SLACKS = np.logspace(-2, 4, 7)
"""Inverse penalties of a logistic regression on images of mean squared length 1; the strongest penalty first."""


def fit_linear(spec: LinearSpec | UnchangedLinearSpec, sample: Sample) -> Predict:
    """Fit a linear model whose penalty cross-validation chooses.

    A ridge's leaves out one image at a time, or a fifth of the subjects where one has several images; a logistic
    regression's leaves out a fifth of the subjects.
    """
    components = Components(sample, mirror=spec.mirror, most=spec.components if spec.features == "pca" else None)
    if components.scores.shape[1] == 0:  # images that are all the same tell nothing
        return constant(sample)
    if sample.n_classes:
        return _logistic(components, sample)
    return _ridge(components, sample)


def _ridge(components: Components, sample: Sample) -> Predict:
    from sklearn.linear_model import RidgeCV

    subjects = sample.subjects
    together = len(np.unique(subjects)) < len(subjects)
    model = RidgeCV(PENALTIES * components.norm**2, cv=folds_of(subjects) if together else None)
    model.fit(components.scores, sample.values)
    weights, intercept = components.in_voxels(model.coef_[:, None]), float(model.intercept_)
    return lambda store, rows: components.project(weights, store, rows)[:, 0] + intercept


def _logistic(components: Components, sample: Sample) -> Predict:
    codes = sample.values.astype(np.int64)
    if len(np.unique(codes)) < 2:
        return constant(sample)
    features = components.scores / components.norm
    subjects = sample.subjects

    def loss(slack: float, fitted: NDArray[np.int64], held: NDArray[np.int64]) -> Floats:
        return _log_losses(sample, features, codes, slack, fitted, held)

    slack = chosen(list(SLACKS), loss, subjects)
    model = _fitted(features, codes, slack)
    # Two classes have one row of weights: the second one's against the first.
    weights = components.in_voxels(model.coef_.T / components.norm)

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        from scipy.special import softmax

        logits = components.project(weights, store, rows) + model.intercept_
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        return sample.expand(softmax(logits, axis=1), model.classes_)

    return predict


def _fitted(features: Floats, codes: NDArray[np.int64], slack: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Few images are always separable: with a weak penalty the optimum lies far out, and need not be reached.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=slack, max_iter=200).fit(features, codes)


def _log_losses(
    sample: Sample, features: Floats, codes: NDArray[np.int64], slack: float, fitted: Rows, held: Rows
) -> Floats:
    """(H,) nats of the held-out images; a class that was not fitted has the probability of one image in N."""
    if len(np.unique(codes[fitted])) < 2:
        shares = np.eye(sample.n_classes)[np.repeat(codes[fitted[0]], len(held))]
    else:
        model = _fitted(features[fitted], codes[fitted], slack)
        shares = sample.expand(model.predict_proba(features[held]), model.classes_)
    return np.asarray(-np.log(np.maximum(shares[np.arange(len(held)), codes[held]], 1 / len(codes))))
