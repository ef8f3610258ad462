"""What a user may set: each option of the command, and each argument in Python, ends in the same benchmark file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from clothes import shapes
from ruamel.yaml import YAML
from safetensors.torch import save_file

import ctlr
from ctlr.api._file import BenchmarkFile
from ctlr.automl import Guidance
from ctlr.cli.app import cli
from ctlr.config import load
from ctlr.encoders import build_encoder
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.searches import check_manifests
from ctlr.specs import encoder_spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes(tmp_path_factory.mktemp("pictures") / "shapes", {"lying": 33, "upright": 30, "cross": 28})


def told(folder: Path, place: Path, *words: str) -> dict[str, Any]:
    """The file that the command writes."""
    shown = CliRunner().invoke(cli, ["automl", str(folder), "-w", str(place), "--dry-run", "--workers", "2", *words])
    assert shown.exit_code == 0, shown.output or shown.exception
    (file,) = (place / "automl").glob("*.yaml")
    return dict(YAML(typ="safe").load(file))


def given(folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Any]:
    """The file that the class writes."""
    monkeypatch.setattr(BenchmarkFile, "run", lambda *_, **__: None)
    ctlr.ImageClassifier(workspace=place, workers=2, **arguments).fit(folder)
    (file,) = (place / "automl").glob("*.yaml")
    return dict(YAML(typ="safe").load(file))


def at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document[int(part) if part.isdigit() else part]
    return document


FEW = {"families": ["svm", "knn", "small-cnn"]}
EACH: dict[str, tuple[list[str], dict[str, Any], str, Any]] = {
    "algorithm": (["--algorithm", "random"], {"algorithm": "random"}, "tuning.algorithm", "random"),
    "families": (["--families", "svm,knn"], {"families": ["svm", "knn"]}, "methods", {
        "svm": {"method": "svm", "refit": True}, "knn": {"method": "knn", "refit": True},
    }),
    "features": (["--features", "hog,pixels"], {"features": ["hog", "pixels"]}, "methods.svm.features",
                 {"kind": "hog", "tried": ["hog", "pixels"]}),
    "metric": (["--metric", "f1"], {"metric": "f1"}, "tasks.class.metric", "f1"),
    "time": (["--minutes", "4"], {"minutes": 4}, "tuning.seconds", 180.0),
    "trials": (["--trials", "7"], {"trials": 7}, "tuning.trials", 7),
    "threshold": (["--goal", "0.9"], {"goal": 0.9}, "tuning.race.goal", 0.9),
    "maximum size": (["--most-megabytes", "3"], {"most_megabytes": 3}, "tuning.race.most_megabytes", 3.0),
    "maximum time": (["--most-milliseconds", "5"], {"most_milliseconds": 5}, "tuning.race.most_milliseconds", 5.0),
    "side": (["--side", "24"], {"side": 24}, "datasets.pictures.preprocess.shape", [24, 24]),
    "test": (["--test", "0.4"], {"test": 0.4}, "split.test", 36),
    "validation": (["--validation", "0.4"], {"validation": 0.4}, "sample_sizes", [44]),
    "seed": (["--seed", "3"], {"seed": 3}, "seeds", [3]),
    "name": (["--name", "mine"], {"name": "mine"}, "name", "mine"),
}  # fmt: skip


@pytest.mark.parametrize("what", EACH)
def test_each_can_be_set_by_the_command_and_in_python(
    what: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, arguments, path, value = EACH[what]
    few = [] if what == "families" else ["--families", ",".join(FEW["families"])]
    by_command = told(folder, tmp_path / "command", *few, *words)
    assert at(by_command, path) == value
    in_python = given(folder, tmp_path / "python", monkeypatch, **(FEW | arguments))
    assert in_python == by_command


def test_each_can_be_left(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_command = told(folder, tmp_path / "command")
    assert given(folder, tmp_path / "python", monkeypatch) == by_command
    tuning = by_command["tuning"]
    assert (tuning["seconds"], tuning["trials"], tuning["race"]) == (450.0, 100, {"finalists": 3})
    assert "algorithm" not in tuning
    assert at(by_command, "tasks.class.metric") == "accuracy"
    assert {"svm", "logistic", "knn", "naive-bayes", "decision-tree", "forest", "boosting", "scratch"} <= {
        *by_command["methods"]
    }


def test_every_guidance_is_an_option_of_the_command() -> None:
    options = {parameter.name for parameter in cli.commands["automl"].params}
    assert {*Guidance.model_fields} <= options


def spaces(folder: Path, tmp_path: Path, **guidance: Any) -> dict[str, dict[str, tuple[str, ...]]]:
    """Values of each parameter that is counted, by the search."""
    from ctlr.automl import prepare

    file = prepare(folder, Guidance.of(guidance), tmp_path / "w", workers=2).file
    config = load(file)
    made = check_manifests(config, make_plan(config))
    return {label: {p.name: p.values for p in manifest.parameters} for (label, _), (manifest,) in made.items()}


def test_features_that_are_named_are_those_that_searches_try(folder: Path, tmp_path: Path) -> None:
    some = spaces(folder, tmp_path, families=["svm", "boosting"], features=["lbp", "histogram"])
    assert {space["features.kind"] for space in some.values()} == {("lbp", "histogram")}
    assert "&" not in (tmp_path / "w" / "automl" / "shapes.yaml").read_text()  # each family can be edited by itself
    one = spaces(folder, tmp_path, families=["svm"], features=["histogram"])["svm"]
    assert "features.kind" not in one
    assert "features.cell" not in one
    config = load(tmp_path / "w" / "automl" / "shapes.yaml")
    assert config.methods["svm"].features.kind == "histogram"
    every = spaces(folder, tmp_path, families=["svm"])["svm"]
    assert set(every["features.kind"]) == {"pixels", "regions", "histogram", "hog", "lbp"}


@pytest.mark.parametrize(
    ("guidance", "refusal"),
    [
        ({"features": ["hogg"]}, r"`features`: unknown features 'hogg'\. Did you mean 'hog'"),
        ({"features": ["hog"], "families": ["small-cnn"]}, "for models without a network, and none competes"),
        ({"features": ["network"], "families": ["svm"]}, "need its `weights`"),
    ],
)
def test_features_that_nobody_can_see_are_refused(
    guidance: dict[str, Any], refusal: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=refusal):
        spaces(folder, tmp_path, **guidance)


def test_features_of_a_network_are_tried_where_its_weights_are_there(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    encoder = build_encoder(encoder_spec("squeezenet1_1"), channels=1, ndim=2, seed=5)
    save_file({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}, file)
    weights = [{"file": str(file), "encoder": "squeezenet1_1", "licence": "MIT", "trained_on": ["nothing"]}]
    space = spaces(folder, tmp_path, families=["svm"], features=["network", "hog"], weights=weights)["svm"]
    assert space["features.kind"] == ("network", "hog")
