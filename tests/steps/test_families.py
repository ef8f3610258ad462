"""A family that learns from training and validation subjects together, once its options are chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clothes import shapes

from ctlr.config import load
from ctlr.data.preprocess import preprocess
from ctlr.errors import TrainingError
from ctlr.plan import make_plan
from ctlr.specs import StoredArrays, Study
from ctlr.steps.evaluate import evaluate
from ctlr.steps.trial import run_trial
from ctlr.tuning.request import TrialJob
from ctlr.workspace import Workspace

FILE = """\
name: shapes
datasets: {pictures: {kind: images, root: shapes, preprocess: {shape: [24, 24], normalise: percentile}}}
tasks: {kind: {target: class, kind: classification, metric: accuracy}}
transfers: [{target: {data: pictures, task: kind}}]
encoders: {small_cnn: {}}
methods: {scratch: {}, plain: {method: knn}, again: {method: knn, refit: true}}
baselines: []
sample_sizes: [24]
seeds: [0]
split: {test: 18}
"""


@pytest.mark.parametrize(
    ("limit", "told"),
    [({"most_megabytes": 1e-3}, "the model has 0.0"), ({"most_milliseconds": 1e-9}, "an image takes")],
)
def test_a_model_without_a_network_that_is_too_large_or_too_slow_fails_its_trial(
    tmp_path: Path, limit: dict[str, float], told: str
) -> None:
    studies, arrays, workspace = planned(tmp_path)
    with pytest.raises(TrainingError, match=told):
        run_trial(TrialJob(study=studies["plain"], **limit), arrays, workspace, report=lambda metrics: None)
    wide = {"most_megabytes": 10.0, "most_milliseconds": 1e6}
    assert run_trial(TrialJob(study=studies["plain"], **wide), arrays, workspace, report=lambda metrics: None).value


def planned(tmp_path: Path) -> tuple[dict[str, Study], dict[str, StoredArrays], Workspace]:
    shapes(tmp_path / "shapes", {"lying": 24, "upright": 24, "cross": 24})
    (tmp_path / "shapes.yaml").write_text(FILE)
    config, workspace = load(tmp_path / "shapes.yaml"), Workspace(tmp_path / "w")
    arrays = {name: preprocess(data, workspace) for name, data in config.datasets.items()}
    return {study.method.label: study for study in make_plan(config).studies}, arrays, workspace


def test_the_final_model_learns_from_validation_subjects_and_says_what_it_was_before(tmp_path: Path) -> None:
    studies, arrays, workspace = planned(tmp_path)
    plain, again = (evaluate(studies[label], arrays, workspace) for label in ("plain", "again"))
    assert again.scores["before_refit"] == plain.scores["validation"]
    assert "validation" not in again.scores
    assert again.chosen_by == plain.chosen_by
    rows = np.loadtxt(
        workspace.root / again.path / "predictions.csv", delimiter=",", dtype=str, skiprows=1, usecols=(0, 1)
    )
    assert sorted(set(rows.flatten()) & {"train", "validation", "test"}) == ["test", "train"]
    values = {
        label: run_trial(TrialJob(study=studies[label]), arrays, workspace, report=lambda metrics: None).value
        for label in ("plain", "again")
    }
    assert values["plain"] == values["again"] == plain.scores["validation"]["accuracy"]
