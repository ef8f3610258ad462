"""Points and signals on the whole path, as two small kinds of a stranger's: check, plan, run, report, predict."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import array_kinds
import numpy as np
import pytest
from terminal import Finished, ctlr

from ctlr.config import load
from ctlr.errors import ConfigError, DataError
from ctlr.plan import make_plan
from ctlr.serving import best_model, predict_files
from ctlr.specs import PLUGINS, use_files
from ctlr.training.checkpoint import load_model
from ctlr.tuning.options import with_options

BENCHMARK = """\
name: {kind}
plugins: [array_kinds.py]
datasets:
  own: {{kind: {kind}, root: own, {options}}}
  others: {{kind: {kind}, root: others, {options}}}
tasks:
  group: {{target: group, kind: classification}}
  level: {{target: level, kind: regression}}
transfers:
  - {{source: {{data: others, task: group}}, target: {{data: own, task: group}}}}
  - {{source: {{data: own, task: group}}, target: {{data: others, task: group}}, methods: [supervised]}}
encoders: {{{encoder}: {{}}}}
methods:
  scratch: {{}}
  supervised: {{}}
  gradual: {{method: supervised, finetune: {{strategy: gradual, w: 0.5}}}}
  chain_thaw: {{method: supervised, finetune: {{strategy: chain_thaw}}}}
  probe: {{method: supervised, finetune: {{strategy: linear_probe}}}}
  simclr: {{}}
  mae: {{}}
  mean_teacher: {{}}
  vat: {{}}
sample_sizes: [20]
seeds: [0]
baselines: [linear, gradient_boosting, nearest, unchanged]
split: {{test: 40}}
training:
  pretrain: {{epochs: 2}}
  finetune: {{epochs: 8, batch_size: 8, lr: 1.0e-2}}
