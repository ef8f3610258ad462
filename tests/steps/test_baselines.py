"""Baselines as steps: what they are fitted to, what they may not see, what they leave behind."""

import csv
from pathlib import Path

import numpy as np
import pytest
from tiny_bench import Bench

from ctlr import shallow
from ctlr.config import load
from ctlr.data.store import ArrayStore
from ctlr.data.targets import read_targets
from ctlr.errors import DataError, WorkspaceError
from ctlr.plan import make_plan
from ctlr.specs import PretrainSpec, Study, StudyResult
from ctlr.steps import baselines
from ctlr.steps.baselines import baseline_of
from ctlr.steps.evaluate import evaluate
from ctlr.steps.keys import pretrain_key
from ctlr.steps.pretrain import pretrain
from ctlr.training.checkpoint import load_model, read_tensors, write_tensors

SETTINGS = [
    "datasets.other={kind: cohort, subjects: 48, seed: 3, spacing: 6, preprocess: {spacing: 6, shape: [32, 32, 32]}}",
    "transfers=[{source: {data: other, task: age}, target: {data: cohort, task: age}}]",
    "methods={scratch: {}, supervised: {pretrain: {epochs: 1}}}",
    "baselines=null",
]


@pytest.fixture
def shared(own_bench: Bench) -> Bench:
    """Another dataset with the same question, which here holds the same images."""
    config = load(own_bench.file, SETTINGS)
    arrays = own_bench.arrays | {"other": own_bench.arrays["cohort"]}
    return Bench(own_bench.file, config, make_plan(config), own_bench.workspace, arrays)


def sides(bench: Bench, result: StudyResult) -> dict[str, list[float]]:
    with (bench.workspace.root / result.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {side: [float(row["y_pred"]) for row in rows if row["split"] == side] for side in ("validation", "test")}


def ready(study: Study, bench: Bench) -> tuple[ArrayStore, baselines.Baseline]:
    store = ArrayStore(bench.arrays["cohort"], bench.workspace)
    targets = read_targets(store.table, study.target.task, "cohort")
    return store, baseline_of(study, store, targets, bench.arrays, bench.workspace, device="cpu")


@pytest.mark.parametrize("label", ["linear", "gradient_boosting", "nearest"])
def test_a_model_without_a_network_runs_from_images_to_scores(label: str, shared: Bench) -> None:
    result = evaluate(shared.study(label), shared.arrays, shared.workspace)
    # It has learned from the validation subjects: what it says of them is no validation.
    assert set(result.scores) == {"train", "test"}
    assert 0 < result.scores["test"]["mae"] < 60
    assert set(result.seconds) == {"preprocess", "fit", "evaluate"}
    assert (result.parameters, result.pretraining) == (0, "")
    folder = shared.workspace.root / result.path
    assert {path.name for path in folder.iterdir()} >= {"result.json", "predictions.csv"}
    assert not list(folder.glob("model.*"))
    assert {side: len(found) for side, found in sides(shared, result).items()} == {"validation": 6, "test": 12}


def test_a_baseline_learns_from_training_and_validation_subjects_and_no_others(
    shared: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(shallow, "fit", lambda _, sample: seen.append(sample))
    study = shared.study("linear")
    ready(study, shared)
    (sample,) = seen
    assert len(sample.rows) == 12  # 6 + 6
    assert not set(sample.rows.tolist()) & sample.store.sealed
    assert len(sample.store.sealed) == 12


def test_the_sources_linear_model_learns_every_label_of_the_source(shared: Bench) -> None:
    results = [evaluate(shared.study("unchanged_linear", n), shared.arrays, shared.workspace) for n in (6, 10)]
    assert set(results[0].scores) == {"train", "validation", "test"}
    # This source holds the target's own test subjects, so that it knows the answers.
    assert results[0].scores["test"]["mae"] < 0.7 * evaluate_mean(shared)
    assert sides(shared, results[0])["test"] == sides(shared, results[1])["test"]
    assert len(list((shared.workspace.root / "shallow").glob("*[0-9a-f]"))) == 1  # fitted once


def evaluate_mean(bench: Bench) -> float:
    return evaluate(bench.study("mean"), bench.arrays, bench.workspace).scores["test"]["mae"]


def test_the_sources_network_predicts_in_the_units_of_its_target(shared: Bench, tmp_path: Path) -> None:
    study = shared.study("unchanged")
    spec = PretrainSpec.of(study)
    assert spec is not None
    assert spec == PretrainSpec.of(shared.study("supervised"))
    made = pretrain(spec, shared.arrays, shared.workspace)
    result = evaluate(study, shared.arrays, shared.workspace)
    assert set(result.scores) == {"train", "validation", "test"}
    assert result.pretraining == pretrain_key(spec, shared.arrays)
    assert result.seconds["pretrain"] == made.seconds
    assert 20 < np.mean(sides(shared, result)["test"]) < 80  # years, not deviations from a mean
    model = load_model(shared.workspace.root / result.path)
    store, baseline = ready(study, shared)
    rows = np.arange(3)
    assert model.predict(store.read(rows)) == pytest.approx(baseline.predict(store, rows))


def test_a_head_without_a_scaling_says_what_to_remove(shared: Bench) -> None:
    study = shared.study("unchanged")
    spec = PretrainSpec.of(study)
    assert spec is not None
    pretrain(spec, shared.arrays, shared.workspace)
    file = shared.workspace.folder("pretrained", pretrain_key(spec, shared.arrays)) / "head.safetensors"
    write_tensors(file, read_tensors(file)[0], {})
    with pytest.raises(WorkspaceError, match="older version of CTLR pretrained .* Remove that folder"):
        ready(study, shared)


def test_classes_are_matched_by_name_and_others_are_refused(shared: Bench) -> None:
    study = shared.study("unchanged_linear")
    assert baselines._columns(study, ("f", "m"), ("f", "m")) == slice(None)
    assert baselines._columns(study, ("m", "f"), ("f", "m")) == [1, 0]
    with pytest.raises(DataError, match="leave 'unchanged_linear' out of `baselines`"):
        baselines._columns(study, ("f", "m"), ("f", "x"))
