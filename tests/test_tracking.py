import base64
import json
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from getpass import getuser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ctlr.config import BenchmarkConfig, load, resolved_yaml
from ctlr.encoders import build_encoder, build_head, fused_head
from ctlr.errors import CtlrError, DataError
from ctlr.plan import make_plan
from ctlr.specs import InputColumn, ModelCard, Preparation, PreprocessSpec, Study, StudyResult
from ctlr.tracking import (
    BestModel,
    MemoryTracker,
    MlflowTracker,
    NullTracker,
    Outcome,
    Point,
    TrackedData,
    TrackedModel,
    Tracker,
    study_params,
)
from ctlr.tracking._model import save_mlflow_model
from ctlr.tracking._stores import ServerStore, mlflow_faults_named
from ctlr.training.checkpoint import TrainedModel, load_model, save_model
from ctlr.workspace import Workspace

BENCHMARK = """\
name: tracked
datasets:
  scans: {kind: bids, root: ., preprocess: {shape: [32, 32, 32]}}
tasks:
  age: {target: age, kind: regression}
transfers:
  - {target: {data: scans, task: age}}
encoders: {small_cnn: {width: 0.25}}
methods: {scratch: {}, simclr: {temperature: 0.3}}
sample_sizes: [20, 50]
seeds: [0, 1]
"""

HISTORY = """\
epoch,train_loss,validation_loss,validation_mae,validation_r
1,1.5,1.25,11,
2,1,0.75,9.5,0.5
3,0.5,nan,8,0.75
"""

SHAPE = (1, 32, 32, 32)
PREPARATION = Preparation(
    ctlr="0", rules="2", kind="volume", preprocess=PreprocessSpec(), orientation="RAS", channels="grey", masks="none",
    low=-10.0, high=10.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkConfig:
    path = tmp_path_factory.mktemp("benchmark") / "tracked.yaml"
    path.write_text(BENCHMARK)
    return load(path)


@pytest.fixture(scope="module")
def studies(config: BenchmarkConfig) -> list[Study]:
    return [study for study in make_plan(config).studies if study.method.trains_network]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, config: BenchmarkConfig) -> Path:
    """What a finished study leaves."""
    folder = tmp_path_factory.mktemp("study")
    spec = config.encoders["small_cnn"]
    encoder = build_encoder(spec, channels=1, ndim=3, seed=0)
    card = ModelCard(
        encoder=spec, channels=1, ndim=3, shape=SHAPE, task="regression", target="age", mean=50.0, std=10.0,
        preparation=PREPARATION,
    )  # fmt: skip
    save_model(folder, TrainedModel(card, encoder, build_head(encoder.width, 1, dropout=0.0, seed=0)))
    (folder / "history.csv").write_text(HISTORY)
    (folder / "predictions.csv").write_text("subject,split,y_true,y_pred\n0a1b2c3d4e5f,test,61,58.5\n")
    (folder / "result.json").write_text("{}")
    return folder


def result_of(study: Study, **changes: Any) -> StudyResult:
    return StudyResult(
        study=study,
        scores={"validation": {"mae": 8.0}, "test": {"mae": 8.5, "r": 0.5}},
        seconds={"finetune": 12.5},
        arrays="a" * 24,
        split="b" * 24,
        environment={"torch": "2.13.0", "git_commit": "c" * 40},
    ).model_copy(update=changes)


def data_of(digest: str = "a" * 24) -> list[TrackedData]:
    return [
        TrackedData(name="scans", digest=digest, kind="bids", images=90, subjects=80, image_shape=SHAPE, evaluates=True)
    ]


def begin(tracker: Tracker, config: BenchmarkConfig, data: list[TrackedData] | None = None) -> str:
    return tracker.start(
        config.name,
        identity=config.identity(),
        params={"seeds": 2},
        tags={"ctlr.version": "0"},
        files={"benchmark.yaml": resolved_yaml(config, public=True)},
        data=data_of() if data is None else data,
        description="Does pretraining help?",
    )


