"""The linear model of the columns that a task reads beside the image: what they alone predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctlr.data.inputs import encoded_rows, input_columns
from ctlr.data.store import ArrayStore
from ctlr.shallow.baselines import CovariatesSpec
from ctlr.shallow.linear import answers, fit_scores
from ctlr.shallow.sample import Floats, Predict, Rows, Sample

__all__ = ["fit_covariates"]


@dataclass(frozen=True)
class _Columns:
    """(N, C) numbers that columns become, centred, as `ctlr.shallow.linear.Scored`."""

    scores: Floats
    norm: float


def fit_covariates(spec: CovariatesSpec, sample: Sample) -> Predict:
    """Fit a linear model whose penalty cross-validation chooses, as `ctlr.shallow.linear.fit_linear` does."""
    columns = input_columns(sample.store.table, sample.inputs, sample.rows, "")
    mean = encoded_rows(columns, sample.store.table, sample.rows).astype(np.float64).mean(axis=0)

    def centred(store: ArrayStore, rows: Rows) -> Floats:
        return np.asarray(encoded_rows(columns, store.table, rows) - mean)

    drawn = sample.drawn()
    scores = centred(drawn.store, drawn.rows)
    norm = float(np.sqrt(np.mean(np.square(scores).sum(axis=1)))) or 1.0
    weights, intercept, codes = fit_scores(_Columns(scores if scores.any() else scores[:, :0], norm), drawn)
    if not scores.any():
        weights = np.zeros((scores.shape[1], weights.shape[1]))

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        return answers(centred(store, rows) @ weights + intercept, codes, sample.n_classes)

    return predict
