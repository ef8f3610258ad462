"""A task that reads columns beside the image: from the table to scores, with what the columns alone predict beside."""

import json

import numpy as np
import pytest
from tiny_bench import Bench

from ctlr.config import load
from ctlr.data.gate import Gate
from ctlr.data.inputs import cells_of, input_columns
from ctlr.data.store import ArrayStore, read_table, write_table
from ctlr.data.table import ImageRecord
from ctlr.errors import DataError, LeakageError
from ctlr.plan import make_plan
from ctlr.specs import PretrainSpec, Study, StudyResult
from ctlr.steps.assembly import development_of
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune
from ctlr.steps.pretrain import pretrain
from ctlr.steps.trial import run_trial
from ctlr.training.checkpoint import load_model
from ctlr.tuning.request import TrialJob
from ctlr.workspace import Workspace

SETTINGS = [
    "tasks.age={target: age, kind: regression, inputs: [sex, weight]}",
    "methods={scratch: {}, supervised: {finetune: {strategy: linear_probe}}, pooled: {}, vat: {}, mean_teacher: {}, "
    "pi_model: {}, refitted: {method: scratch, finetune: {refit: true}}}",
    "baselines=[covariates]",
]


def with_weights(bench: Bench, settings: list[str], *, poisoned: bool = False) -> Bench:
    """The bench with a column that goes with age; poisoned, those who are tested have other cells."""
    config = load(bench.file, settings)
    stored = bench.arrays["cohort"]
    workspace = Workspace(bench.workspace.root.parent / ("poisoned" if poisoned else "weighed"))
    place = workspace.root / stored.path
    place.mkdir(parents=True, exist_ok=True)
    for file in (bench.workspace.root / stored.path).iterdir():
        if file.name != "table.json":
            (place / file.name).symlink_to(file)
    plan = make_plan(config)
    ours = Bench(bench.file, config, plan, workspace, bench.arrays)
    rng = np.random.default_rng(0)
    records = [
        weighed(record, float(record.columns["age"]) + rng.normal(0, 5))
        for record in read_table(stored, bench.workspace)
    ]
    write_table(place, records)
    if poisoned:
        tested = set(development_of(plan.studies[0], bench.arrays, workspace).split.test)
        write_table(place, [
            weighed(record, 1e6) if record.subject in tested else record for record in records
        ])  # fmt: skip
    return ours


def weighed(record: ImageRecord, weight: float) -> ImageRecord:
    return record.model_copy(update={"columns": {**record.columns, "weight": f"{weight:.1f}"}})


@pytest.fixture
def weights(own_bench: Bench) -> Bench:
    return with_weights(own_bench, SETTINGS)


def whole(study: Study, bench: Bench) -> StudyResult:
    spec = PretrainSpec.of(study)
    if spec is not None:
        pretrain(spec, bench.arrays, bench.workspace)
    if study.method.trains_network:
        finetune(study, bench.arrays, bench.workspace)
    return evaluate(study, bench.arrays, bench.workspace)


@pytest.mark.parametrize("label", ["scratch", "supervised", "pooled", "vat", "mean_teacher", "pi_model", "refitted"])
def test_every_way_of_learning_reads_the_columns(label: str, weights: Bench) -> None:
    study = weights.study(label)
    result = whole(study, weights)
    assert 0 < result.scores["test"]["mae"] < 60
    model = load_model(weights.workspace.root / result.path)
    development = development_of(study, weights.arrays, weights.workspace)
    learned = development.train
    if study.method.finetune.refit:
        learned = np.concatenate([learned, development.validation])
    assert model.card.inputs == input_columns(development.store.table, study.target.task.inputs, learned, "cohort")
    images = development.store.read(development.train[:1])
    light, heavy = (model.predict(images, inputs={"sex": ["F"], "weight": [weight]})[0] for weight in (0, 1000))
    assert light != heavy


def test_a_pretraining_is_the_same_whatever_is_read_beside_the_image(own_bench: Bench, weights: Bench) -> None:
    plain = make_plan(load(own_bench.file, [SETTINGS[1]]))
    theirs = next(study for study in plain.studies if study.method.label == "supervised")
    ours = weights.study("supervised", theirs.n_train)
    assert PretrainSpec.of(ours) == PretrainSpec.of(theirs)
    assert ours.identity() != theirs.identity()


def test_cells_of_those_who_are_tested_change_no_weight(own_bench: Bench, weights: Bench) -> None:
    poisoned = with_weights(own_bench, SETTINGS, poisoned=True)
    for label in ("scratch", "mean_teacher"):
        study = weights.study(label)
        before = finetune(study, weights.arrays, weights.workspace).sha256
        assert finetune(study, poisoned.arrays, poisoned.workspace).sha256 == before