def conclude(
    tracker: Tracker, report: Path, studies: list[Study], best: Study | None = None, made_from: str = "first",
    name: str = "tracked",
) -> list[Outcome]:  # fmt: skip
    """Record an outcome; returns what was asked for."""
    asked = []

    def gather() -> Outcome:
        points = [Point("gain/simclr", 1.5, 20), Point("gain_low/simclr", -0.5, 20), Point("gain/simclr", 2.5, 50)]
        words = {} if best is None else {name: BestModel(study=best.id, words="mae 8 on validation")}
        asked.append(
            Outcome(
                description="Does pretraining help?\n\nIt does.",
                points=points,
                report=report,
                best=words,
                studies=frozenset(study.id for study in studies),
            )
        )
        return asked[-1]

    tracker.log_outcome(made_from, gather)
    return asked


def log(tracker: Tracker, result: StudyResult, folder: Path, model: bool = False) -> str:
    tracked = TrackedModel(folder=folder, image_shape=SHAPE, preparation=PREPARATION) if model else None
    return tracker.log_study(result, folder, params=study_params(result.study), tags={"note": "x"}, model=tracked)


class Store:
    """A workspace with one benchmark recorded by MLflow: two studies, the second with its model."""

    def __init__(self, root: Path, config: BenchmarkConfig, studies: list[Study], folder: Path) -> None:
        self.workspace = Workspace(root)
        tracker = MlflowTracker(None, self.workspace)
        self.parent = begin(tracker, config)
        self.first = log(tracker, result_of(studies[0]), folder)
        self.second = log(tracker, result_of(studies[1]), folder, model=True)
        tracker.finish("finished")
        self.report = root / "reports" / "tracked"
        (self.report / "tables").mkdir(parents=True)
        (self.report / "report.html").write_text("<title>tracked</title>")
        (self.report / "identity").write_text("0")
        (self.report / ".files.json").write_text("{}")
        conclude(tracker, self.report, studies[:2], studies[1])
        import mlflow

        self.mlflow = mlflow
        self.client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
        self.experiment = self.client.get_experiment_by_name(config.name)

    def runs(self) -> list[Any]:
        return list(self.client.search_runs([self.experiment.experiment_id]))

    def files(self, address: str) -> Path:
        """Where the server that `mlflow ui` starts in the workspace's folder looks."""
        return self.workspace.root / "mlartifacts" / address.removeprefix("mlflow-artifacts:/")


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, config: BenchmarkConfig, studies: list[Study], folder: Path
) -> Store:
    return Store(tmp_path_factory.mktemp("store") / "workspace", config, studies, folder)


@pytest.fixture(scope="module")
def trackers(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[], Tracker]]:
    """Each tracker that remembers, made anew on what the one before has recorded."""
    memory = MemoryTracker()
    return {"memory": lambda: memory, "mlflow": lambda: MlflowTracker(None, store.workspace)}


@pytest.mark.parametrize("name", ["memory", "mlflow"])
def test_recording_again_changes_nothing(
    trackers: dict[str, Callable[[], Tracker]], name: str, config: BenchmarkConfig, studies: list[Study], folder: Path
) -> None:
    def record() -> list[str]:
        tracker = trackers[name]()
        ids = [begin(tracker, config), *(log(tracker, result_of(study), folder) for study in studies[:2])]
        tracker.finish("finished")
        return ids

    first = record()
    assert len(set(first)) == 3
    assert record() == first


@pytest.mark.parametrize("name", ["memory", "mlflow"])
def test_what_came_of_other_data_takes_the_place_of_the_old_numbers(
    trackers: dict[str, Callable[[], Tracker]], name: str, config: BenchmarkConfig, studies: list[Study], folder: Path,
    store: Store,
) -> None:  # fmt: skip
    anew = {"arrays": "d" * 24, "scores": {"test": {"mae": 21.5}}}
    shown = []
    for changes in ({}, anew, anew):
        tracker = trackers[name]()
        parent = begin(tracker, config)
        run = log(tracker, result_of(studies[3], **changes), folder)
        tracker.finish("finished")
        if isinstance(tracker, MemoryTracker):
            shown.append(tracker.studies[parent, studies[3].id].result.scores["test"]["mae"])
        else:
            found = [each for each in store.runs() if each.data.tags.get("ctlr.study") == studies[3].id]
            assert [each.info.run_id for each in found] == [run]
            shown.append(found[0].data.metrics["test_mae"])
    assert shown == [8.5, 21.5, 21.5]


