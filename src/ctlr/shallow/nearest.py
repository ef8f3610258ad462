"""Nearest neighbours (Cover & Hart 1967) on principal components."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore
from ctlr.shallow.baselines import NearestSpec
from ctlr.shallow.choosing import chosen
from ctlr.shallow.components import Components
from ctlr.shallow.sample import Floats, Predict, Rows, Sample, in_blocks

__all__ = ["fit_nearest"]

NEIGHBOURS = (20, 10, 7, 5, 3, 2, 1)
"""How many are asked, among which cross-validation, or the validation points, choose."""
FEW = 15
"""Features of points up to which a tree finds neighbours quickly."""


def fit_nearest(spec: NearestSpec, sample: Sample) -> Predict:
    """Keep the labelled images' places on their leading components; the neighbours' mean, or shares, is predicted."""
    if len(sample.store.arrays.shape) == 1:
        return _fit_points(sample)
    sample = sample.drawn()
    components = Components(sample, mirror=spec.mirror, most=spec.components)
    weights = components.in_voxels(np.eye(components.scores.shape[1]))
    targets = sample.as_targets()

    def loss(count: int, fitted: NDArray[np.int64], held: NDArray[np.int64]) -> Floats:
        found = _neighbours(components.scores[fitted], targets[fitted], components.scores[held], count)
        return np.asarray(((found - targets[held]) ** 2).sum(axis=1))

    count = chosen(NEIGHBOURS, loss, sample.subjects)

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        found = _neighbours(components.scores, targets, components.project(weights, store, rows), count)
        return found if sample.n_classes else found[:, 0]

    return predict


def _fit_points(sample: Sample) -> Predict:
    """Keep all points; how many are asked is chosen by the validation points, or none are given: then the fewest."""
    from sklearn.neighbors import NearestNeighbors

    places, targets = sample.store.read(sample.rows), sample.as_targets()
    # Trees of boxes find neighbours quickly as long as there are few axes.
    kind = "kd_tree" if places.shape[1] <= FEW else "brute"
    model = NearestNeighbors(algorithm=kind).fit(places.astype(np.float64))
    counts = [count for count in NEIGHBOURS if count <= len(places)]

    def asked(store: ArrayStore, rows: Rows, wanted: list[int]) -> Iterator[tuple[slice, list[Floats]]]:
        """Blocks of rows, and for each of the wanted counts the means of so many neighbours' targets."""
        for part in in_blocks(rows, 64 * max(places.shape[1], max(wanted) * targets.shape[1])):
            found = model.kneighbors(store.read(rows[part]).astype(np.float64), max(wanted), return_distance=False)
            sums = np.cumsum(targets[found], axis=1)
            yield part, [sums[:, count - 1] / count for count in wanted]

    chosen_count, held = counts[-1], sample.validation
    if held is not None:
        truth, losses = held.as_targets(), np.zeros(len(counts))
        for part, means in asked(held.store, held.rows, counts):
            losses += [float(((mean - truth[part]) ** 2).sum()) for mean in means]
        chosen_count = counts[int(np.argmin(losses))]

    def predict(store: ArrayStore, rows: Rows) -> Floats:
        found = np.empty((len(rows), targets.shape[1]))
        for part, (means,) in asked(store, rows, [chosen_count]):
            found[part] = means
        return found if sample.n_classes else found[:, 0]

    return predict


def _neighbours(known: Floats, targets: Floats, wanted: Floats, count: int) -> Floats:
    """(M, K) means of the targets of the nearest `count` known places."""
    from sklearn.neighbors import KNeighborsRegressor

    if not len(wanted) or not known.shape[1]:
        return np.repeat(targets.mean(axis=0)[None], len(wanted), axis=0)
    model = KNeighborsRegressor(min(count, len(known)), algorithm="brute").fit(known, targets)
    return np.asarray(model.predict(wanted)).reshape(len(wanted), -1)