"""
SHAPES = {"dots": (3,), "waves": (4, 100)}
OPTIONS = {"dots": ("features: 3", "mlp"), "waves": ("channels: 4, length: 100", "cnn1d")}


@dataclass(frozen=True)
class Ran:
    """What became of a benchmark of one kind."""

    kind: str
    folder: Path
    warm: Path
    check: Finished
    plan: Finished
    run: Finished

    def ctlr(self, *words: str) -> Finished:
        return ctlr(*words, folder=self.folder, warm=self.warm)

    @property
    def report(self) -> Path:
        return self.folder / "workspace" / "reports" / self.kind


@pytest.fixture(scope="module", params=sorted(SHAPES))
def ran(request: pytest.FixtureRequest, warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    shutil.copy(array_kinds.__file__, folder)
    array_kinds.write_rows(folder / "own", SHAPES[kind], 120)
    array_kinds.write_rows(folder / "others", SHAPES[kind], 100, seed=1)
    options, encoder = OPTIONS[kind]
    (folder / "b.yaml").write_text(BENCHMARK.format(kind=kind, options=options, encoder=encoder))
    commands = (("check",), ("plan", "-o", "json"), ("run", "--workers", "1"))
    check, plan, run = (ctlr(command, "b.yaml", *more, folder=folder, warm=warm) for command, *more in commands)
    return Ran(kind, folder, warm, check, plan, run)


def test_a_benchmark_is_checked_planned_and_run(ran: Ran) -> None:
    assert (ran.check.code, ran.plan.code, ran.run.code) == (0, 0, 0), ran.run.err
    assert ran.check.out.endswith("b.yaml: ok\n")
    planned = json.loads(ran.plan.out)
    assert [row["images"] for row in planned["costs"] if row["stage"] == "preprocess"] == [120, 100]
    assert "Traceback" not in ran.run.err


def test_rows_are_stored_as_they_stand_and_no_likeness_is_read_of_points(ran: Ran) -> None:
    (folder,) = [
        each.parent for each in ran.folder.glob("workspace/arrays/*/stored.json") if '"rows":120' in each.read_text()
    ]
    assert np.array_equal(np.load(folder / "images.npy"), np.load(ran.folder / "own" / "rows.npy"))
    assert (folder / "likeness.npy").exists() == (ran.kind == "waves")


def test_networks_and_models_without_one_tell_the_classes_apart(ran: Ran) -> None:
    with (ran.report / "results.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["data"] == "own"]
    scores = {row["method"]: float(row["test_balanced_accuracy"]) for row in rows}
    assert scores["mean"] == 0.5
    assert len(scores) == 14
    for method in ("linear", "gradient_boosting", "nearest", "unchanged", "scratch", "supervised"):
        assert scores[method] > (0.99 if ran.kind == "waves" else 0.85), method


def test_distances_between_datasets_are_measured(ran: Ran) -> None:
    assert (ran.report / "tables" / "distances-others-group-own-group.csv").exists()


def test_the_model_card_says_that_arrays_go_in(ran: Ran) -> None:
    shape = ", ".join(map(str, SHAPES[ran.kind]))
    word = {"dots": "points", "waves": "signals"}[ran.kind]
    assert f"- **Input:** {word}, an array (N, {shape}) of float32" in (ran.report / "model-card.md").read_text()


def test_a_model_predicts_arrays_and_refuses_files_with_the_reason(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGINS, "")
    use_files([ran.folder / "array_kinds.py"])
    folder = best_model(ran.folder / "workspace", ran.kind, target="own.group")
    rows = np.load(ran.folder / "own" / "rows.npy")
    shares = load_model(folder).predict(rows)
    assert shares.shape == (120, 2)
    assert (shares.argmax(1) == np.arange(120) % 2).mean() > 0.85
    with pytest.raises(DataError, match=re.escape("predicts from arrays, not from files: give an array (N, ")):
        predict_files(folder, [ran.folder / "own" / "rows.npy"])


def test_learning_rates_are_found(ran: Ran) -> None:
    found = ran.ctlr("lr-find", "b.yaml", "--study", "simclr", "-o", "json")
    assert found.code == 0, found.err
    assert 1e-7 < json.loads(found.out)["valley"] < 10


def test_a_search_may_set_the_options_of_its_encoder(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGINS, "")
    study = make_plan(load(ran.folder / "b.yaml")).studies[-1]
    deep = with_options(study, {"encoder.layers": "6", "encoder.dropout": "0.2", "encoder.activation": "gelu"})
    assert (deep.encoder.blocks, deep.encoder.own_options["dropout"]) == (6, 0.2)
    assert deep.id != study.id
    assert type(deep).model_validate_json(deep.model_dump_json()) == deep
    with pytest.raises(ConfigError, match=r"`encoder.layers=0`: must be greater than or equal to 1"):
        with_options(study, {"encoder.layers": "0"})
    with pytest.raises(ConfigError, match=r"has 2 blocks; got 3. Lower it"):
        with_options(study, {"encoder.layers": "2", "finetune.n_frozen": "3"})


def test_views_that_its_images_do_not_have_are_refused(ran: Ran) -> None:
    text = (ran.folder / "b.yaml").read_text()
    written = text.replace("scratch: {}", "scratch: {finetune: {views: {rotate: 20, noise: 0.2, drop: 0.1}}}")
    (ran.folder / "views.yaml").write_text(written)
    refused = " ".join(ran.ctlr("check", "views.yaml").err.split())
    known = {
        "dots": "points have no such view. Remove it. Known: drop, mix, noise.",
        "waves": "signals have no such view. Remove it. Known: blur, brightness, contrast, crop, cutout, drop, flip, "
        "mix, noise, scale, translate, warp.",
    }[ran.kind]
    assert refused.endswith(f"methods.scratch.finetune.views.rotate: {known}")
    (ran.folder / "views.yaml").write_text(written.replace("rotate: 20, ", ""))
    planned = ran.ctlr("plan", "views.yaml", "-o", "json")
    told = {"dots": "noise 0.2, drop 0.1", "waves": "translate 0.04, scale 0.06, warp 0.01, noise 0.2, drop 0.1"}
    assert json.loads(planned.out)["methods"]["scratch"]["views"]["finetune"] == told[ran.kind]


def test_an_encoder_of_pictures_is_refused_with_those_that_fit(ran: Ran) -> None:
    text = (ran.folder / "b.yaml").read_text().replace(OPTIONS[ran.kind][1], "resnet18")
    (ran.folder / "wrong.yaml").write_text(text)
    refused = ran.ctlr("check", "wrong.yaml")
    assert refused.code == 2
    told = {
        "dots": "resnet18 does not take points, and dataset 'others' has 3 features. Known for points: mlp.",
        "waves": "resnet18 does not take signals, and dataset 'others' has 4 x 100. "
        "Known for signals: cnn1d, cnn_lstm, lstm.",
    }[ran.kind]
    assert told in " ".join(refused.err.split())
