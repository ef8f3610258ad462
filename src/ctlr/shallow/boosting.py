"""Boosted trees (Friedman 2001, Annals of Statistics 29, 1189-1232) on the means of coarse regions."""

from __future__ import annotations

import math

import numpy as np

from ctlr.data.store import ArrayStore
from ctlr.shallow.baselines import GradientBoostingSpec
from ctlr.shallow.sample import Floats, Predict, Rows, Sample, constant, in_blocks, pictures

__all__ = ["coarse_means", "fit_boosting", "region_means"]

SIDES = {0: 1, 1: 64, 2: 16, 3: 8}
"""Regions along each axis of a signal, picture or volume, a few hundred together; of points each feature is one."""
DEPTH = 2
"""Questions that a tree asks of an image: weak learners, as few images want."""


def fit_boosting(spec: GradientBoostingSpec, sample: Sample) -> Predict:
    """Fit boosted trees to every labelled image; no image stops them early."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    if len(np.unique(sample.values)) < 2:
        return constant(sample)
    kind = GradientBoostingClassifier if sample.n_classes else GradientBoostingRegressor
    # Some of the regions at each question: neighbours tell nearly the same, and looking at all of them takes long.
    model = kind(
        n_estimators=spec.iterations, learning_rate=spec.learning_rate, max_depth=DEPTH, max_features="sqrt",
        random_state=0,
    )  # fmt: skip
    values = sample.values.astype(np.int64) if sample.n_classes else sample.values
    model.fit(region_means(sample.store, sample.rows, mirror=spec.mirror), values)

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        if not len(rows):
            return np.empty((0, sample.n_classes) if sample.n_classes else 0)
        features = region_means(store, rows, mirror=spec.mirror)
        if not sample.n_classes:
            return np.asarray(model.predict(features))
        return sample.expand(model.predict_proba(features), model.classes_)

    return predict


def region_means(store: ArrayStore, rows: Rows, *, mirror: bool | str) -> Floats:
    """(N, F) means of the regions of a coarse grid, channel by channel."""
    parts = [
        coarse_means(pictures(store, rows[part], mirror=mirror))
        for part in in_blocks(rows, math.prod(store.arrays.shape))
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0))


def coarse_means(images: Floats) -> Floats:
    """(N, F) means of the regions of (N, C, *S) images."""
    regions = SIDES[images.ndim - 2]
    for axis in range(2, images.ndim):
        edges = np.linspace(0, images.shape[axis], min(regions, images.shape[axis]) + 1).round().astype(np.int64)
        sums = np.add.reduceat(images, edges[:-1], axis=axis)
        images = sums / np.diff(edges).reshape(-1, *[1] * (images.ndim - axis - 1))
    return images.reshape(len(images), -1)
