"""Linear models of the columns that a task reads beside the image: what they alone predict, and with the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctlr.data.inputs import encoded_rows, input_columns
from ctlr.data.store import ArrayStore
from ctlr.shallow.baselines import CovariatesSpec, LinearCovariatesSpec
from ctlr.shallow.components import Components, projected
from ctlr.shallow.linear import answers, fit_scores
from ctlr.shallow.sample import Floats, Predict, Rows, Sample
from ctlr.specs import InputColumn

__all__ = ["fit_covariates", "fit_linear_covariates"]


@dataclass(frozen=True)
class _Scores:
    """(N, R) numbers of images, as `ctlr.shallow.linear.Scored`."""

    scores: Floats
    norm: float = 1.0


@dataclass(frozen=True)
class _Columns:
    """What columns become, centred over the images that are learned from."""

    columns: tuple[InputColumn, ...]
    mean: Floats

    @classmethod
    def of(cls, sample: Sample) -> _Columns:
        table = sample.store.table
        columns = input_columns(table, sample.inputs, sample.rows, "")
        return cls(columns, encoded_rows(columns, table, sample.rows).astype(np.float64).mean(axis=0))

    def __call__(self, store: ArrayStore, rows: Rows) -> Floats:
        """(N, C) numbers."""
        return np.asarray(encoded_rows(self.columns, store.table, rows) - self.mean)

    def scores(self, sample: Sample) -> _Scores:
        """Of a sample's images."""
        scores = self(sample.store, sample.rows)
        return _Scores(scores, float(np.sqrt(np.mean(np.square(scores).sum(axis=1)))) or 1.0)


def fit_covariates(spec: CovariatesSpec, sample: Sample) -> Predict:
    """Fit a linear model whose penalty cross-validation chooses, as `ctlr.shallow.linear.fit_linear` does."""
    columns, drawn = _Columns.of(sample), sample.drawn()
    found = columns.scores(drawn)
    scores = found.scores
    weights, intercept, codes = fit_scores(_Scores(scores if scores.any() else scores[:, :0], found.norm), drawn)
    if not scores.any():
        weights = np.zeros((scores.shape[1], weights.shape[1]))

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        return answers(columns(store, rows) @ weights + intercept, codes, sample.n_classes)

    return predict


def fit_linear_covariates(spec: LinearCovariatesSpec, sample: Sample) -> Predict:
    """The same of image and columns, each half of the squared length, with one penalty."""
    columns, drawn = _Columns.of(sample), sample.drawn()
    image = Components(drawn, mirror=spec.mirror, most=spec.components if spec.features == "pca" else None)
    beside, rank = columns.scores(drawn), image.scores.shape[1]
    units = math.sqrt(0.5) / np.repeat([image.norm, beside.norm], [rank, beside.scores.shape[1]])
    together = np.concatenate([image.scores, beside.scores], axis=1) * units
    weights, intercept, codes = fit_scores(_Scores(together), drawn)
    weights = weights * units[:, None]
    voxels = image.in_voxels(weights[:rank])

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        outputs = projected(store, rows, image.mean, voxels, mirror=spec.mirror)
        return answers(outputs + columns(store, rows) @ weights[rank:] + intercept, codes, sample.n_classes)

    return predict
