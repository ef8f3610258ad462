"""Several targets of one network: a head each, labels that are missing do not count, the first target stays the one."""

import csv
import json

import numpy as np
import pytest
import torch
from tiny_bench import Bench

from ctlr.config import load
from ctlr.data.store import read_table, write_table
from ctlr.errors import DataError
from ctlr.methods.losses import SeveralLoss, TaskLoss
from ctlr.plan import make_plan
from ctlr.specs import PretrainSpec, Study, StudyResult
from ctlr.steps.assembly import development_of
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune
from ctlr.steps.pretrain import pretrain
from ctlr.steps.trial import run_trial
from ctlr.training.checkpoint import load_model
from ctlr.training.metrics import classification_scores
from ctlr.tuning.request import TrialJob
from ctlr.workspace import Workspace

SETTINGS = [
    "tasks.age={target: age, kind: regression, also: [{target: site, kind: classification}, "
    "{target: weight, kind: regression, weight: 0.5}]}",
    "methods={scratch: {}, supervised: {finetune: {strategy: linear_probe}}, simclr: {}, "
    "refitted: {method: scratch, finetune: {refit: true}}, near: {method: knn, refit: true}}",
    "baselines=[linear]",
]
NAN = float("nan")


@pytest.fixture
def several(own_bench: Bench) -> Bench:
    """The small benchmark with another number in the table, which a third of the subjects lack."""
    config = load(own_bench.file, SETTINGS)
    stored = own_bench.arrays["cohort"]
    workspace = Workspace(own_bench.workspace.root.parent / "several")
    place = workspace.root / stored.path
    place.mkdir(parents=True)
    for file in (own_bench.workspace.root / stored.path).iterdir():
        if file.name != "table.json":
            (place / file.name).symlink_to(file)
    write_table(place, [
        record.model_copy(update={"columns": {**record.columns, "weight": "n/a" if row % 3 == 0 else f"{60 + row}"}})
        for row, record in enumerate(read_table(stored, own_bench.workspace))
    ])  # fmt: skip
    return Bench(own_bench.file, config, make_plan(config), workspace, own_bench.arrays)


def whole(study: Study, bench: Bench) -> StudyResult:
    spec = PretrainSpec.of(study)
    if spec is not None:
        pretrain(spec, bench.arrays, bench.workspace)
    if study.method.trains_network:
        finetune(study, bench.arrays, bench.workspace)
    return evaluate(study, bench.arrays, bench.workspace)


