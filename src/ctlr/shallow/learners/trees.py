"""Trees: one (Breiman et al. 1984), a random forest (Breiman 2001), or boosted ones (Friedman 2001; Ke et al. 2017).

All of them are the same arrays of nodes, tree after tree, a node before those below it:

    feature, threshold (M,)   the question: is the feature at most the threshold?
    left, right (M,)          where yes and no lead; -1 at a leaf
    value (M, K)              what a leaf says, or (M, 1) what it adds to one output
    roots (T,)                first node of each tree
    column (T,)               of boosted trees: the output that it adds to
    start (K,)                of boosted trees: the outputs before the first one
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctlr.shallow.families import BoostingSpec, DecisionTreeSpec, FamilySpec, ForestSpec
from ctlr.shallow.features import Singles
from ctlr.shallow.sample import Floats

__all__ = ["check", "learn", "predict"]

_Tree = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
"""feature, threshold, left, right and value of the nodes of one tree."""


def learn(spec: FamilySpec, features: Singles, target: Any, n_classes: int) -> dict[str, Any]:
    """Nodes of the trees."""
    if isinstance(spec, BoostingSpec):
        return _boosted(spec, features, target, n_classes)
    model = _grown(spec, n_classes).fit(features, target)
    trees = [model] if isinstance(spec, DecisionTreeSpec) else model.estimators_
    return _laid_out([_nodes(each.tree_) for each in trees])


def _grown(spec: FamilySpec, n_classes: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if isinstance(spec, DecisionTreeSpec):
        tree = DecisionTreeClassifier if n_classes else DecisionTreeRegressor
        return tree(max_depth=spec.depth, min_samples_leaf=spec.leaf, ccp_alpha=spec.pruning, random_state=0)
    assert isinstance(spec, ForestSpec)
    forest = RandomForestClassifier if n_classes else RandomForestRegressor
    return forest(
        n_estimators=spec.trees, min_samples_leaf=spec.leaf, max_features=spec.share or "sqrt", random_state=0,
        n_jobs=1,
    )  # fmt: skip


def _nodes(tree: Any) -> _Tree:
    return tree.feature, tree.threshold, tree.children_left, tree.children_right, tree.value[:, 0, :]


def _boosted(spec: BoostingSpec, features: Singles, target: Any, n_classes: int) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
    model = kind(
        max_iter=spec.iterations, learning_rate=spec.learning_rate, max_leaf_nodes=spec.leaves,
        min_samples_leaf=spec.leaf, l2_regularization=spec.l2, early_stopping=False, random_state=0,
    ).fit(features, target)  # fmt: skip
    # scikit-learn tells of these trees under names of its own alone; a test holds the outcome against its predictions.
    rounds = [[each.nodes for each in trees] for trees in model._predictors]
    found = _laid_out([_binned(nodes) for trees in rounds for nodes in trees])
    column = np.array([place for trees in rounds for place in range(len(trees))], np.int32)
    return found | {"column": column, "start": np.asarray(model._baseline_prediction, np.float64).ravel()}


def _binned(nodes: Any) -> _Tree:
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    return nodes["feature_idx"], nodes["num_threshold"], left, right, nodes["value"][:, None]


def _laid_out(trees: Sequence[_Tree]) -> dict[str, Any]:
    """One array of each kind, in which trees lie one after the other."""
    roots = np.concatenate([[0], np.cumsum([len(tree[0]) for tree in trees])])[:-1]

    def moved(side: int) -> NDArray[np.int32]:
        each = [np.where(tree[side] < 0, -1, tree[side] + root) for tree, root in zip(trees, roots, strict=True)]
        return np.concatenate(each).astype(np.int32)

    feature = np.concatenate([np.where(tree[2] < 0, 0, tree[0]) for tree in trees]).astype(np.int32)
    threshold = np.concatenate([np.where(tree[2] < 0, 0.0, tree[1]) for tree in trees]).astype(np.float64)
    value = np.concatenate([tree[4] for tree in trees]).astype(np.float64)
    return {
        "feature": feature, "threshold": threshold, "left": moved(2), "right": moved(3), "value": value,
        "roots": roots.astype(np.int32),
    }  # fmt: skip


def check(arrays: Mapping[str, Any], width: int, n_classes: int) -> None:
    """Refuse nodes that lead back or nowhere, or that nothing leads to."""
    number, roots = len(arrays["feature"]), arrays["roots"]
    outputs = 1 if "start" in arrays else max(1, n_classes)
    fits = all(arrays[name].shape == (number,) for name in ("threshold", "left", "right"))
    fits = fits and arrays["value"].shape == (number, outputs) and roots.ndim == 1 and len(roots) > 0
    if fits:
        inner = np.flatnonzero(arrays["left"] >= 0)
        below = [arrays[side][inner] for side in ("left", "right")]
        # Each node is a root or below exactly one that comes before it: every way ends.
        fits = all((side > inner).all() for side in below)
        fits = fits and np.array_equal(np.sort(np.concatenate([roots, *below])), np.arange(number))
    fits = fits and bool(((arrays["feature"] >= 0) & (arrays["feature"] < width)).all())
    if "start" in arrays:
        columns = 1 if n_classes <= 2 else n_classes
        known = (arrays["column"] >= 0) & (arrays["column"] < columns)
        fits = fits and arrays["column"].shape == roots.shape and arrays["start"].shape == (columns,)
        fits = fits and bool(known.all())
    if not fits:
        raise ValueError("the nodes of its trees do not fit each other")


def predict(spec: FamilySpec, arrays: Mapping[str, Any], features: Singles, n_classes: int) -> Floats:
    """(N, K) probabilities, or (N,) values."""
    from scipy.special import expit, softmax

    leaves = _leaves(arrays, features)
    if "start" not in arrays:
        outputs = arrays["value"][leaves].mean(axis=1)
        return np.asarray(outputs if n_classes else outputs[:, 0])
    outputs = np.repeat(arrays["start"][None], len(features), axis=0)
    said = arrays["value"][leaves, 0]
    for column in range(outputs.shape[1]):
        outputs[:, column] += said[:, arrays["column"] == column].sum(axis=1)
    if n_classes == 2:
        return np.asarray(expit(np.hstack([-outputs, outputs])))
    return np.asarray(softmax(outputs, axis=1)) if n_classes else np.asarray(outputs[:, 0])


def _leaves(arrays: Mapping[str, Any], features: Singles) -> NDArray[np.int32]:
    """(N, T) node at which each tree ends."""
    at = np.repeat(arrays["roots"][None], len(features), axis=0)
    row = np.arange(len(features))[:, None]
    while True:
        left = arrays["left"][at]
        inner = left >= 0
        if not inner.any():
            return at
        yes = features[row, arrays["feature"][at]] <= arrays["threshold"][at]
        at = np.where(inner, np.where(yes, left, arrays["right"][at]), at)
