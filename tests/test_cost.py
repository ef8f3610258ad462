from pathlib import Path

import pytest

from ctlr.api._preview import _total, _trained_rows
from ctlr.config import TuningSpec, load
from ctlr.cost import Cost, Size, costs, rate_key, watched_images
from ctlr.errors import ConfigError
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
    assert {row.method for row in rows if row.stage != "fit"} == {"", "scratch", "supervised", "simclr", "vat"}


def test_what_a_baseline_is_fitted_to_counts_validation_subjects_too(plain: Path) -> None:
    rows = costs(make_plan(load(plain)), {}, {"fit linear 1x32x32x32": 0.01})
    fits = {row.method: row for row in rows if row.stage == "fit"}
    assert fits.keys() == {"linear", "gradient_boosting", "nearest"}
    assert fits["linear"].images == 3 * 2 * (20 + 50)
    assert fits["linear"].seconds == pytest.approx(4.2)
    assert (fits["linear"].encoder, fits["nearest"].seconds) == ("", None)


def test_the_sources_linear_model_is_fitted_to_the_whole_source(plain: Path) -> None:
    other = ["datasets.other={kind: cohort, subjects: 90, seed: 1}", "transfers.0.source={data: other, task: age}"]
    rows = costs(make_plan(load(plain, other)), {}, {})
    assert cost_of(rows, "fit", "unchanged_linear").images == 6 * 90


def test_steps_of_an_epoch_count_instead_of_rows(plain: Path) -> None:
    rows = costs(make_plan(load(plain, ["training.finetune.steps_per_epoch=5"])), {}, {})
    # 20 rows make two batches of 10, 50 rows four of 12.5: not five full ones of 16
    assert cost_of(rows, "finetune", "scratch").images == 3 * 10 * 5 * 10 + 3 * round(10 * 5 * 12.5)
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
    known = {"cohort": Size(subjects=400, images=400)}
    assert cost_of(costs(plan, known, {}), "pretrain", "simclr").images == 2250


def test_a_dataset_that_is_too_small_is_refused_with_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(PLAIN.replace("kind: cohort, subjects: 400", "kind: bids, root: ."))
    plan = make_plan(load(path))
    with pytest.raises(ConfigError, match=r"50 subjects aside for validation and `split.test` 15 .* has 60, and none"):
        costs(plan, {"cohort": Size(subjects=60, images=60)}, {})


def test_a_subject_with_several_scans_gives_several_images(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(PLAIN.replace("kind: cohort, subjects: 400", "kind: bids, root: ."))
    rows = costs(make_plan(load(path)), {"cohort": Size(subjects=400, images=800)}, {})
    assert cost_of(rows, "preprocess").images == 800
    assert cost_of(rows, "finetune", "scratch").images == 2 * 3 * 10 * (20 + 50)
    assert cost_of(rows, "pretrain", "simclr").images == 2 * 3 * 3 * 250
    drawn = {"cohort": Size(subjects=400, images=800, pools={"age": 430})}
    assert cost_of(costs(make_plan(load(path)), drawn, {}), "pretrain", "simclr").images == 3 * 3 * 430


def test_what_is_done_already_costs_nothing(plain: Path) -> None:
    plan = make_plan(load(plain))
    left = {study.identity() for study in plan.studies if study.method.label == "scratch" and study.seed == 2}
    rows = costs(plan, {}, {}, left)
    scratch, vat, pool = (
        cost_of(rows, *row) for row in (("finetune", "scratch"), ("finetune", "vat"), ("preprocess",))
    )
    assert (scratch.steps, scratch.done, scratch.images) == (2, 4, 10 * (20 + 50))
    assert (vat.steps, vat.done, vat.images, vat.seconds) == (0, 6, 0, 0)
    assert (pool.steps, pool.done, pool.images) == (0, 1, 0)


def test_what_is_predicted_on_the_way_is_counted_beside_the_loss(plain: Path) -> None:
    plan = make_plan(load(plain))
    sizes = {"cohort": Size(subjects=400, images=400)}
    study = next(study for study in plan.studies if study.method.label == "scratch" and study.n_train == 20)
    assert watched_images(study, sizes) == (20, 20 + 20 + 100)
    watched = {spec.method.method: watched_images(spec, sizes) for spec in plan.pretrainings}
    assert watched == {"supervised": (25, 0), "simclr": (0, 0)}


def test_seconds_come_from_rates_that_were_measured(plain: Path) -> None:
    plan = make_plan(load(plain))
    data = plan.datasets[0]
    study = next(study for study in plan.studies if study.method.label == "scratch")
    key = rate_key("finetune", data, study.method, study.encoder)
    assert key == "finetune scratch small_cnn*1 1x32x32x32"
    assert rate_key("preprocess", data) == "preprocess cohort 1x32x32x32"
    rows = costs(plan, {}, {key: 0.01})
    assert cost_of(rows, "finetune", "scratch").seconds == pytest.approx(21.0)
    assert cost_of(rows, "finetune", "supervised").seconds is None


def test_a_refit_counts_its_epochs_over_both_sides_and_trials_do_not(plain: Path) -> None:
    plan = make_plan(load(plain, ["training.finetune.refit=true"]))
    rows = costs(plan, {}, {})
    # 20 and 50 rows, then 40 and 100
    assert cost_of(rows, "finetune", "scratch").images == 3 * 10 * (20 + 50 + 40 + 100)
    scratch = tuple(study for study in plan.studies if study.method.label == "scratch" and study.n_train == 20)[:1]
    tuned = plan.model_copy(update={"tuning": TuningSpec(trials=4, experiments={}), "searches": scratch})
    assert cost_of(costs(tuned, {}, {}), "tune", "scratch").images == 4 * 10 * 20


def test_pooled_learning_counts_its_source_images(plain: Path) -> None:
    rows = costs(make_plan(load(plain, ["methods.pooled={source_batch_size: 8}"])), {}, {})
    assert cost_of(rows, "finetune", "pooled").images == 3 * 10 * (20 + 50 + 8 * (2 + 4))


RACE = ["tuning={seconds: 600, race: {finalists: 1}, share: false, parallel: 2}", "sample_sizes=[20]", "seeds=[0]",
        "methods={scratch: {}, vat: {}, svm: {}, knn: {}}", "baselines=[]"]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 3])
def test_the_seconds_of_a_race_are_on_the_clock_however_many_workers_there_are(plain: Path, workers: int) -> None:
    rows = costs(make_plan(load(plain, RACE)), {}, {}, workers=workers)
    tuned = [row.seconds for row in rows if row.stage == "tune"]
    assert len(tuned) == 4
    assert sum(tuned) / workers == pytest.approx(600)  # type: ignore[arg-type]


def test_of_what_a_race_trains_in_the_end_the_dearest_finalists_count(plain: Path) -> None:
    plan = make_plan(load(plain, RACE))
    images = {row.method: row.images for row in costs(plan, {}, {}) if row.stage in ("fit", "finetune")}
    rates = {
        rate_key("finetune" if study.method.trains_network else "fit", study.target.data, study.method,
                 study.encoder if study.method.trains_network else None): seconds
        / images[study.method.label]
        for study, seconds in ((s, {"scratch": 20, "vat": 100, "svm": 8, "knn": 5}[s.method.label])
                               for s in plan.studies if s.method.role == "method")
    }  # fmt: skip
    rows = costs(plan, {}, rates | {rate_key("preprocess", plan.datasets[0]): 0.0}, workers=2)
    # Of one finalist and the best model without a network, the other two are not trained.
    assert _total(_trained_rows(plan, rows), 2, 0.0) == pytest.approx(600 + (100 + 8) / 2)
