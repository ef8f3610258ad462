"""Estimates of the Bayes error of a target: a description of the data, which no study sees."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from ctlr.data.splits import given_sides
from ctlr.data.store import ArrayStore
from ctlr.data.targets import Targets, read_targets
from ctlr.shallow.bayes_error import assess, most_rows
from ctlr.shallow.components import Components
from ctlr.shallow.sample import Sample
from ctlr.specs import Assessment, LeastErrors, LeastErrorSpec
from ctlr.specs._studies import placeless
from ctlr.steps.keys import Arrays, least_error_key
from ctlr.workspace import Workspace, write_aside

__all__ = ["COMPONENTS", "assess_target"]

COMPONENTS = 20
"""On which images and signals are compared, as the baseline `nearest` compares them."""
_SIDES = {"train": "train", "val": "validation", "test": "test"}
_FEWEST = 20
"""Images of a side, with two classes at least."""

Rows = npt.NDArray[np.int64]


def assess_target(spec: LeastErrorSpec, arrays: Arrays, workspace: Workspace) -> LeastErrors:
    """Estimate the Bayes error of each side of a target, or of all of it where CTLR draws the sides.

    Of a subject's images the first of each class counts. Points are taken as they stand, 200,000 a side at most, or
    20,000 with more than 15 features; of images and signals 2,000 a side, on their 20 leading principal components,
    with which the error is no less than with all of an image.

    Test subjects are looked at too: what comes out describes the data, and nothing is learned or chosen by it.

    Raises:
        DataError, LeakageError: The table's column `split` cannot be used.
        WorkspaceError: The arrays are damaged.
    """
    key = least_error_key(spec, arrays)
    if not workspace.has("least_errors", key):
        began = time.perf_counter()
        stored, data = arrays[spec.target.data.name], spec.target.data
        store = ArrayStore(stored, workspace)
        targets = read_targets(store.table, spec.target.task, data.name)
        found, left_out = dict[str, Assessment](), dict[str, str]()
        with threadpool_limits(spec.threads):
            for side, rows in _sides(store, targets, data.name).items():
                if len(rows) < _FEWEST or len(np.unique(targets.values[rows])) < 2:
                    left_out[side] = f"It has fewer than {_FEWEST} subjects, or a single class."
                else:
                    found[side] = _assessed(store, targets, rows)
        result = LeastErrors(
            target=placeless(spec.target), classes=targets.classes, sides=found, left_out=left_out,
            components=COMPONENTS if len(stored.shape) > 1 else 0, seconds=time.perf_counter() - began,
        )  # fmt: skip
        with workspace.publish("least_errors", key) as partial:
            write_aside(partial / "result.json", result.model_dump_json(indent=1).encode())
    return workspace.read("least_errors", key, "result.json", LeastErrors.model_validate_json)


def _sides(store: ArrayStore, targets: Targets, dataset: str) -> dict[str, Rows]:
    """Rows of each side with a known target, the first of every subject and class."""
    known = np.flatnonzero(targets.known)
    whose = np.stack([store.table.subject.codes[known], targets.values[known].astype(np.int64)])
    rows = known[np.sort(np.unique(whose, axis=1, return_index=True)[1])]
    given = given_sides(store.table, dataset)[rows]
    if (given == "").all():
        return {"all": rows}
    return {name: rows[given == side] for side, name in _SIDES.items() if (given == side).any()}


def _assessed(store: ArrayStore, targets: Targets, rows: Rows) -> Assessment:
    n_classes, points = len(targets.classes), len(store.arrays.shape) == 1
    if points:
        most = most_rows(store.arrays.shape[0])
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
        features = store.read(rows).astype(np.float64)
    else:
        sample = Sample(store, rows, targets.values[rows], n_classes).drawn()
        rows, features = sample.rows, Components(sample, mirror=False, most=COMPONENTS).scores
    return assess(features, targets.values[rows].astype(np.int64), n_classes)
