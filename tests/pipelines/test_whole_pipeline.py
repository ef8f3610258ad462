"""The benchmark's pipeline run by kfp.local, without a container, beside `ctlr run` of the same file."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from clinic import CLINIC, PEOPLE, write_clinic
from cloud import Cloud
from terminal import ctlr
from tiny_bench import search_of

from ctlr.cluster.request import request_of
from ctlr.config import BenchmarkConfig, load
from ctlr.plan import make_plan

FILE = CLINIC.replace("[4, 6]", "[4]").replace("baselines: []", "baselines: [linear]").replace(
    "methods: {scratch: {}, supervised: {}}",
    "methods: {scratch: {}, supervised: {}, doomed: {method: scratch, finetune: {lr: 1.0e+30, clip: null}}}",
) + "platform: {roots: {clinic: data/clinic}, trials: local}\n"  # fmt: skip


@pytest.fixture(scope="module")
def cloud(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    root = tmp_path_factory.mktemp("cloud")
    (root / "volume").mkdir()
    write_clinic(root / "volume" / "data" / "clinic")
    (root / "store").mkdir()
    return Cloud(root / "volume", root / "store", warm)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkConfig:
    """The benchmark as a researcher has it, whose images lie on the cluster's volume alone."""
    file = tmp_path_factory.mktemp("desk") / "clinic.yaml"
    file.write_text(FILE)
    return load(file)


@pytest.fixture(scope="module")
def tasks(cloud: Cloud, config: BenchmarkConfig) -> list[str]:
    return cloud.run(request_of(config))


