"""`ctlr lr-find`, as it is typed."""

import csv
import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny_bench import Bench

from ctlr.cli.app import cli
from ctlr.errors import ConfigError


def find(bench: Bench, arguments: str) -> Result:
    words = shlex.split(f"lr-find {bench.file} --workspace {bench.workspace.root} {arguments}")
    return CliRunner().invoke(cli, words, catch_exceptions=False)


def test_the_suggestions_come_with_their_curve_as_figure_and_table(own_bench: Bench) -> None:
    out = own_bench.workspace.root / "curve"
    answer = find(own_bench, f"--study supervised --n 10 --set batch_size=4 --lr-max 1 --out {out} -o json")
    found = json.loads(answer.stdout)
    assert found["stage"] == "finetune"
    with (out / "lr-find.csv").open() as file:
        rows = list(csv.DictReader(file))
    rates = [float(row["lr"]) for row in rows]
    assert len(rates) == found["steps"]
    assert rates[:3] == pytest.approx([1e-7, 1e-7 * 10**0.07, 1e-7 * 10**0.14])
    for rule in ("valley", "steepest"):
        assert min(abs(rate / found[rule] - 1) for rate in rates) < 1e-6
    figure = (out / "lr-find.svg").read_text()
    assert figure.startswith("<?xml")
    assert f"valley {found['valley']:.2g}" in figure
    assert not (own_bench.workspace.root / "finetuned").exists()


def test_the_curve_is_that_of_the_study_and_repeats_to_the_last_digit(own_bench: Bench) -> None:
    answers = [find(own_bench, f"--study scratch --n 10 --steps 20 {more} -o json") for more in ("", "", "--set w=0.1")]
    first, again, other = (json.loads(answer.stdout) for answer in answers)
    assert first == again
    assert other["study"] != first["study"]


def test_a_pretraining_has_a_rate_of_its_own(own_bench: Bench) -> None:
    answer = find(own_bench, "--study simclr --stage pretrain --steps 20 --lr-min 1e-5")
    assert "(pretrain; now 0.001)" in answer.stdout
    assert "valley" in answer.stdout
    assert not (own_bench.workspace.root / "pretrained").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--study scratch --stage pretrain", "`--stage pretrain`: scratch does not pretrain"),
        ("--study scratch --lr-max 1e-8", "`--lr-max` must be above `--lr-min`; got 1e-08 and 1e-07"),
        ("--study scrtch", "Did you mean 'scratch'"),
        ("--study scratch --set w=0", "`w=0`: must be greater than 0; got 0"),
    ],
)
def test_what_cannot_be_swept_says_why(arguments: str, told: str, own_bench: Bench) -> None:
    with pytest.raises(ConfigError) as error:
        find(own_bench, arguments)
    assert told in str(error.value)


def test_the_rates_of_a_study_are_below_its_workspace_by_default(own_bench: Bench) -> None:
    found = json.loads(find(own_bench, "--study scratch --steps 20 -o json").stdout)
    assert (Path(found["folder"]) / "lr-find.csv").exists()
    assert Path(found["folder"]).is_relative_to(own_bench.workspace.root / "rates")