def test_what_the_columns_alone_predict_stands_beside(weights: Bench) -> None:
    labels = {study.method.label for study in weights.plan.studies}
    assert "covariates" in labels
    result = evaluate(weights.study("covariates", 10), weights.arrays, weights.workspace)
    floor = evaluate(weights.study("mean", 10), weights.arrays, weights.workspace)
    # Ages follow the column with a deviation of 5 years: 4 in the mean, and few labels to learn it from.
    assert result.scores["test"]["mae"] < 8 < floor.scores["test"]["mae"]
    assert set(result.scores) == {"train", "test"}
    assert result.parameters == 0


def test_a_linear_model_of_image_and_columns_is_better_than_one_of_either(own_bench: Bench) -> None:
    settings = [*SETTINGS[:-1], "baselines=[covariates, linear, linear_covariates]"]
    bench = with_weights(own_bench, settings)
    error = {
        label: evaluate(bench.study(label, 10), bench.arrays, bench.workspace).scores["test"]["mae"]
        for label in ("linear", "linear_covariates")
    }
    assert error["linear_covariates"] < 0.8 * error["linear"]


@pytest.mark.parametrize("label", ["ridge", "forest", "svm", "knn", "decision_tree"])
def test_families_without_a_network_read_the_columns(own_bench: Bench, label: str) -> None:
    families = "scratch: {}, ridge: {method: logistic}, forest: {}, svm: {}, knn: {}, decision_tree: {}"
    bench = with_weights(own_bench, [SETTINGS[0], f"methods={{{families}}}", *SETTINGS[2:]])
    found, blind = (
        evaluate(study, bench.arrays, bench.workspace)
        for study in (bench.study(label, 10), alone(bench.study(label, 10)))
    )
    assert found.scores["test"]["mae"] < blind.scores["test"]["mae"]
    model = load_model(bench.workspace.root / found.path)
    assert [column.name for column in model.card.inputs] == ["sex", "weight"]
    store = ArrayStore(bench.arrays["cohort"], bench.workspace)
    rows = np.arange(4)
    cells = {name: cells_of(store.table, name, rows) for name in ("sex", "weight")}
    images = store.read(rows)
    said = model.predict(images, inputs=cells, trusted=True)
    assert np.array_equal(said, np.concatenate([
        model.predict(images[i : i + 1], inputs={name: [each[i]] for name, each in cells.items()}, trusted=True)
        for i in range(4)
    ]))  # fmt: skip
    with pytest.raises(DataError, match="the model reads 'sex', 'weight' beside the image"):
        model.predict(images, trusted=True)


def alone(study: Study) -> Study:
    """The same, asked of images alone."""
    return study.model_copy(update={"target": study.target.alone()})


def test_without_inputs_there_is_no_such_baseline(own_bench: Bench) -> None:
    plan = make_plan(load(own_bench.file, ["baselines=null"]))
    assert not {"covariates", "linear_covariates"} & {study.method.label for study in plan.studies}


def test_kept_from_the_network_the_columns_serve_the_baseline_alone(own_bench: Bench) -> None:
    apart = SETTINGS[0].replace("weight]", "weight], fusion: none")
    bench = with_weights(own_bench, [apart, *SETTINGS[1:]])
    study = bench.study("scratch")
    model = load_model(bench.workspace.root / whole(study, bench).path)
    assert model.card.inputs == ()
    assert "inputs" not in json.loads(model.card.model_dump_json())
    assert "covariates" in {study.method.label for study in bench.plan.studies}


def test_a_trial_is_judged_with_the_columns(weights: Bench) -> None:
    study = weights.study("scratch")
    for validation in ("holdout", "kfold:3"):
        job = TrialJob(study=study, stage="finetune", assignments={}, validation=validation)
        found = run_trial(job, weights.arrays, weights.workspace, report=lambda _: None)
        assert 0 < found.value < 60


def test_a_benchmark_with_a_column_that_tells_the_target_does_not_run(weights: Bench) -> None:
    stored = weights.arrays["cohort"]
    table = read_table(stored, weights.workspace)
    write_table(
        weights.workspace.root / stored.path,
        [weighed(record, 2 * float(record.columns["age"])) for record in table],
    )
    with pytest.raises(LeakageError, match="Input 'weight' of dataset 'cohort' tells the target 'age'"):
        Gate(weights.plan, weights.arrays, weights.workspace).check()
