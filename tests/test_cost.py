from pathlib import Path

import pytest

from ctlr.config import TuningSpec, load
from ctlr.cost import Cost, costs, rate_key
from ctlr.plan import make_plan

PLAIN = """\
name: plain
datasets:
  cohort: {kind: cohort, subjects: 400}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
encoders: {small_cnn: {}}
methods:
  scratch: {}
  supervised: {}
  simclr: {}
  vat: {unlabelled_batch_size: 10}
sample_sizes: [20, 50]
seeds: [0, 1, 2]
split: {test: 0.25}
training:
  pretrain: {epochs: 3, batch_size: 32}
  finetune: {epochs: 10, batch_size: 16}
"""


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text(PLAIN)
    return path


def cost_of(rows: list[Cost], stage: str, method: str = "") -> Cost:
    (row,) = [row for row in rows if (row.stage, row.method) == (stage, method)]
    return row


def test_images_are_counted_as_the_loss_sees_them(plain: Path) -> None:
    rows = costs(make_plan(load(plain)), {}, {})
    assert cost_of(rows, "preprocess").images == 400
    assert cost_of(rows, "finetune", "scratch").images == 3 * 10 * (20 + 50)
    # two and four steps an epoch, with ten unlabelled images each
    assert cost_of(rows, "finetune", "vat").images == 3 * 10 * (20 + 50 + 10 * (2 + 4))
    # the pool: 400 subjects less 100 for the test and 50 for validation
    assert cost_of(rows, "pretrain", "simclr").images == 3 * 3 * 250
    assert cost_of(rows, "pretrain", "supervised").images == 3 * 3 * 225
    assert {row.method for row in rows} == {"", "scratch", "supervised", "simclr", "vat"}


def test_steps_of_an_epoch_count_instead_of_rows(plain: Path) -> None:
    rows = costs(make_plan(load(plain, ["training.finetune.steps_per_epoch=5"])), {}, {})
    assert cost_of(rows, "finetune", "scratch").images == 6 * 10 * 5 * 16
    assert cost_of(rows, "finetune", "scratch").steps == 6


def test_a_second_dataset_joins_the_pool(plain: Path) -> None:
    other = ["datasets.other={kind: cohort, subjects: 90, seed: 1}", "transfers.0.source.data=other"]
    rows = costs(make_plan(load(plain, other)), {}, {})
    assert cost_of(rows, "pretrain", "simclr").images == 3 * 3 * (250 + 90)
    assert cost_of(rows, "pretrain", "supervised").images == 3 * 3 * 81
    alone = costs(make_plan(load(plain, [*other, "methods.simclr.pool=source"])), {}, {})
    assert cost_of(alone, "pretrain", "simclr").images == 3 * 3 * 90


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(PLAIN.replace("kind: cohort, subjects: 400", "kind: bids, root: ."))
    plan = make_plan(load(path))
    assert cost_of(costs(plan, {}, {}), "pretrain", "simclr").images is None
    assert cost_of(costs(plan, {}, {}), "preprocess").images is None
    assert cost_of(costs(plan, {"cohort": 400}, {}), "pretrain", "simclr").images == 2250


def test_seconds_come_from_rates_that_were_measured(plain: Path) -> None:
    plan = make_plan(load(plain))
    data = plan.datasets[0]
    study = next(study for study in plan.studies if study.method.label == "scratch")
    key = rate_key("finetune", data, study.method, study.encoder)
    assert key == "finetune scratch small_cnn*1 1x32x32x32"
    assert rate_key("preprocess", data) == "preprocess 1x32x32x32"
    rows = costs(plan, {}, {key: 0.01})
    assert cost_of(rows, "finetune", "scratch").seconds == pytest.approx(21.0)
    assert cost_of(rows, "finetune", "supervised").seconds is None


def test_a_refit_counts_its_epochs_over_both_sides_and_trials_do_not(plain: Path) -> None:
    plan = make_plan(load(plain, ["training.finetune.refit=true"]))
    rows = costs(plan, {}, {})
    # 20 and 50 rows, then 40 and 100
    assert cost_of(rows, "finetune", "scratch").images == 3 * 10 * (20 + 50 + 40 + 100)
    tuned = plan.model_copy(update={"tuning": TuningSpec(trials=4, experiments={}), "searches": plan.studies[3:4]})
    assert plan.studies[3].method.label == "scratch"
    assert cost_of(costs(tuned, {}, {}), "tune", "scratch").images == 4 * 10 * 20


def test_pooled_learning_counts_its_source_images(plain: Path) -> None:
    rows = costs(make_plan(load(plain, ["methods.pooled={source_batch_size: 8}"])), {}, {})
    assert cost_of(rows, "finetune", "pooled").images == 3 * 10 * (20 + 50 + 8 * (2 + 4))