@pytest.mark.parametrize("name", ["memory", "mlflow"])
def test_a_benchmark_of_other_data_takes_the_place_of_the_older_one(
    name: str, config: BenchmarkConfig, studies: list[Study], folder: Path, store: Store, tmp_path: Path
) -> None:
    memory = MemoryTracker()
    seen = []
    for digest in ("a" * 24, "d" * 24, "d" * 24):
        tracker = memory if name == "memory" else MlflowTracker(None, Workspace(tmp_path))
        parent = begin(tracker, config, data_of(digest))
        runs = {log(tracker, result_of(study, arrays=digest), folder, model=True) for study in studies[:2]}
        tracker.finish("finished")
        conclude(tracker, store.report, studies[:2], studies[0], made_from=digest)
        seen.append({parent, *runs})
    assert seen[0].isdisjoint(seen[1])
    assert seen[1] == seen[2]
    if name == "memory":
        assert {memory.parent, *(kept.run_id for kept in memory.studies.values())} == seen[2]
        assert set(memory.outcomes) == {memory.parent}
        return
    client = store.mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tracked").experiment_id
    runs = {run.info.run_id: run for run in client.search_runs([experiment])}
    assert set(runs) == seen[2]
    assert {model.source_run_id for model in client.search_logged_models([experiment])} <= set(runs)
    assert [each.dataset.digest for run in runs.values() for each in run.inputs.dataset_inputs] == ["d" * 24] * 2
    (version,) = client.search_model_versions("name = 'tracked'")
    assert version.run_id in runs
    assert client.get_registered_model("tracked").aliases == {"best": version.version}


@pytest.mark.parametrize("name", ["memory", "mlflow"])
def test_an_outcome_is_asked_for_once(
    trackers: dict[str, Callable[[], Tracker]], name: str, config: BenchmarkConfig, studies: list[Study], folder: Path,
    store: Store,
) -> None:  # fmt: skip
    asked = []
    for made_from in ("first", "first", "second"):
        tracker = trackers[name]()
        begin(tracker, config)
        for study in studies[:2]:
            log(tracker, result_of(study), folder)
        tracker.finish("finished")
        asked.append(len(conclude(tracker, store.report, studies[:2], studies[1], made_from)))
    assert asked[1:] == [0, 1]


@pytest.mark.parametrize("name", ["memory", "mlflow"])
def test_another_benchmark_of_the_same_name_is_recorded_apart(
    trackers: dict[str, Callable[[], Tracker]], name: str, config: BenchmarkConfig
) -> None:
    tracker = trackers[name]()
    other = config.model_copy(update={"seeds": (7,)})
    assert begin(tracker, config) != begin(tracker, other)


def test_nothing_is_recorded_without_a_tracker(config: BenchmarkConfig, studies: list[Study], folder: Path) -> None:
    tracker = NullTracker()
    assert begin(tracker, config) == ""
    assert log(tracker, result_of(studies[0]), folder) == ""
    tracker.finish("finished")


def test_the_double_remembers_what_it_was_given(config: BenchmarkConfig, studies: list[Study], folder: Path) -> None:
    tracker = MemoryTracker()
    parent = begin(tracker, config)
    log(tracker, result_of(studies[0], status="failed", reason="the loss became NaN"), folder)
    log(tracker, result_of(studies[0]), folder, model=True)
    tracker.finish("interrupted")
    kept = tracker.studies[parent, studies[0].id]
    assert kept.result.status == "ok"
    assert kept.params["n_train"] == 20
    assert kept.model is not None
    assert tracker.files[parent].keys() == {"benchmark.yaml"}
    assert tracker.status == "interrupted"


def test_mlflow_opens_an_experiment_on_its_training_runs(store: Store, config: BenchmarkConfig) -> None:
    kind = "mlflow.experimentKind"
    assert store.experiment.tags[kind] == "custom_model_development"
    place = "mlflow-artifacts:/{}".format
    chosen = store.client.create_experiment("chosen", place("chosen"), tags={kind: "genai_development"})
    older = store.client.create_experiment("older", place("older"))
    for name in ("chosen", "older"):  # an earlier version of CTLR has set no tag
        begin(MlflowTracker(None, store.workspace), config.model_copy(update={"name": name, "seeds": (9,)}))
    assert store.client.get_experiment(chosen).tags[kind] == "genai_development"
    assert store.client.get_experiment(older).tags[kind] == "custom_model_development"