def rows_of(result: StudyResult, bench: Bench) -> list[dict[str, str]]:
    with (bench.workspace.root / result.path / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------- the loss


def test_losses_of_targets_add_up_by_their_weights_each_over_the_rows_that_have_it() -> None:
    loss = SeveralLoss(TaskLoss(classes=0), [(TaskLoss(classes=2), 0.5)])
    assert loss.outputs == 3
    outputs = torch.tensor([[1.0, 0, 0], [5, 0, 0], [2, 0, 0]])
    target = torch.tensor([[0.0, 1], [NAN, NAN], [0, NAN]])
    # (1 + 4) / 2 of the two known numbers, and half of log 2 of the one known class.
    assert loss(outputs, target).item() == pytest.approx(2.5 + 0.5 * np.log(2))


def test_where_no_row_has_a_label_nothing_is_lost() -> None:
    loss = SeveralLoss(TaskLoss(classes=3), [(TaskLoss(classes=0), 2.0)])
    outputs = torch.randn(4, 4, requires_grad=True)
    cost = loss(outputs, torch.full((4, 2), NAN))
    assert cost.item() == 0
    cost.backward()
    assert torch.equal(outputs.grad, torch.zeros(4, 4))  # type: ignore[arg-type]


def test_a_learned_noise_comes_to_what_is_lost_of_each_target() -> None:
    loss = SeveralLoss(TaskLoss(classes=0), [(TaskLoss(classes=2), 1.0)], balanced=True)
    outputs, target = torch.tensor([[2.0, 0, 0], [2, 0, 0]]), torch.tensor([[0.0, 1], [0, 0]])
    assert loss(outputs, target).item() == pytest.approx(4 / 2 + np.log(2))
    assert loss.learned is not None
    optimiser = torch.optim.Adam(loss.learned.parameters(), lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        loss(outputs, target).backward()
        optimiser.step()
    # Where the gradients vanish: sigma^2 is the squared error, and twice the cross-entropy.
    assert loss.learned[0].exp().tolist() == pytest.approx([4, 2 * np.log(2)], rel=1e-3)


# ---------------------------------------------------------------- from images to scores


@pytest.mark.parametrize("label", ["scratch", "supervised", "simclr", "refitted", "near"])
def test_every_target_is_learned_scored_and_written(label: str, several: Bench) -> None:
    result = whole(several.study(label, 10), several)
    scores = result.scores["test"]
    assert {"mae", "also_site_accuracy", "also_site_log_loss", "also_weight_mae"} <= scores.keys()
    rows = [row for row in rows_of(result, several) if row["split"] == "test"]
    sites = [row["also_site_y_true"] for row in rows]
    shares = np.array([[float(row[f"also_site_p_{name}"]) for name in ("north", "south", "west")] for row in rows])
    codes = np.array([("north", "south", "west").index(name) for name in sites])
    known = classification_scores(codes, shares)
    assert scores["also_site_log_loss"] == pytest.approx(known["log_loss"], rel=1e-4)
    weighed = [row for row in rows if row["also_weight_y_true"]]
    assert 0 < len(weighed) < len(rows)
    errors = [abs(float(row["also_weight_y_true"]) - float(row["also_weight_y_pred"])) for row in weighed]
    assert scores["also_weight_mae"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_a_model_answers_every_target_and_the_first_by_default(several: Bench) -> None:
    study = several.study("scratch", 10)
    result = whole(study, several)
    model = load_model(several.workspace.root / result.path)
    development = development_of(study, several.arrays, several.workspace)
    images = development.store.read(development.train)
    each = model.predict_each(images)
    assert list(each) == ["age", "site", "weight"]
    assert each["site"].shape == (10, 3)
    np.testing.assert_allclose(each["site"].sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(images), each["age"])
    train = [row for row in rows_of(result, several) if row["split"] == "train"]
    assert sorted(float(row["also_weight_y_pred"]) for row in train) == pytest.approx(sorted(each["weight"]), rel=1e-4)
    weights = development.also[1].values[development.train]
    assert model.card.also[1].mean == pytest.approx(np.nanmean(weights))
    assert 0 < np.isnan(weights).sum() < 10


def test_the_first_target_chooses_the_epoch_and_the_subjects(several: Bench, own_bench: Bench) -> None:
    study = several.study("scratch", 10)
    alone = study.model_copy(update={"target": study.target.alone()})
    assert alone.identity() == own_bench.study("scratch", 10).identity()
    assert study.identity() != alone.identity()
    one, other = (development_of(each, several.arrays, several.workspace) for each in (study, alone))
    assert one.split == other.split
    assert (len(one.also), len(other.also)) == (2, 0)
    record = finetune(study, several.arrays, several.workspace)
    assert "also_site_balanced_accuracy" in record.scores


def test_other_targets_of_those_who_are_tested_are_out_of_reach(several: Bench) -> None:
    development = development_of(several.study("scratch", 10), several.arrays, several.workspace)
    tested = development.store.table.rows_of(development.split.test)
    assert not any(targets.known[tested].any() for targets in development.also)


def test_a_pretraining_and_a_source_know_the_first_target_alone(several: Bench, own_bench: Bench) -> None:
    assert PretrainSpec.of(several.study("simclr")) == PretrainSpec.of(own_bench.study("simclr"))


def test_the_balance_of_targets_is_learned_with_the_network(several: Bench) -> None:
    study = several.study("scratch", 10)
    learned = study.model_copy(update={"target": study.target.model_copy(update={
        "task": study.target.task.model_copy(update={"balance": "uncertainty"})})})  # fmt: skip
    fixed, balanced = (whole(each, several) for each in (study, learned))
    assert balanced.parameters == fixed.parameters + 3
    assert balanced.scores["test"].keys() == fixed.scores["test"].keys()
    assert balanced.scores["test"] != fixed.scores["test"]
    model = load_model(several.workspace.root / balanced.path)
    assert len(model.card.answers) == 3


def test_the_mean_and_the_baselines_say_something_of_each_target(several: Bench) -> None:
    floor = evaluate(several.study("mean", 10), several.arrays, several.workspace)
    assert floor.scores["test"]["also_site_balanced_accuracy"] == pytest.approx(1 / 3)
    linear = evaluate(several.study("linear", 10), several.arrays, several.workspace)
    assert {"mae", "also_site_accuracy", "also_weight_mae"} <= linear.scores["test"].keys()
    assert "also_site_p_north" in rows_of(linear, several)[0]


def test_a_trial_reports_every_target_and_is_judged_by_the_first(several: Bench) -> None:
    job = TrialJob(study=several.study("scratch", 10), stage="finetune", assignments={}, validation="kfold:4")
    found = run_trial(job, several.arrays, several.workspace, report=lambda _: None)
    assert found.metric == "val_mae"
    assert "val_also_site_accuracy" in found.scores


def test_a_target_that_no_training_subject_has_is_refused(several: Bench) -> None:
    study = several.study("scratch", 6)
    stored = several.arrays["cohort"]
    trained = set(development_of(study, several.arrays, several.workspace).split.train)
    table = read_table(stored, several.workspace)
    write_table(several.workspace.root / stored.path, [
        record.model_copy(update={"columns": {**record.columns, "weight": "n/a" if record.subject in trained else "7"}})
        if record.subject in trained else record
        for record in table
    ])  # fmt: skip
    with pytest.raises(DataError, match="Target 'weight' of `also` must be known for some training subjects"):
        finetune(study, several.arrays, several.workspace)
    with pytest.raises(DataError, match="Target 'weight' of `also` must be known for some training subjects"):
        evaluate(several.study("near", 6), several.arrays, several.workspace)


def test_a_model_of_one_target_is_written_as_before(own_bench: Bench) -> None:
    study = own_bench.study("scratch")
    card = json.loads((own_bench.workspace.root / whole(study, own_bench).path / "model.json").read_text())
    assert card.keys().isdisjoint({"inputs", "fusion_width", "also"})
