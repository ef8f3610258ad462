"""Nearest neighbours (Cover & Hart 1967) on principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore
from ctlr.shallow.baselines import NearestSpec
from ctlr.shallow.choosing import chosen
from ctlr.shallow.components import Components
from ctlr.shallow.sample import Floats, Predict, Rows, Sample

__all__ = ["fit_nearest"]

NEIGHBOURS = (20, 10, 7, 5, 3, 2, 1)
"""How many are asked, among which cross-validation chooses."""


def fit_nearest(spec: NearestSpec, sample: Sample) -> Predict:
    """Keep the labelled images' places on their leading components; the neighbours' mean, or shares, is predicted."""
    sample = sample.drawn()
    components = Components(sample, mirror=spec.mirror, most=spec.components)
    weights = components.in_voxels(np.eye(components.scores.shape[1]))
    targets: Floats = sample.values.astype(np.float64)[:, None]
    if sample.n_classes:
        targets = np.eye(sample.n_classes)[sample.values.astype(np.int64)]

    def loss(count: int, fitted: NDArray[np.int64], held: NDArray[np.int64]) -> Floats:
        found = _neighbours(components.scores[fitted], targets[fitted], components.scores[held], count)
        return np.asarray(((found - targets[held]) ** 2).sum(axis=1))

    count = chosen(NEIGHBOURS, loss, sample.subjects)

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        found = _neighbours(components.scores, targets, components.project(weights, store, rows), count)
        return found if sample.n_classes else found[:, 0]

    return predict


def _neighbours(known: Floats, targets: Floats, wanted: Floats, count: int) -> Floats:
    """(M, K) means of the targets of the nearest `count` known places."""
    from sklearn.neighbors import KNeighborsRegressor

    if not len(wanted) or not known.shape[1]:
        return np.repeat(targets.mean(axis=0)[None], len(wanted), axis=0)
    model = KNeighborsRegressor(min(count, len(known)), algorithm="brute").fit(known, targets)
    return np.asarray(model.predict(wanted)).reshape(len(wanted), -1)