def test_a_benchmark_says_what_it_learns_from(store: Store) -> None:
    inputs = store.client.get_run(store.parent).inputs.dataset_inputs
    found = {
        each.tags[0].value: (each.dataset.name, each.dataset.digest, json.loads(each.dataset.profile))
        for each in inputs
    }  # fmt: skip
    held = {"images": 90, "subjects": 80}
    assert found == {
        "training": ("scans", "a" * 24, held), "evaluation": ("scans (test subjects)", "a" * 24, held),
    }  # fmt: skip
    source = store.mlflow.data.get_source(inputs[0])
    assert source.to_dict() == {"tags": {"mlflow.source.name": "scans", "mlflow.source.type": "bids"}}


def test_a_benchmark_says_what_it_came_to(store: Store) -> None:
    run = store.client.get_run(store.parent)
    assert run.data.tags["mlflow.note.content"] == "Does pretraining help?\n\nIt does."
    gains = store.client.get_metric_history(store.parent, "gain/simclr")
    assert {(point.step, point.value) for point in gains} == {(20, 1.5), (50, 2.5)}
    assert run.data.metrics["gain_low/simclr"] == -0.5
    place = store.files(run.info.artifact_uri)
    assert [path.name for path in (place / "report").iterdir()] == ["report.html"]
    assert (place / "benchmark.yaml").exists()


def test_the_best_model_has_the_benchmarks_name_and_an_alias(store: Store) -> None:
    found = store.client.get_model_version_by_alias("tracked", "best")
    assert (found.run_id, found.description) == (store.second, "mae 8 on validation")
    (output,) = store.client.get_run(store.second).outputs.model_outputs
    assert found.source == store.client.get_logged_model(output.model_id).artifact_location


def test_of_two_files_with_one_name_the_last_one_is_the_benchmark(
    config: BenchmarkConfig, studies: list[Study], folder: Path, store: Store, tmp_path: Path
) -> None:
    other = config.model_copy(update={"seeds": (7,)})
    parents = {}
    for key, found in (("ours", config), ("theirs", other), ("ours", config)):
        tracker = MlflowTracker(None, Workspace(tmp_path))
        parents[key] = begin(tracker, found)
        best = studies[0 if key == "ours" else 1]
        log(tracker, result_of(best), folder, model=True)
        tracker.finish("finished")
        asked = conclude(tracker, store.report, [best], best)
        assert len(asked) == 1, "the second run of ours says so again"
        client = store.mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
        marks = {name: client.get_run(run).data.tags.get("ctlr.superseded_by") for name, run in parents.items()}
        assert marks == {name: None if name == key else parents[key] for name in parents}
        names = {name: client.get_run(run).info.run_name for name, run in parents.items()}
        assert names == {name: "tracked" if name == key else "tracked (superseded)" for name in parents}
        version = client.get_model_version_by_alias("tracked", "best")
        assert client.get_run(version.run_id).data.tags["mlflow.parentRunId"] == parents[key]
    versions = {version.version: version.tags for version in client.search_model_versions("name = 'tracked'")}
    assert {number: tags.get("ctlr.superseded_by") for number, tags in versions.items()} == {1: None, 2: "1"}


def test_a_best_model_that_is_recorded_anew_is_the_best_again(
    config: BenchmarkConfig, studies: list[Study], folder: Path, store: Store, tmp_path: Path
) -> None:
    for scores in ({}, {"scores": {"test": {"mae": 7.5}}}):
        tracker = MlflowTracker(None, Workspace(tmp_path))
        begin(tracker, config)
        run = log(tracker, result_of(studies[0], **scores), folder, model=True)
        tracker.finish("finished")
        conclude(tracker, store.report, studies[:1], studies[0])
        client = store.mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
        assert client.get_model_version_by_alias("tracked", "best").run_id == run
        assert len(client.search_model_versions("name = 'tracked'")) == 1


