"""Names and values of options, and what a stage may tune."""

from typing import Literal

import pytest
from tiny_bench import Bench

from ctlr.errors import ConfigError
from ctlr.specs import Parameter, PretrainSpec
from ctlr.tuning.options import (
    check_stage,
    known_options,
    objective_of,
    parse_validation,
    sample_assignments,
    with_options,
)


@pytest.mark.parametrize(
    ("label", "name", "text", "read"),
    [
        ("scratch", "lr", "1e-4", lambda study: study.method.finetune.lr == 1e-4),
        ("scratch", "finetune.lr", "0.01", lambda study: study.method.finetune.lr == 0.01),
        ("scratch", "epochs", "7", lambda study: study.method.finetune.epochs == 7),
        ("scratch", "clip", "null", lambda study: study.method.finetune.clip is None),
        ("scratch", "optimiser", "sgd", lambda study: study.method.finetune.optimiser == "sgd"),
        ("scratch", "views.rotate", "20", lambda study: study.method.finetune.views.rotate == 20),
        ("scratch", "encoder.width", "0.5", lambda study: study.encoder.width == 0.5),
        ("supervised", "strategy", "linear_probe", None),
        ("scratch", "w", "0.3", lambda study: study.method.finetune.rate_ratio == 0.3),
        ("vat", "strategy", "probe_then_full", lambda study: study.method.finetune.staged),
        ("simclr", "l2_sp", "0.1", lambda study: study.method.finetune.l2_sp == 0.1),
        ("supervised", "pretrain.lr", "2e-3", lambda study: study.method.pretrain.lr == 2e-3),
        ("simclr", "temperature", "0.7", lambda study: study.method.temperature == 0.7),
        ("simclr", "method.temperature", "0.7", lambda study: study.method.temperature == 0.7),
        (
            "vat",
            "views.rotate",
            "20",
            lambda study: study.method.views.rotate == 20 and not study.method.finetune.views,
        ),
        ("vat", "weight", "3", lambda study: study.method.weight == 3),
    ],
)
def test_an_option_is_set_where_its_name_says(label: str, name: str, text: str, read, bench: Bench) -> None:
    study = bench.study(label)
    if read is None:
        study = with_options(study, {"n_frozen": "0", name: text})
        assert study.method.finetune.strategy == "linear_probe"
    else:
        assert read(with_options(study, {name: text}))


def test_everything_else_stays_as_it_is(bench: Bench) -> None:
    study = bench.study("simclr")
    assert with_options(study, {}) == study
    tuned = with_options(study, {"lr": "0.5"})
    assert tuned.id != study.id
    assert PretrainSpec.of(tuned) == PretrainSpec.of(study)


@pytest.mark.parametrize(
    ("label", "name", "text", "told"),
    [
        ("scratch", "lrr", "1", r"`lrr`: scratch has no such option. Did you mean 'lr'\? Known: .*weight_decay"),
        ("scratch", "n_frozen", "1", "`n_frozen`: scratch has no such option"),
        ("vat", "finetune.l2_sp", "1", "has no such option"),
        ("vat", "strategy", "linear_probe", "vat has no pretrained weights to keep"),
        ("supervised", "n_frozen", "5", "`finetune.n_frozen`: small_cnn has 4 blocks; got 5. Lower it"),
        ("supervised", "strategy", "chain_thaw", "`finetune.epochs`: the stages of .* on small_cnn need 5; got 3"),
        ("scratch", "w", "0", "`w=0`: must be greater than 0; got 0"),
        ("scratch", "cycle", "0.5", "`cycle=0.5`: must be greater than or equal to 1; got 0.5"),
        ("scratch", "temperature", "1", "has no such option"),
        ("scratch", "pretrain.lr", "1", "has no such option"),
        ("scratch", "n_train", "5", "has no such option"),
        ("scratch", "label", "x", "has no such option"),
        ("scratch", "lr", "0", "`lr=0`: must be greater than 0; got 0"),
        ("scratch", "lr", "fast", "`lr=fast`: must be a valid number; got 'fast'"),
        ("scratch", "epochs", "7.5", "`epochs=7.5`: must be a valid integer"),
        ("scratch", "batch_size", "16.0", "`batch_size=16.0`: must be a valid integer"),
        ("scratch", "lr", "[1, 2]", "must be a single number"),
        ("scratch", "lr", "{", "no YAML scalar"),
        ("scratch", "lr", ".nan", "`lr=.nan`: must be a finite number"),
        ("supervised", "strategy", "linear_probe", "`strategy: linear_probe` freezes every block already"),
    ],
)
def test_what_cannot_be_set_says_why(label: str, name: str, text: str, told: str, bench: Bench) -> None:
    with pytest.raises(ConfigError, match=told):
        with_options(bench.study(label), {name: text})


