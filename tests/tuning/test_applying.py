"""What a search chose, put into a benchmark's file."""

import re
from pathlib import Path
from typing import Any

import pytest
from tiny_bench import TINY

from ctlr.config import load
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.specs import Study
from ctlr.tuning.applying import applied, check_fit, options_yaml, places

FOR_TUNING = TINY.replace("supervised: {finetune: {n_frozen: 1}}, simclr: {}, ", "")
"""With methods alone that state their own spaces."""
CHOSEN = {"lr": "0.0012345678901234567", "finetune.epochs": "7"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def study_of(file: Path, label: str) -> Study:
    return next(study for study in make_plan(load(file)).studies if study.method.label == label)


def other(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = TINY
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "other.yaml"
    path.write_text(text)
    return path


def test_options_stand_below_their_method_and_their_encoder(file: Path) -> None:
    study = study_of(file, "simclr")
    assert places(study, {"temperature": "0.1", "pretrain.lr": "1e-3", "dropout": "0.2", "encoder.width": "2"}) == {
        ("methods", "simclr", "temperature"): "0.1", ("methods", "simclr", "pretrain", "lr"): "1e-3",
        ("methods", "simclr", "finetune", "dropout"): "0.2", ("encoders", "small_cnn", "width"): "2",
    }  # fmt: skip


def test_a_file_gets_the_options_to_the_last_digit_and_nothing_else_changes(file: Path) -> None:
    change = applied(file, study_of(file, "vat"), CHOSEN)
    assert change.before == TINY
    assert [line for line in change.diff.splitlines() if line[0] in "+-"][2:] == [
        "-methods: {scratch: {}, supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}}",
        "+methods: {scratch: {}, supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {finetune: {lr: "
        "0.0012345678901234567, epochs: 7}}}",
    ]  # fmt: skip
    assert file.read_text() == TINY  # nothing is written yet
    file.write_text(change.after)
    tuned = load(file).methods["vat"].finetune
    assert (tuned.lr, tuned.epochs) == (0.0012345678901234567, 7)
    assert applied(file, study_of(file, "vat"), CHOSEN).diff == ""


def test_what_stands_there_may_be_written_otherwise(file: Path, tmp_path: Path) -> None:
    same = other(tmp_path, ("vat: {}", "vat: {finetune: {lr: 1.0e-3}}"))
    assert applied(same, study_of(file, "vat"), {"lr": "0.001"}).diff == ""


@pytest.mark.parametrize(
    ("changes", "label", "assignments", "told"),
    [
        (
            [("vat: {}", "vatt: {method: vat}")], "vat", {"lr": "0.1"},
            "other.yaml:10: methods: has no 'vat', which the search tuned. Did you mean 'vatt'? ",
        ),
        (
            [("vat: {}", "mine: {method: pooled}")], "mine", {"lr": "0.1"},
            "other.yaml:10: methods.mine: is a pooled here, and the search tuned a vat. Apply it to a file that has "
            "one.",
        ),
        (
            [("supervised: {finetune: {n_frozen: 1}}", "supervised: {sweep: {finetune: {n_frozen: [0, 1]}}}")],
            "supervised-n_frozen0", {"lr": "0.1"},
            "other.yaml:10: methods: 'supervised-n_frozen0' comes of a sweep or a layer transfer, and has no options "
            "of its own. Give it a key here.",
        ),
        (
            [("{small_cnn: {}}", "{resnet18: {}}")], "vat", {"lr": "0.1"},
            "other.yaml:9: encoders: has no 'small_cnn', with which the options were chosen. Known: resnet18.",
        ),
        (
            [("{small_cnn: {}}", "{net: {name: resnet18}}")], "net", {"lr": "0.1"},
            "other.yaml:9: encoders.net: is a resnet18 here, and was a small_cnn in the search. Search with this file, "
            "or name another.",
        ),
        (
            [("{small_cnn: {}}", "{small_cnn: {width: 0.5}}")], "vat", {"lr": "0.1"},
            "other.yaml:9: encoders.small_cnn.width: is 0.5 here, and was 1.0 in the search. Make it 1.0, or search "
            "with this file.",
        ),
        ([], "vat", {"lrr": "0.1"}, "other.yaml:10: methods.vat: `lrr`: vat has no such option. Did you mean 'lr'?"),
        ([], "vat", {"lr": "-1"}, "other.yaml:10: methods.vat: `lr=-1`: must be greater than 0; got -1."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_file_line_and_remedy(
    file: Path, tmp_path: Path, changes: Any, label: str, assignments: dict[str, str], told: str
) -> None:
    path = other(tmp_path, *changes)
    if label in ("mine", "net"):  # of the search's own file, by the user's own names
        file.write_text(
            TINY.replace("vat: {}", "mine: {method: vat}").replace("{small_cnn: {}}", "{net: {name: small_cnn}}")
        )
        if label == "mine":
            path.write_text(path.read_text().replace("{small_cnn: {}}", "{net: {name: small_cnn}}"))
        label = label if label == "mine" else "scratch"
    searched = study_of(path if label.endswith("frozen0") else file, label)
    with pytest.raises(ConfigError, match=re.escape(told)):
        check_fit(path, searched, [assignments])
    assert path.read_text() != ""


def test_an_encoder_that_the_search_has_chosen_may_be_another_one_before(file: Path, tmp_path: Path) -> None:
    narrow = other(tmp_path, ("{small_cnn: {}}", "{small_cnn: {width: 0.5}}"))
    change = applied(narrow, study_of(file, "supervised"), {"encoder.width": "2", "pretrain.lr": "1e-3"})
    assert "small_cnn: {width: 2}" in change.after
    assert "encoders.small_cnn is the encoder of every method, not of supervised alone." in change.notes


def test_a_rule_of_the_whole_file_that_options_would_break_is_told(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"tiny.yaml:10: methods.supervised: .*n_frozen"):
        applied(file, study_of(file, "supervised"), {"n_frozen": "9"})


def test_a_file_that_tunes_itself_is_said_to_search_again(file: Path) -> None:
    file.write_text(FOR_TUNING + "tuning: {trials: 2}\n")
    (note,) = applied(file, study_of(file, "vat"), {"lr": "0.1"}).notes
    assert note.startswith(f"`ctlr run {file}` searches vat anew")
    file.write_text(FOR_TUNING + "tuning: {trials: 2, by_hand: [vat]}\n")
    assert applied(file, study_of(file, "vat"), {"lr": "0.1"}).notes == ()


def test_options_are_lines_to_copy(file: Path) -> None:
    lines = options_yaml(places(study_of(file, "vat"), {**CHOSEN, "epsilon": "0.5"}))
    assert lines == (
        "methods:\n  vat:\n    finetune:\n      lr: 0.0012345678901234567\n      epochs: 7\n    epsilon: 0.5\n"
    )