def test_studies_that_are_no_part_any_more_go_and_so_does_the_alias_of_a_best_one_without_a_model(
    config: BenchmarkConfig, studies: list[Study], folder: Path, store: Store, tmp_path: Path
) -> None:
    tracker = MlflowTracker(None, Workspace(tmp_path))
    begin(tracker, config)
    log(tracker, result_of(studies[0]), folder, model=True)
    kept = log(tracker, result_of(studies[1]), folder)
    conclude(tracker, store.report, studies[:2], studies[0])
    client = store.mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert client.get_registered_model("tracked").aliases == {"best": 1}
    (store.report / "report.html").write_text("<title>again</title>")
    conclude(tracker, store.report, [studies[1]], studies[1], made_from="second")
    experiment = client.get_experiment_by_name("tracked").experiment_id
    below = client.search_runs([experiment], "tags.`ctlr.study` != ''")
    assert [run.info.run_id for run in below] == [kept]
    assert client.search_model_versions("name = 'tracked'") == []
    assert client.get_registered_model("tracked").aliases == {}
    (shown,) = tmp_path.glob("mlartifacts/tracked/*/artifacts/report/report.html")
    assert shown.read_text() == "<title>again</title>"


def test_studies_hang_below_their_benchmark(store: Store, studies: list[Study]) -> None:
    parent, first = store.client.get_run(store.parent), store.client.get_run(store.first)
    assert parent.info.run_name == "tracked"
    assert parent.data.tags["ctlr.version"] == "0"
    assert parent.data.params == {"seeds": "2"}
    assert first.data.tags["mlflow.parentRunId"] == store.parent
    assert first.data.tags["ctlr.study"] == first.info.run_name == studies[0].id
    assert {parent.info.status, first.info.status} == {"FINISHED"}
    assert "name: tracked" in (store.files(parent.info.artifact_uri) / "benchmark.yaml").read_text()


def test_scores_seconds_and_provenance_are_recorded(store: Store) -> None:
    run = store.client.get_run(store.first)
    assert run.data.metrics["test_mae"] == 8.5
    assert run.data.metrics["seconds_finetune"] == 12.5
    assert run.data.tags["ctlr.arrays"] == "a" * 24
    assert run.data.tags["ctlr.split"] == "b" * 24
    assert run.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert run.data.tags["note"] == "x"


def test_factors_and_options_are_parameters(store: Store) -> None:
    params = store.client.get_run(store.first).data.params
    factors = {"method": "scratch", "target": "scans.age", "source": "none", "n_train": "20", "encoder": "small_cnn"}
    assert factors.items() <= params.items()
    assert params["method.finetune.schedule"] == "cosine"
    assert params["encoder.width"] == "0.25"
    assert params["method.finetune.views"] == "none"


def test_metrics_by_epoch_keep_their_epochs(store: Store) -> None:
    def curve(column: str) -> list[tuple[int, float]]:
        history = store.client.get_metric_history(store.first, f"epoch/{column}")
        return [(point.step, point.value) for point in history]

    assert curve("validation_mae") == [(1, 11), (2, 9.5), (3, 8)]
    assert curve("validation_r") == [(2, 0.5), (3, 0.75)]
    assert curve("validation_loss") == [(1, 1.25), (2, 0.75)]


def test_a_studys_files_are_kept_and_nothing_else_of_its_folder(store: Store) -> None:
    files = store.files(store.client.get_run(store.first).info.artifact_uri)
    names = {"predictions.csv", "history.csv", "study.json", "environment.json"}
    assert {path.name for path in files.iterdir()} == names
    assert (files / "history.csv").read_text() == HISTORY
    assert json.loads((files / "environment.json").read_text())["torch"] == "2.13.0"
    assert json.loads((files / "study.json").read_text())["target"]["data"]["root"] == "scans"


