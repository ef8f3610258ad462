"""Which study of a benchmark a trial means, and the lines that it prints."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from tiny_bench import TINY, Bench

from ctlr.config import BenchmarkConfig, load
from ctlr.errors import ConfigError
from ctlr.tuning.request import TrialJob, TrialRequest, metric_line, pick_study


def asked(**fields: object) -> TrialRequest:
    return TrialRequest(benchmark="tiny.yaml", **fields)  # type: ignore[arg-type]


@pytest.fixture
def wide(tmp_path) -> BenchmarkConfig:
    """Two encoders, two transfers to two targets, two seeds."""
    text = TINY.replace("encoders: {small_cnn: {}}", "encoders: {small_cnn: {}, slim: {name: small_cnn, width: 0.5}}")
    text = text.replace("seeds: [0]", "seeds: [3, 4]").replace(
        "encoders:", "  - {source: {data: cohort, task: age}, target: {data: cohort, task: sex}}\nencoders:", 1
    )
    (tmp_path / "wide.yaml").write_text(text)
    return load(tmp_path / "wide.yaml")


def test_a_method_alone_means_the_largest_size_and_the_first_seed(bench: Bench, wide: BenchmarkConfig) -> None:
    study = pick_study(asked(study="simclr"), bench.config)
    assert (study.method.label, study.n_train, study.seed) == ("simclr", 10, 0)
    study = pick_study(asked(study="vat", encoder="slim", transfer="cohort.sex"), wide)
    assert (study.seed, study.target.task.name, study.encoder.label) == (3, "sex", "slim")


def test_the_other_options_narrow_it(bench: Bench, wide: BenchmarkConfig) -> None:
    assert pick_study(asked(study="vat", n_train=6), bench.config).n_train == 6
    study = pick_study(asked(study="vat", encoder="slim", transfer="cohort.sex:cohort.age", seed=4), wide)
    assert (study.seed, study.target.task.name) == (4, "age")


def test_an_id_names_its_study(bench: Bench) -> None:
    study = bench.study("scratch", 6)
    assert pick_study(asked(study=study.id), bench.config) == study


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"study": "simlcr"}, "`--study simlcr`: the benchmark has no such study. Did you mean 'simclr'"),
        ({"study": "mean"}, "`--study mean`"),
        ({"study": "vat", "n_train": 7}, "`--n 7`.* Known: 10, 6"),
        ({"study": "vat", "seed": 9}, "`--seed 9`.* Known: 0"),
        ({"study": "vat", "encoder": "resnet18"}, "`--encoder resnet18`.* Known: small_cnn"),
        ({"study": "vat", "transfer": "a.b"}, "`--transfer a.b`.* Known: cohort.sex:cohort.age"),
    ],
)
def test_what_is_not_there_lists_what_is(fields: dict[str, object], told: str, bench: Bench) -> None:
    with pytest.raises(ConfigError, match=told):
        pick_study(asked(**fields), bench.config)


def test_an_ambiguous_name_says_what_would_decide(wide: BenchmarkConfig) -> None:
    told = r"names 4 studies.*--encoder slim\|small_cnn and --transfer cohort.age:cohort.sex\|cohort.sex:cohort.age"
    with pytest.raises(ConfigError, match=told):
        pick_study(asked(study="vat"), wide)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"stage": "pretrain", "validation": "kfold:3"}, "Remove `--validation`"),
        ({"checkpoint": "here", "validation": "repeats:2"}, "Use `--validation holdout`"),
        ({"checkpoint": "here", "stage": "pretrain"}, "holds the weights of one finetuning"),
        ({"checkpoint": "here", "stage": "joint", "assignments": {"encoder.width": "2"}}, "fit one encoder alone"),
    ],
)
def test_schemes_that_exclude_each_other_are_refused(fields: dict[str, object], told: str, bench: Bench) -> None:
    with pytest.raises(ConfigError, match=told):
        TrialJob(study=bench.study("supervised"), **fields).check()  # type: ignore[arg-type]


def test_a_line_has_its_time_in_utc_and_only_finite_numbers_with_all_their_digits() -> None:
    berlin = datetime(2026, 11, 20, 13, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    line = metric_line({"epoch": 3, "val_mae": 9.487340418306545, "val_r": float("nan"), "lr": 1e-5}, berlin)
    assert line == "2026-11-20T12:00:00.123456Z epoch=3 val_mae=9.487340418306545 lr=1e-05"
    assert metric_line({"x": float("inf")}, datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
