"""What `ctlr plan --detect` prints."""

import json
from pathlib import Path

import pytest
from pilot import pilot_folder
from terminal import Finished, call


def ctlr(folder: Path, *words: str) -> Finished:
    return call(*words, folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pilot_folder(tmp_path_factory.mktemp("detect"))


def test_the_plan_says_which_gains_it_would_show_and_what_a_gain_needs(folder: Path) -> None:
    command = ("plan", "small.yaml", "--workspace", "whole", "--detect", "1.5")
    text, values = ctlr(folder, *command), ctlr(folder, *command, "-o", "json")
    assert text.code == 0, text.err
    row = json.loads(values.out)["detect"]["rows"][0]
    said = (
        f"n = 20: with 3 seeds and 60 test subjects you will see gains in MAE above {row['detectable']:.2g} years only"
    )
    assert said in text.out
    assert f"For 1.5 years take {row['seeds_needed']} seeds" in text.out
    assert "Gains (years) that are seen with 80 % power after Holm's correction" in text.out
    assert f"{row['grid'][-1]['gain']:.2g}" in text.out


def test_without_a_spread_the_pilot_is_named_and_nothing_is_made(folder: Path) -> None:
    done = ctlr(folder, "plan", "small.yaml", "--workspace", "none", "--detect", "1.5", "--set", "seeds=[4]")
    assert done.code == 0, done.err
    assert "n = 20: no spread was seen." in done.out
    assert "ctlr run small.yaml --set 'seeds=[4, 0, 1]' --workspace none" in done.out
    assert not (folder / "none").exists()


@pytest.mark.parametrize("gain", ["0", "much"])
def test_a_gain_is_a_positive_number(folder: Path, gain: str) -> None:
    done = ctlr(folder, "plan", "small.yaml", "--detect", gain)
    assert done.code == 2
    assert "--detect" in done.err