def test_a_recorded_model_loads_back_and_predicts_the_same(store: Store, folder: Path) -> None:
    (output,) = store.client.get_run(store.second).outputs.model_outputs
    logged = store.client.get_logged_model(output.model_id)
    assert logged.status == "READY"
    assert logged.source_run_id == store.second
    place = store.files(logged.artifact_location)
    loaded = store.mlflow.pyfunc.load_model(str(place))
    images: npt.NDArray[np.float32] = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(images), load_model(folder).predict(images))
    assert loaded.metadata.get_input_schema().inputs[0].shape == (-1, *SHAPE)
    assert loaded.metadata.get_output_schema().inputs[0].shape == (-1,)
    assert loaded.predict(loaded.input_example).shape == (1,)  # as preparation leaves it: else it would be refused
    assert loaded.metadata.metadata["preparation"] == PREPARATION.model_dump(mode="json")
    with pytest.raises(DataError, match="`normalise: zscore` kept as float16 gives values from -10 to 10"):
        loaded.predict(100 * images)
    assert not [path for path in place.rglob("*") if path.suffix in {".pkl", ".pickle", ".pt", ".pth"}]
    assert "torch==2.13.0\n" in (place / "requirements.txt").read_text()


def test_a_model_that_reads_columns_takes_them_by_name(
    store: Store, config: BenchmarkConfig, folder: Path, tmp_path: Path
) -> None:
    columns = (
        InputColumn(name="sex", kind="category", categories=("F", "M")),
        InputColumn(name="weight", kind="number", mean=70, std=10, flagged=True),
    )
    card = load_model(folder).card.model_copy(update={"inputs": columns, "fusion_width": 8})
    encoder = build_encoder(card.encoder, channels=1, ndim=3, seed=0)
    head = fused_head(encoder.width, 4, 8, 1, dropout=0.0, seed=0)
    (tmp_path / "trained").mkdir()
    save_model(tmp_path / "trained", TrainedModel(card, encoder, head))
    tracked = TrackedModel(folder=tmp_path / "trained", image_shape=SHAPE, preparation=PREPARATION, inputs=columns)
    (tmp_path / "content").mkdir()
    save_mlflow_model(store.mlflow, tracked, tmp_path / "content", model_id="m", run_id="r")
    loaded = store.mlflow.pyfunc.load_model(str(tmp_path / "content" / "model"))
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    said = loaded.predict({"images": images, "sex": np.array(["F", "M"]), "weight": np.array([80.0, math.nan])})
    known = load_model(tmp_path / "trained").predict(images, inputs={"sex": ["F", "M"], "weight": [80, None]})
    np.testing.assert_array_equal(said, known)
    assert [part.name for part in loaded.metadata.get_input_schema().inputs] == ["images", "sex", "weight"]
    assert loaded.predict(loaded.input_example).shape == (1,)


def test_nothing_that_is_recorded_names_a_user_or_a_path(store: Store) -> None:
    words = {str(Path.cwd()), str(store.workspace.root), os.path.expanduser("~") + "/"}
    with closing(sqlite3.connect(store.workspace.root / "mlflow.db")) as database:
        dump = "\n".join(database.iterdump())
        users = {
            user
            for (user,) in database.execute(
                "SELECT user_id FROM runs UNION SELECT value FROM tags WHERE key = 'mlflow.user'"
            )
        }
    texts = [dump, *(path.read_text() for path in (store.workspace.root / "mlartifacts").rglob("*") if is_text(path))]
    assert users == {"ctlr"}
    assert [word for word in words for text in texts if word in text] == []
    if getuser() != "root":  # `root` is also a word of MLflow's tables
        assert [text for text in texts if getuser() in text] == []


def is_text(path: Path) -> bool:
    return path.is_file() and path.suffix != ".safetensors"


