"""Points beside plain loops and scikit-learn: an epoch of a perceptron, nearest neighbours, a forest, the stored table.

    python -m bench points        # 10 minutes on a quiet core

Both sides of a baseline do the same: fit to the training points, choose by the validation points, predict the test
points. Ours read the stored arrays first, scikit-learn has its numbers in memory. Seconds are those of the CPU: what
else the machine does hardly moves them. Only an epoch's are those of the clock; both sides take turns there.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["jobs"]

COUNTS = (500_000, 250_000, 250_000)
TREES = 8
"""Few, since four forests are grown on each side."""
BATCH = 256
ROUNDS = 5
LIMIT = 2.0
"""CPU seconds."""


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    yield "a perceptron's epoch", _epoch
    yield "generated points and their table", _stored
    for name in ("nearest", "random_forest"):
        yield name, partial(_baseline, name)


def _epoch() -> Iterator[dict[str, Any]]:
    from bench.training import rates

    ours, theirs = rates("mlp", (2,), COUNTS[0], batch=BATCH, rounds=ROUNDS)
    yield {
        "name": f"epoch of an mlp on {COUNTS[0]:,} points, batches of {BATCH}, points/s: bare loop",
        "ours": ours, "theirs": theirs, "ratio": ours / theirs, "target": 0.9,
    }  # fmt: skip


def _stored() -> Iterator[dict[str, Any]]:
    from ctlr.data.kinds.points.generating import SIDES, draw, mixture_of
    from ctlr.data.store import ArrayStore

    for side in SIDES:
        mixture_of("yin_yang", side)
    took = min(_seconds(lambda: [draw("yin_yang", *each, 0) for each in zip(SIDES, COUNTS, strict=True)]) for _ in "12")
    yield {
        "name": "a million points drawn, CPU s: at most 2",
        "ours": took, "theirs": None, "ratio": None, "target": LIMIT,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        arrays, workspace = _arrays(Path(folder))
        took = min(_seconds(lambda: ArrayStore(arrays, workspace)) for _ in "12")
    yield {
        "name": "a table of a million rows opened, CPU s: at most 2",
        "ours": took, "theirs": None, "ratio": None, "target": LIMIT,
    }  # fmt: skip


def _baseline(name: str) -> Iterator[dict[str, Any]]:
    import numpy as np

    from ctlr import shallow
    from ctlr.data.store import ArrayStore
    from ctlr.shallow.baselines import NearestSpec, RandomForestSpec
    from ctlr.shallow.sample import Sample

    spec = NearestSpec() if name == "nearest" else RandomForestSpec(trees=TREES)
    rival = _nearest if name == "nearest" else _forest
    with tempfile.TemporaryDirectory() as folder:
        arrays, workspace = _arrays(Path(folder))
        store = ArrayStore(arrays, workspace)
        codes = store.table.columns["class"].codes
        train, held, test = np.split(np.arange(len(store)), np.cumsum(COUNTS)[:2])
        found: dict[str, Any] = {}

        def ours() -> None:
            validation = Sample(store, held, codes[held], 2)
            sample = Sample(store, train, codes[train], 2, validation)
            found["ours"] = shallow.fit(spec, sample)(store, test)

        points = store.read(np.arange(len(store)))

        def theirs() -> None:
            found["theirs"] = rival((points[train], codes[train]), (points[held], codes[held]), points[test])

        took = {"theirs": _seconds(theirs), "ours": _seconds(ours)}
    assert np.allclose(found["ours"], found["theirs"], atol=1e-6), "both must predict the same"
    yield {
        "name": f"{name}, {COUNTS[0]:,} points to fit, CPU s: scikit-learn", **took,
        "ratio": took["theirs"] / took["ours"], "target": 1.0,
    }  # fmt: skip


def _nearest(train: tuple[Any, Any], held: tuple[Any, Any], test: Any) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    from ctlr.shallow.nearest import NEIGHBOURS

    models = [KNeighborsClassifier(count, algorithm="kd_tree").fit(*train) for count in NEIGHBOURS]
    return min(models, key=lambda model: _loss(model, *held)).predict_proba(test)


def _forest(train: tuple[Any, Any], held: tuple[Any, Any], test: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    from ctlr.shallow.forest import LEAVES

    models = [RandomForestClassifier(TREES, min_samples_leaf=leaf, random_state=0).fit(*train) for leaf in LEAVES]
    return min(models, key=lambda model: _loss(model, *held)).predict_proba(test)


def _loss(model: Any, points: Any, codes: Any) -> float:
    import numpy as np

    return float(((model.predict_proba(points) - np.eye(2)[codes]) ** 2).sum())


def _arrays(folder: Path) -> tuple[Any, Any]:
    """A million stored points."""
    from ctlr.data.preprocess import preprocess
    from ctlr.specs import GeneratedPointsSpec
    from ctlr.workspace import Workspace

    workspace = Workspace(folder)
    return preprocess(GeneratedPointsSpec(generator="yin_yang", points=COUNTS), workspace), workspace


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
