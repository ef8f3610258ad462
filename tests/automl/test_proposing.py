"""The benchmark file that a search for a model is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from clothes import shapes
from safetensors.torch import save_file

from ctlr.automl import FAMILIES, Guidance, look, prepare, propose
from ctlr.config import load
from ctlr.data.splits import draw_split
from ctlr.data.store import read_table
from ctlr.data.targets import read_targets
from ctlr.encoders import build_encoder
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.searches import check_manifests
from ctlr.specs import encoder_spec
from ctlr.workspace import Workspace


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes(tmp_path_factory.mktemp("pictures") / "shapes", {"lying": 33, "upright": 30, "cross": 28})


def proposed(folder: Path, tmp_path: Path, **guidance: object) -> dict[str, object]:
    made = prepare(folder, Guidance.of(guidance), tmp_path / "w", workers=2)
    config = load(made.file)
    return {"config": config, "plan": make_plan(config), "made": made}


def test_the_file_is_a_benchmark_that_can_be_searched(folder: Path, tmp_path: Path) -> None:
    found = proposed(folder, tmp_path, minutes=10, goal=0.9, most_megabytes=20, trials=50)
    config, plan, made = found["config"], found["plan"], found["made"]
    assert config.name == "shapes"
    assert made.file == (tmp_path / "w" / "automl" / "shapes.yaml").absolute()
    tuning = config.tuning
    assert (tuning.seconds, tuning.race.goal, tuning.race.most_megabytes, tuning.trials) == (450.0, 0.9, 20, 50)
    names = {f"{s.method.label} {s.encoder.label}" for s in plan.searches}
    assert "scratch small_cnn" in names
    assert check_manifests(config, plan).keys() == {(s.method.label, s.encoder.label) for s in plan.searches}
    assert len(made.proposal.families) == len(plan.searches)
    assert {*made.proposal.families, *made.proposal.left_out} <= {*FAMILIES}


def test_every_picture_has_a_side(folder: Path, tmp_path: Path) -> None:
    found = proposed(folder, tmp_path, families=["small-cnn"], test=0.3, validation=0.25)
    study, made = found["plan"].searches[0], found["made"]
    table = read_table(made.looked.stored, Workspace(tmp_path / "w"))
    targets = read_targets(table, study.target.task, "pictures")
    split = draw_split(table, targets, study.split, n_train=study.n_train, n_reserved=study.n_reserved, seed=0)
    total = len(made.looked.stored.excluded) + made.looked.counts[0]
    assert total == 91
    assert (len(split.test), len(split.validation), len(split.train)) == (27, 16, 48)
    assert split.unlabelled == ()


def test_other_families_other_words(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`families`: unknown family 'smal-cnn'\. Did you mean 'small-cnn'"):
        proposed(folder, tmp_path, families=["smal-cnn"])
    with pytest.raises(ConfigError, match="vgg11 does not fit: pictures of 24 pixels"):
        proposed(folder, tmp_path, families=["vgg11"], side=24)


def test_networks_without_time_are_left_out_and_said(folder: Path, tmp_path: Path) -> None:
    looked = look(folder, Guidance(), Workspace(tmp_path / "w"))
    short = propose(looked, Guidance(minutes=0.1))
    assert "vgg16" in short.left_out
    assert "# Left out: vgg16, since an epoch takes some" in short.text
    assert "vgg16" not in short.families
    assert "vgg16" in propose(looked, Guidance(minutes=10_000)).families


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave 2 to train on, too few"):
        proposed(shapes(tmp_path / "few", {"lying": 2, "upright": 2}), tmp_path)


def test_architectures_are_searched_by_evolution_unless_an_algorithm_is_named(folder: Path, tmp_path: Path) -> None:
    def algorithms(**guidance: object) -> dict[str, str]:
        found = proposed(folder, tmp_path, families=["cell-cnn", "row-rnn"], **guidance)
        manifests = check_manifests(found["config"], found["plan"])
        return {encoder: made.algorithm.name for (_, encoder), (made,) in manifests.items()}

    assert algorithms() == {"cell_cnn": "regularizedevolution", "row_rnn": "tpe"}
    assert algorithms(algorithm="random") == {"cell_cnn": "random", "row_rnn": "random"}


def test_weights_begin_a_family_of_their_own(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    encoder = build_encoder(encoder_spec("squeezenet1_1"), channels=1, ndim=2, seed=5)
    save_file({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}, file)
    weights = [{"file": str(file), "encoder": "squeezenet1_1", "licence": "MIT", "trained_on": ["nothing"]}]
    found = proposed(folder, tmp_path, weights=weights, families=["small-cnn", "pretrained-squeezenet1-1"])
    names = {(s.method.label, s.encoder.label) for s in found["plan"].searches}
    assert ("pretrained-squeezenet1-1", "squeezenet1_1") in names
    assert ("pretrained-squeezenet1-1", "small_cnn") not in names
    method = found["config"].methods["pretrained-squeezenet1-1"]
    assert method.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    spaces = check_manifests(found["config"], found["plan"])
    options = {p.name for p in spaces["pretrained-squeezenet1-1", "squeezenet1_1"][0].parameters}
    assert "finetune.strategy" in options
    assert not any(name.startswith("encoder.") for name in options)
    with pytest.raises(ConfigError, match="`weights`: unknown encoder 'squeeze'"):
        proposed(folder, tmp_path, weights=[{"file": str(file), "encoder": "squeeze"}])
    assert torch.is_grad_enabled()