def test_what_is_recorded_wholly_is_recognised_without_mlflow(
    store: Store, config: BenchmarkConfig, studies: list[Study], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "results.json").write_text(json.dumps([result_of(study).model_dump_json() for study in studies[:2]]))
    program = f"""
import json, sys
from pathlib import Path
from ctlr.specs import StudyResult
from ctlr.tracking import MlflowTracker, NullTracker
from ctlr.workspace import Workspace
tracker = MlflowTracker(None, Workspace({str(store.workspace.root)!r}))
ids = [tracker.start("tracked", identity={config.identity()!r}, params={{}}, tags={{}}, files={{}})]
for text in json.loads(Path({str(tmp_path / "results.json")!r}).read_text()):
    result = StudyResult.model_validate_json(text)
    ids.append(tracker.log_study(result, Path({str(folder)!r}), params={{}}, tags={{}}, model=None))
tracker.finish("finished")
print(json.dumps([ids, sorted({{"mlflow", "torch"}} & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[store.parent, store.first, store.second], []]


def test_a_study_that_was_cut_off_or_failed_is_recorded_anew(
    store: Store, config: BenchmarkConfig, studies: list[Study], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = MlflowTracker(None, store.workspace)
    begin(tracker, config)
    failed = log(tracker, result_of(studies[2], status="failed", reason="the loss became NaN"), folder)
    run = store.client.get_run(failed)
    assert (run.info.status, run.data.tags["ctlr.reason"]) == ("FAILED", "the loss became NaN")
    mended = log(tracker, result_of(studies[2]), folder, model=True)
    assert mended != failed
    store.client.set_terminated(mended, "RUNNING")  # as a kill would leave it

    again = MlflowTracker(None, store.workspace)
    begin(again, config)
    last = log(again, result_of(studies[2]), folder, model=True)
    again.finish("interrupted")
    assert store.client.get_run(store.parent).info.status == "KILLED"
    again.finish("finished")
    found = [run.info.run_id for run in store.runs() if run.data.tags.get("ctlr.study") == studies[2].id]
    assert found == [last]
    models = store.client.search_logged_models([store.experiment.experiment_id])
    assert sorted(model.source_run_id for model in models) == sorted([store.second, last])
    assert capfd.readouterr() == ("", "")


def test_an_experiment_deleted_by_hand_is_brought_back(
    store: Store, config: BenchmarkConfig, studies: list[Study], folder: Path
) -> None:
    store.client.create_experiment("gone", artifact_location="mlflow-artifacts:/gone")
    store.client.delete_experiment(store.client.get_experiment_by_name("gone").experiment_id)
    tracker = MlflowTracker(None, store.workspace)
    begin(tracker, config.model_copy(update={"name": "gone"}))
    run = log(tracker, result_of(studies[0]), folder)
    assert store.client.get_run(run).info.lifecycle_stage == "active"


def test_what_mlflow_refuses_is_an_error_with_a_remedy(
    store: Store, config: BenchmarkConfig, studies: list[Study], folder: Path
) -> None:
    tracker = MlflowTracker(None, store.workspace)
    begin(tracker, config)
    with pytest.raises(CtlrError, match=r"MLflow \(.*mlflow.db\) refused: .*tracking.backend=none"):
        tracker.log_study(result_of(studies[3]), folder, params={"a\nb": 1}, tags={}, model=None)


def test_processes_that_start_together_make_one_database(tmp_path: Path) -> None:
    program = f"""
from ctlr.tracking import MlflowTracker
from ctlr.workspace import Workspace
tracker = MlflowTracker(None, Workspace({str(tmp_path)!r}))
tracker.start("together", identity="same", params={{}}, tags={{}}, files={{}})
"""
    started = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.wait(), process.communicate()[1]) for process in started] == [(0, b"")] * 2


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[str]:
    """What a user gets who types `mlflow ui` in the workspace's folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    with subprocess.Popen(
        command,
        cwd=store.workspace.root,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # seven processes that nothing here needs
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            wait_for(f"{uri}/health", seconds=60)
            yield uri
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def wait_for(address: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_mlflow_ui_in_the_workspace_finds_runs_and_models(store: Store, server: str, folder: Path) -> None:
    client = store.mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    assert {file.path for file in client.list_artifacts(store.first)} >= {"predictions.csv", "history.csv"}
    (output,) = client.get_run(store.second).outputs.model_outputs
    before = store.mlflow.get_tracking_uri()
    store.mlflow.set_tracking_uri(server)
    try:
        loaded = store.mlflow.pyfunc.load_model(f"models:/{output.model_id}")
        best = store.mlflow.pyfunc.load_model("models:/tracked@best")
    finally:
        store.mlflow.set_tracking_uri(before)
    images = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(images), load_model(folder).predict(images))
    np.testing.assert_array_equal(best.predict(images), load_model(folder).predict(images))