def test_every_fault_is_told_at_once(bench: Bench) -> None:
    with pytest.raises(ConfigError) as told:
        with_options(bench.study("scratch"), {"lrr": "1", "dropout": "1.5", "finetune.epochs": "0"})
    assert len(str(told.value).splitlines()) == 3


def test_one_option_under_two_names_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="`finetune.lr`: the same option as `lr`"):
        with_options(bench.study("scratch"), {"lr": "1", "finetune.lr": "1"})


@pytest.mark.parametrize("label", ["scratch", "supervised", "simclr", "vat"])
def test_every_known_option_can_be_set_to_the_value_that_it_has(label: str, bench: Bench) -> None:
    study = bench.study(label)
    for address, path in known_options(study).items():
        value: object = study
        for part in path:
            value = getattr(value, part, None)
        if isinstance(value, bool | int | float | str):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert with_options(study, {address: text}) == study


# ---------------------------------------------------------------- stages


@pytest.mark.parametrize(
    ("label", "name", "stage", "told"),
    [
        ("supervised", "pretrain.lr", "finetune", "changes the pretraining, which all trials share"),
        ("supervised", "encoder.width", "finetune", "changes the pretraining"),
        ("simclr", "temperature", "finetune", "changes the pretraining"),
        ("supervised", "lr", "pretrain", "Did you mean `pretrain.lr`"),
        ("simclr", "temperature", "pretrain", "losses of two trials cannot be compared"),
        ("simclr", "pretrain.batch_size", "pretrain", "losses of two trials cannot be compared"),
        ("simclr", "pretrain.views.rotate", "pretrain", "losses of two trials cannot be compared"),
        ("scratch", "lr", "joint", "scratch does not pretrain"),
        ("vat", "lr", "pretrain", "vat does not pretrain"),
        ("mean", "lr", "finetune", "nothing to tune"),
    ],
)
def test_a_stage_refuses_what_it_cannot_tune(label: str, name: str, stage: str, told: str, bench: Bench) -> None:
    with pytest.raises(ConfigError, match=told):
        check_stage(bench.study(label), [name], stage)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("label", "name", "stage"),
    [
        ("vat", "epsilon", "finetune"), ("scratch", "encoder.width", "finetune"), ("supervised", "lr", "finetune"),
        ("supervised", "pretrain.batch_size", "pretrain"), ("simclr", "pretrain.lr", "pretrain"),
        ("simclr", "temperature", "joint"), ("supervised", "encoder.width", "joint"), ("supervised", "lr", "joint"),
    ],
)  # fmt: skip
def test_a_stage_tunes_what_it_trains(label: str, name: str, stage: str, bench: Bench) -> None:
    check_stage(bench.study(label), [name], stage)  # type: ignore[arg-type]


def test_trials_are_compared_by_what_their_stage_can_judge(bench: Bench) -> None:
    assert objective_of(bench.study("vat"), "finetune") == ("val_mae", "min")
    assert objective_of(bench.study("simclr"), "joint") == ("val_mae", "min")
    assert objective_of(bench.study("supervised"), "pretrain") == ("val_balanced_accuracy", "max")
    assert objective_of(bench.study("simclr"), "pretrain") == ("train_loss", "min")


def test_a_validation_scheme_is_one_of_three() -> None:
    assert parse_validation("holdout").count == 1
    assert (parse_validation("kfold:5").kind, parse_validation("repeats:3").count) == ("kfold", 3)
    for text in ("kfold", "kfold:1", "kfold:x", "holdout:2", "loo", ""):
        with pytest.raises(ConfigError, match="must be holdout, kfold:K or repeats:R"):
            parse_validation(text)


@pytest.mark.parametrize(
    ("kind", "low", "high", "step", "values"),
    [
        ("double", "0", "1", "0.3", ["0.0", "0.3", "0.9"]),  # 1 is never proposed
        ("double", "0", "1", "0.25", ["0.0", "0.25", "1.0"]),
        ("double", "1e-4", "1e308", "1e-4", ["0.0001", "0.0002", "1e+308"]),
        ("int", "1", "12", "5", ["1", "11"]),
        ("int", "1", "12", "", ["1", "12"]),
    ],
)
def test_samples_of_a_range_are_values_of_its_grid(
    kind: Literal["int", "double"], low: str, high: str, step: str, values: list[str]
) -> None:
    parameter = Parameter(name="x", kind=kind, low=low, high=high, step=step)
    assert [each["x"] for each in sample_assignments([parameter])] == values