@pytest.fixture(scope="module")
def laptop(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Results of `ctlr run` of the same file."""
    folder = tmp_path_factory.mktemp("laptop")
    shutil.copytree(cloud.volume / "data" / "clinic", folder / "clinic")
    (folder / "clinic.yaml").write_text(FILE)
    done = ctlr("run", "clinic.yaml", "--workers", "1", "-o", "json", folder=folder, warm=cloud.warm)
    assert done.code == 3, done.err
    return Cloud(folder / "workspace", folder).results()


def test_the_pipeline_gives_the_scores_of_the_laptop(
    cloud: Cloud, tasks: list[str], laptop: dict[str, dict[str, Any]]
) -> None:
    found = cloud.results()
    assert (
        found.keys()
        == laptop.keys()
        == {f"{name} n4 s0" for name in ("mean", "linear", "scratch", "supervised", "doomed")}
    )
    for name, result in found.items():
        assert result["scores"] == laptop[name]["scores"], name
        assert (result["status"], result["reason"]) == (laptop[name]["status"], laptop[name]["reason"])
        assert result["split"] == laptop[name]["split"]


def test_a_study_that_fails_is_a_value_and_the_report_lists_it(cloud: Cloud, tasks: list[str]) -> None:
    failed = cloud.results()["doomed n4 s0"]
    assert failed["status"] == "failed"
    page = (cloud.volume / "reports" / "clinic" / "report.html").read_text()
    assert failed["reason"] in page
    (shown,) = sorted(cloud.store.rglob("report/page"))[:1]
    assert shown.read_text() == page


def test_artefacts_name_the_workspace_and_hold_every_study(cloud: Cloud, tasks: list[str]) -> None:
    arrays, table = (artefact(cloud, *place) for place in (("preprocess", "arrays"), ("evaluate", "studies")))
    assert arrays["workspace"] == table["workspace"] == str(cloud.volume)
    assert arrays["clinic"].startswith(f"{PEOPLE} images of {PEOPLE} subjects, in arrays/")
    assert (table["studies"], table["failed"]) == (5, 1)
    (file,) = cloud.store.rglob("evaluate/studies")
    with file.open(newline="") as text:
        rows = {row["method"]: row for row in csv.DictReader(text)}
    found = cloud.results()
    for name, row in rows.items():
        result = found[f"{name} n4 s0"]
        assert row["status"] == result["status"]
        for metric, value in result["scores"].get("test", {}).items():
            assert float(row[f"test_{metric}"]) == value
    assert (cloud.volume / rows["scratch"]["path"] / "model.safetensors").exists()


def artefact(cloud: Cloud, task: str, name: str) -> dict[str, Any]:
    """Metadata of what the first run's task left."""
    file = sorted(cloud.store.rglob(f"{task}/executor_output.json"))[0]
    found: dict[str, Any] = json.loads(file.read_text())["artifacts"][name]["artifacts"][0]["metadata"]
    return found


def test_tasks_are_workers_of_stages_however_many_studies_there_are(tasks: list[str]) -> None:
    """Both workers leave their outputs in one folder here, which is called after their component."""
    assert tasks == ["evaluate", "preprocess", "report", "train"]


def test_what_is_finished_is_not_done_again(cloud: Cloud, tasks: list[str], config: BenchmarkConfig) -> None:
    before = {path: path.stat().st_mtime_ns for path in cloud.volume.glob("*/*/result.json")}
    sound = config.model_copy(update={"methods": {k: v for k, v in config.methods.items() if k != "doomed"}})
    assert "report" in cloud.run(request_of(sound))
    assert {path: path.stat().st_mtime_ns for path in cloud.volume.glob("*/*/result.json")} == before


def test_a_single_study_is_run_alone_and_a_failed_one_again(
    cloud: Cloud, tasks: list[str], config: BenchmarkConfig
) -> None:
    (study,) = [study for study in make_plan(config).studies if study.method.label == "doomed"]
    (note,) = cloud.volume.glob("failed/*.json")
    before = note.stat().st_mtime_ns
    done = cloud.run(request_of(config, study=study.id))
    assert done == ["evaluate", "preprocess", "report", "train"]
    assert note.stat().st_mtime_ns > before


def test_a_tuned_benchmark_gives_the_scores_of_the_laptop(cloud: Cloud, tasks: list[str], tmp_path: Path) -> None:
    text = CLINIC.replace("sample_sizes: [4, 6]", "sample_sizes: [4]").replace(", supervised: {}", "")
    text += "platform: {roots: {clinic: data/clinic}, trials: local}\n"
    text += "tuning: {experiments: {scratch: rate.yaml}, trials: 1}\n"
    (tmp_path / "clinic.yaml").write_text(text)
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    (tmp_path / "clinic").symlink_to(cloud.volume / "data" / "clinic")
    done = cloud.run(request_of(load(tmp_path / "clinic.yaml")))
    assert done == ["evaluate", "preprocess", "report", "train", "tune"]
    laptop = ctlr("run", "clinic.yaml", "--workers", "1", "-o", "json", folder=tmp_path, warm=cloud.warm)
    assert laptop.code == 0, laptop.err
    ours = {path.parent.name for path in cloud.volume.glob("studies/*/result.json")}
    for path in (tmp_path / "workspace" / "studies").glob("*/result.json"):
        assert path.parent.name in ours
        there = json.loads((cloud.volume / "studies" / path.parent.name / "result.json").read_text())
        assert there["scores"] == json.loads(path.read_text())["scores"]
    reports = cloud.volume / "reports" / "clinic"
    assert "Tuning</h2>" in (reports / "report.html").read_text()
    share = (reports / "tables" / "tuning-share.csv").read_text()
    assert share == (tmp_path / "workspace" / "reports" / "clinic" / "tables" / "tuning-share.csv").read_text()
    assert "scratch" in share


def test_bad_data_are_refused_and_the_report_says_so(config: BenchmarkConfig, warm: Path, tmp_path: Path) -> None:
    empty = Cloud(tmp_path / "volume", tmp_path / "store", warm)
    write_clinic(empty.volume / "data" / "clinic", people=6)  # too few for the split
    empty.store.mkdir()
    done = empty.run(request_of(config))
    assert done == ["report"]
    (page,) = empty.store.rglob("report/page")
    assert "There is nothing to report" in page.read_text()
    assert "No study is finished" not in page.read_text()  # it says why
    assert empty.results() == {}