def test_a_server_records_like_the_workspace(
    server: str, tmp_path: Path, config: BenchmarkConfig, studies: list[Study], folder: Path, store: Store
) -> None:
    def record() -> list[str]:
        tracker = MlflowTracker(server, Workspace(tmp_path))
        parent = begin(tracker, config.model_copy(update={"name": "remote", "seeds": (5,)}))
        run = log(tracker, result_of(studies[0]), folder, model=True)
        tracker.finish("finished")
        conclude(tracker, store.report, studies[:1], studies[0], name="remote")
        return [parent, run]

    assert record() == (recorded := record())
    assert {path.name for path in tmp_path.iterdir()} == {"workspace.json"}
    client = store.mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    assert client.get_model_version_by_alias("remote", "best").run_id == recorded[1]
    assert [file.path for file in client.list_artifacts(recorded[0], "report")] == ["report/report.html"]
    assert client.get_experiment_by_name("remote").tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_run_that_was_begun_for_us_is_the_one_above_ours(
    server: str, store: Store, tmp_path: Path, config: BenchmarkConfig, studies: list[Study], folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Kubeflow's plug-in for MLflow begins a run a task and says which in MLFLOW_RUN_ID."""
    client = store.mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    experiment = client.create_experiment("pipelines")
    above = client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", above)
    for _ in range(2):  # the second one finds what the first has recorded
        tracker = MlflowTracker(server, Workspace(tmp_path))
        ours = begin(tracker, config)
        log(tracker, result_of(studies[0]), folder)
        tracker.finish("finished")
    runs = {run.info.run_id: run for run in client.search_runs([experiment])}
    assert len(runs) == 3
    assert runs[ours].data.tags["mlflow.parentRunId"] == above
    (study,) = [run for name, run in runs.items() if name not in (above, ours)]
    assert study.data.tags["mlflow.parentRunId"] == ours


def test_a_strangers_run_below_ours_is_left_alone(
    server: str, store: Store, tmp_path: Path, config: BenchmarkConfig, studies: list[Study], folder: Path
) -> None:
    client = store.mlflow.MlflowClient(tracking_uri=server, registry_uri=server)
    shared = config.model_copy(update={"name": "shared", "seeds": (7,)})
    ours = begin(MlflowTracker(server, Workspace(tmp_path)), shared)
    experiment = client.get_experiment_by_name("shared").experiment_id
    client.create_run(experiment, tags={"mlflow.parentRunId": ours})
    tracker = MlflowTracker(server, Workspace(tmp_path))
    assert begin(tracker, shared) == ours
    log(tracker, result_of(studies[0]), folder)
    assert len(client.search_runs([experiment])) == 3


class Full(BaseHTTPRequestHandler):
    """A proxy that takes no file."""

    def do_PUT(self) -> None:
        self.send_error(413)

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing."""


def test_a_file_that_a_server_does_not_take_is_an_error_with_a_remedy(store: Store, folder: Path) -> None:
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    with HTTPServer(("127.0.0.1", 0), Full) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        with (
            pytest.raises(CtlrError, match=r"MLflow \(there\) refused: 413 .*tracking.backend=none"),
            mlflow_faults_named(store.mlflow, "there"),
        ):
            HttpArtifactRepository(uri).log_artifact(str(folder / "history.csv"))
        server.shutdown()


def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path, config: BenchmarkConfig) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    tracker = MlflowTracker(f"http://127.0.0.1:{port}", Workspace(tmp_path))
    with pytest.raises(CtlrError, match=rf"no MLflow server answers at http://127.0.0.1:{port}"):
        begin(tracker, config)


class Guarded(BaseHTTPRequestHandler):
    """A proxy that lets nobody through without a user and a password, `/health` included."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Basic {base64.b64encode(b'ann:secret').decode()}"
        self.send_response(200 if known else 401)
        self.end_headers()

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing."""


def test_a_server_behind_a_password_is_asked_with_it(
    store: Store, tmp_path: Path, config: BenchmarkConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(CtlrError, match=rf"server at {uri} refuses us \(401 .* Set MLFLOW_TRACKING_USERNAME"):
            begin(MlflowTracker(uri, Workspace(tmp_path)), config)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        assert ServerStore(uri).open(store.mlflow) is not None
        server.shutdown()


def test_with_tracking_off_nothing_imports_mlflow() -> None:
    program = (
        "import sys; from ctlr.tracking import NullTracker; import ctlr.steps, ctlr.engine;"
        "NullTracker().finish('finished'); print('mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
