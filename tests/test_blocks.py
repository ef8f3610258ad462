"""Blocks put together: one space, one benchmark file, one Katib Experiment, one search."""

from __future__ import annotations

from pathlib import Path

import pytest
from clothes import shapes
from ruamel.yaml import YAML

from ctlr import blocks, space
from ctlr.config import load
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.training.checkpoint import load_model
from ctlr.tuning.manifest import read_experiment

COHORT = {"kind": "cohort", "subjects": 60, "seed": 3, "preprocess": {"spacing": 6, "shape": [32, 32, 32]}}


def test_given_dimensions_take_the_place_of_what_parts_state_and_values_fix_options() -> None:
    wired = blocks.wire(
        blocks.Augment(rotate=[0, 10], flip=0.5),
        blocks.Network("small_cnn"),
        blocks.Train(lr=space.loguniform(1e-3, 1e-2), epochs=3),
        blocks.Head(dropout=space.uniform(0, 0.3)),
    )
    assert wired.space.keys() == {
        "finetune.lr", "finetune.weight_decay", "finetune.dropout", "finetune.batch_size", "finetune.views.rotate",
        "encoder.width",
    }  # fmt: skip
    assert wired.space["finetune.lr"] == space.loguniform(1e-3, 1e-2)
    assert wired.space["finetune.dropout"] == space.uniform(0, 0.3)
    assert wired.fixed == {"finetune.views.flip": 0.5, "finetune.epochs": 3}
    shallow = blocks.wire(blocks.Extract(["hog", "pixels"], cell=6), blocks.Family("svm", kernel="rbf"))
    assert shallow.space["features.kind"] == space.Choice(("hog", "pixels"))
    assert shallow.space.keys() == {
        "features.kind",
        "features.scale",
        "features.components",
        "method.slack",
        "method.gamma",
    }
    assert shallow.fixed == {"features.cell": 6, "method.kernel": "rbf"}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([blocks.Normalise()], "nothing learns"),
        ([blocks.Family("svm"), blocks.Network("small_cnn")], "svm trains no network, which `Network` is about"),
        ([blocks.Family("svm"), blocks.Head(dropout=0.1)], "which `Head` is about"),
        ([blocks.Network("small_cnn"), blocks.Extract("hog")], "Leave `Extract` out"),
        ([blocks.Family("vat")], "vat needs a `Network`"),
        ([blocks.Train(lr=0.1), blocks.Train(epochs=3), blocks.Network("small_cnn")], "`Train` stands there twice"),
    ],
)
def test_blocks_that_do_not_go_together_are_refused(parts: list[blocks.Block], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        blocks.wire(*parts)


def test_unknown_parts_are_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'small_cnn'"):
        blocks.Network("smal_cnn")
    with pytest.raises(ConfigError, match="unknown method 'svn'"):
        blocks.Family("svn")
    with pytest.raises(ConfigError, match="weights fit one network: leave width out"):
        blocks.Network("small_cnn", weights="w.safetensors", width=2)
    with pytest.raises(ConfigError, match="`dropout` is given by two blocks"):
        _ = blocks.wire(blocks.Network("small_cnn"), blocks.Head(dropout=0.1), blocks.Train(dropout=0.2)).fixed


def test_a_folder_is_searched_by_what_was_wired(tmp_path: Path) -> None:
    folder = shapes(tmp_path / "shapes", {"lying": 40, "upright": 40, "cross": 40})
    wired = blocks.wire(
        blocks.Normalise("percentile", shape=(24, 24), channels=1),
        blocks.Extract(["hog", "pixels"], components=[None, 10], cell=6),
        blocks.Family("knn", neighbours=space.integers(1, 9)),
    )
    found = wired.search(folder, name="bars", trials=6, workspace=tmp_path / "w", workers=2)
    best = found.best(method="wired")
    assert best.score is not None
    assert best.score.mean > 0.7
    (search,) = found.finished.searches
    assert len(search.stages[0].trials) == 6
    config = load(tmp_path / "w" / "wired" / "bars.yaml")
    assert config.datasets["data"].stored_shape == (1, 24, 24)
    assert config.methods["wired"].features.cell == 6
    manifest = read_experiment(tmp_path / "w" / "wired" / "bars-search.yaml")
    assert {each.name for each in manifest.parameters} == wired.space.keys()
    assert manifest.trial.command[:3] == ("ctlr", "trial", "bars.yaml")


@pytest.mark.parametrize(
    ("network", "asked", "algorithm"),
    [
        (blocks.Network("small_cnn"), "", "tpe"),
        (blocks.Network("cell_cnn"), "", "regularizedevolution"),
        (blocks.Network("cell_cnn"), "random", "random"),
    ],
)
def test_a_network_that_states_an_algorithm_is_searched_by_it_unless_another_is_named(
    network: blocks.Network, asked: str, algorithm: str, tmp_path: Path
) -> None:
    wired = blocks.wire(network, blocks.Train(epochs=1))
    file = tmp_path / "cells.yaml"
    file.write_text(wired.benchmark(COHORT, n_train=10, task={"target": "age", "kind": "regression"}))
    (study, *_) = (each for each in make_plan(load(file)).studies if each.method.trains_network)
    found = wired.manifest(study, "cells.yaml", algorithm=asked)
    assert found["spec"]["algorithm"]["algorithmName"] == algorithm


def test_columns_beside_volumes_are_merged(tmp_path: Path) -> None:
    wired = blocks.wire(blocks.Network("small_cnn"), blocks.Train(epochs=2), blocks.Merge(("sex", "site"), width=4))
    text = wired.benchmark(COHORT, n_train=10, task={"target": "age", "kind": "regression"}, split={"test": 12})
    task = YAML(typ="safe").load(text)["tasks"]["target"]
    assert task == {"target": "age", "kind": "regression", "inputs": ["sex", "site"], "fusion_width": 4}
    found = wired.search(
        COHORT, n_train=10, task={"target": "age", "kind": "regression"}, split={"test": 12}, trials=2,
        workspace=tmp_path / "w", workers=1,
    )  # fmt: skip
    assert "covariates" in set(found.results["method"])
    shallow = blocks.wire(blocks.Extract("regions"), blocks.Family("logistic"), blocks.Merge(("sex", "site")))
    found = shallow.search(
        COHORT, name="shallow", n_train=10, task={"target": "age", "kind": "regression"}, split={"test": 12}, trials=2,
        workspace=tmp_path / "w", workers=1,
    )  # fmt: skip
    card = load_model(found.best(method="wired").model).card
    assert [column.name for column in card.inputs] == ["sex", "site"]
    with pytest.raises(ConfigError, match="`n_train` is needed of a dataset"):
        wired.search(COHORT, workspace=tmp_path / "w")
