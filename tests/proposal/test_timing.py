"""What is proposed for a time, where earlier runs of the workspace have shown what an image costs."""

import json
from pathlib import Path

import layouts
import pytest
from ruamel.yaml import YAML

from ctlr import load as load_file
from ctlr.cost import RUN
from ctlr.proposal import Fitted, choose, fit, look, proposed, seen, text_of
from ctlr.specs import BidsSpec, ImagesSpec, Measured, PreprocessSpec

SECONDS = 2e-3
"""An image of 16^3 voxels."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layouts.openneuro(tmp_path_factory.mktemp("seen") / "people")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """That knows the rates of everything which is proposed."""
    (tmp_path / "workspace").mkdir()
    rates = {RUN: 5.0, "preprocess bids 1x16x16x16": 0.01}
    for method in ("scratch", "supervised", "simclr"):
        rates |= {f"{stage} {method} small_cnn*0.5 1x16x16x16": SECONDS for stage in ("pretrain", "finetune")}
    (tmp_path / "workspace/rates.json").write_text(json.dumps(rates))
    return tmp_path / "workspace"


def fitted(folder: Path, workspace: Path, minutes: float) -> Fitted:
    choice = choose(look(folder), None)
    return fit("own", choice, minutes=minutes, folder=workspace.parent, workspace=workspace, workers=2, device="cpu")


@pytest.mark.parametrize("minutes", [0.2, 0.3, 0.5, 1, 10])
def test_a_proposal_ends_in_time_and_says_what_it_cut(minutes: float, folder: Path, workspace: Path) -> None:
    found = fitted(folder, workspace, minutes)
    assert found.seconds <= 0.85 * 60 * minutes
    assert bool(found.cut) == (minutes < 2)


def test_more_time_gives_more_seeds_longer_training_and_sizes(folder: Path, workspace: Path) -> None:
    little, much = (fitted(folder, workspace, minutes).draft for minutes in (0.1, 10))
    assert (little.seeds, little.effort, len(little.sizes)) == (1, 0, 1)
    assert (much.seeds, much.effort, much.sizes) == (5, 3, (4, 8))


def test_what_is_too_little_for_anything_is_told(folder: Path, workspace: Path) -> None:
    lines = list(proposed(fitted(folder, workspace, 0.05), 0.05))
    assert lines[-1].endswith("more than 0.05 min: a smaller one would say nothing")


def test_the_plan_says_the_same_time(folder: Path, workspace: Path) -> None:
    found = fitted(folder, workspace, 0.5)
    file = workspace.parent / "own.yaml"
    file.write_text(text_of(found, file, folder=folder, minutes=0.5))
    (workspace / "workspace.json").write_text('{"format": 2}')
    planned = load_file(file).plan(workspace, workers=2).estimated_seconds
    assert planned == pytest.approx(found.seconds, abs=0.1)


def test_the_file_says_why_and_is_the_benchmark_that_was_fitted(folder: Path, workspace: Path) -> None:
    found = fitted(folder, workspace, 0.5)
    file = workspace.parent / "own.yaml"
    text = text_of(found, file, folder=folder, minutes=0.5)
    file.write_text(text)
    assert load_file(file).config == found.config
    assert "# Target: age, a guess: of an age something can always be learned." in text
    assert "# Source: sex: it is known for everyone" in text
    assert YAML(typ="safe").load(text)["split"] == {"test": 0.25, "stratify": ["sex", "site"]}


def test_what_was_seen_is_told_with_what_is_wrong(folder: Path) -> None:
    lines = list(seen(look(folder)))
    assert lines[0] == "people: a BIDS dataset in the folder: 24 subjects with T1-weighted images (kind: bids)"
    assert lines[1].startswith("  36 images of 24 subjects, 12 x 14 x 12 voxels of 14 x 14 x 14 mm; values ")
    assert "  sessions: test 24, retest 12" in lines
    assert any(line.startswith("  unusable: 1, a line of participants.tsv needs an image") for line in lines)
    assert any(line.split() == ["group", "2", "classes:", "control", "16,", "patient", "8"] for line in lines)
    assert any(line.endswith("; 2 of 36 missing") for line in lines)


def test_volumes_are_offered_from_coarse_to_as_fine_as_they_are() -> None:
    offered = BidsSpec.preprocessings([Measured(shape=(192, 256, 256), spacing=(1.0, 1.0, 1.0))])
    assert [(each["spacing"], each["shape"][0]) for each in offered] == [
        (12, 16), (8, 24), (6, 32), (4, 48), (3, 64), (2, 96),
    ]  # fmt: skip
    assert BidsSpec.preprocessings([Measured(shape=(48,) * 3, spacing=(4.0,) * 3)])[-1] == {
        "spacing": 4.0, "shape": [48, 48, 48],
    }  # fmt: skip
    for each in offered:
        PreprocessSpec.model_validate_json(json.dumps(each))


def test_pictures_are_offered_up_to_their_own_size() -> None:
    offered = ImagesSpec.preprocessings([Measured(shape=(100, 80), colour=True)] * 3)
    assert [each["shape"] for each in offered] == [[32, 32], [48, 48], [64, 64]]
    assert {each["channels"] for each in offered} == {3}
    assert ImagesSpec.preprocessings([Measured(shape=(8, 8))]) == [
        {"shape": [32, 32], "channels": 1, "normalise": "percentile"}
    ]
