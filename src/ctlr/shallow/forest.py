"""Random forests (Breiman 2001, Machine Learning 45, 5-32) on points, or on the means of coarse regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctlr.data.store import ArrayStore
from ctlr.shallow.baselines import RandomForestSpec
from ctlr.shallow.boosting import region_means
from ctlr.shallow.sample import Floats, Predict, Rows, Sample, constant

__all__ = ["LEAVES", "fit_forest"]

LEAVES = (1, 4, 16, 64)
"""Fewest images of a leaf, among which the validation images choose."""
TRIED = 25
"""Trees, or all where there are fewer, by which a choice is made; that of the choice then grows on."""


def fit_forest(spec: RandomForestSpec, sample: Sample) -> Predict:
    """Fit forests to the training images; the one that does best on the validation images is kept."""
    if len(np.unique(sample.values)) < 2:
        return constant(sample)
    features = _features(sample.store, sample.rows, spec)
    if not np.ptp(features, axis=0).any():
        return constant(sample)
    held = sample.validation
    seen = None if held is None else _features(held.store, held.rows, spec)
    best: tuple[float, Any] | None = None
    for leaf in LEAVES:
        model = _forest(spec, sample, leaf).fit(features, sample.values)
        if held is None:
            best = 0.0, model
            break
        found = _predicted(model, seen, sample)
        loss = float(((found - held.as_targets()) ** 2).sum(axis=1).mean())
        if best is None or loss < best[0]:
            best = loss, model
    assert best is not None
    model = best[1]
    if model.n_estimators < spec.trees:
        model.set_params(n_estimators=spec.trees).fit(features, sample.values)  # goes on from those that are there

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        if not len(rows):
            return np.empty((0, sample.n_classes) if sample.n_classes else 0)
        found = _predicted(model, _features(store, rows, spec), sample)
        return found if sample.n_classes else found[:, 0]

    return predict


def _forest(spec: RandomForestSpec, sample: Sample, leaf: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if sample.n_classes else RandomForestRegressor
    trees = spec.trees if sample.validation is None else min(spec.trees, TRIED)
    return kind(n_estimators=trees, min_samples_leaf=leaf, warm_start=True, random_state=0, n_jobs=1)


def _features(store: ArrayStore, rows: Rows, spec: RandomForestSpec) -> Any:
    """(N, F) float32, in which a forest compares anyway."""
    return region_means(store, rows, mirror=spec.mirror).astype(np.float32)


def _predicted(model: Any, features: Any, sample: Sample) -> Floats:
    """(N, K) probabilities, or (N, 1) values."""
    if sample.n_classes:
        return sample.expand(model.predict_proba(features), model.classes_.astype(np.int64))
    return np.asarray(model.predict(features))[:, None]
