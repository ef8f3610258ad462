"""Nearest neighbours (Cover & Hart 1967) by several distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ctlr.shallow.families import KNNSpec
from ctlr.shallow.features import Singles
from ctlr.shallow.sample import Floats

__all__ = ["check", "learn", "predict"]

_LEAST = 1e-9
"""Distance by which weights divide at least: what lies nearer is the same place, but for rounding."""


def learn(spec: KNNSpec, features: Singles, target: Any, n_classes: int) -> dict[str, Any]:
    """The training features and what they show: there is nothing to learn."""
    return {"places": features, "targets": np.eye(n_classes)[target] if n_classes else target[:, None]}


def check(arrays: Mapping[str, Any], width: int, n_classes: int) -> None:
    """Refuse places without a target, or of another width."""
    places, targets = arrays["places"], arrays["targets"]
    if places.shape[1:] != (width,) or targets.shape != (len(places), max(1, n_classes)) or not len(places):
        raise ValueError("places and targets do not fit each other")


def predict(spec: KNNSpec, arrays: Mapping[str, Any], features: Singles, n_classes: int) -> Floats:
    """(N, K) shares of the neighbours' classes, or (N,) means of their targets."""
    known, targets = arrays["places"].astype(np.float64), arrays["targets"]
    distance = _distances(spec, features.astype(np.float64), known)
    found = np.argsort(distance, axis=1, kind="stable")[:, : spec.neighbours]
    weights = np.ones(found.shape)
    if spec.weights == "distance":
        weights = 1 / np.maximum(np.take_along_axis(distance, found, axis=1), _LEAST)
    weights /= weights.sum(axis=1, keepdims=True)
    outputs = np.einsum("nk,nkc->nc", weights, targets[found])
    return np.asarray(outputs if n_classes else outputs[:, 0])


def _distances(spec: KNNSpec, left: Floats, right: Floats) -> Floats:
    """(N, M) distances."""
    if spec.metric == "manhattan":
        from scipy.spatial.distance import cdist

        return np.asarray(cdist(left, right, "cityblock"))
    if spec.metric == "cosine":
        unit = [each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), _LEAST) for each in (left, right)]
        return np.asarray(np.maximum(1 - unit[0] @ unit[1].T, 0))
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)))
