"""A run as it may happen: bad images that are left out, a study that fails, everything recorded in MLflow."""

import csv
import gzip
import json
import os
import re
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from clinic import CLINIC, NOISE, WITH_A_HOLE, crafted, subject_id, volume, volume_file, write_clinic
from ruamel.yaml import YAML
from terminal import Finished, ctlr

from ctlr.events import events_path, read_events

GOOD = 30
USER = "drjekyll"
BENCHMARK = (
    CLINIC.replace("shape: [16, 16, 16]", "shape: [16, 16, 16], on_bad_subject: exclude")
    .replace("supervised: {}", "exploding: {method: scratch, finetune: {lr: 1.0e+20, clip: null}}")
    .replace("[4, 6]", "[4]")
    .replace("baselines: []", "baselines: [linear]")
    + "tracking: {backend: mlflow}\n"
)


@dataclass(frozen=True)
class Day:
    """What happened."""

    folder: Path
    first: Finished
    second: Finished
    third: Finished

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def page(self) -> str:
        return (self.workspace / "reports" / "clinic" / "report.html").read_text()


def spoil(root: Path) -> None:
    """Seven people more than the good ones whose images cannot be used."""
    files = [volume_file(root, subject_id(number)) for number in range(GOOD, GOOD + 7)]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:2000])
    files[2].write_bytes(gzip.compress(volume(np.ones((4, 4, 4, 5)))))
    files[3].write_bytes(gzip.compress(volume(WITH_A_HOLE)))
    files[4].write_bytes(gzip.compress(volume(NOISE, np.diag([0, 0, 0, 1]))))
    files[5].write_bytes(gzip.compress(crafted(lambda header: header.set_data_shape((3000, 3000, 2800)), NOISE)))
    files[6].rename(root.parent / "elsewhere.nii.gz")
    files[6].symlink_to(root.parent / "elsewhere.nii.gz")


@pytest.fixture(scope="module")
def day(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("jekylls-study")
    spoil(write_clinic(folder / "clinic", people=GOOD + 7))
    (folder / "clinic.yaml").write_text(BENCHMARK)
    home = folder / "home" / USER
    home.mkdir(parents=True)
    environment = {"HOME": str(home), "USER": USER, "LOGNAME": USER, "MPLCONFIGDIR": mpl.get_configdir()}
    first = ctlr("run", "clinic.yaml", "--workers", "1", "-o", "yaml", folder=folder, environment=environment)
    second = ctlr("resume", "--workers", "1", "-o", "json", folder=folder, environment=environment, warm=warm)
    third = ctlr("report", folder=folder, environment=environment, warm=warm)
    return Day(folder, first, second, third)


def records(finished: Finished) -> dict[str, dict[str, Any]]:
    """What a run printed, by method."""
    shown = YAML(typ="safe").load(finished.out)  # JSON is YAML
    return {record["method"]: record for record in shown["results"]}


def test_a_failed_study_leaves_the_others_alone_and_exits_with_3(day: Day) -> None:
    assert day.first.code == day.second.code == 3
    found = records(day.first)
    assert {name: record["status"] for name, record in found.items()} == {
        "mean": "ok", "linear": "ok", "scratch": "ok", "exploding": "failed",
    }  # fmt: skip
    assert re.search(r"loss became nan.*; lower `lr` or set `clip`", found["exploding"]["reason"])
    assert found["scratch"]["test_mae"] > 0


def test_a_failed_study_is_a_row_of_the_report_with_its_reason(day: Day) -> None:
    assert "loss became nan" in day.page
    with (day.workspace / "reports" / "clinic" / "results.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert rows["exploding"]["status"] == "failed"
    assert "lower `lr` or set `clip`" in rows["exploding"]["reason"]
    assert rows["scratch"]["status"] == "ok"


def test_the_next_run_tries_the_failed_study_alone(day: Day) -> None:
    told = [json.loads(line) for line in day.second.err.splitlines()]
    (planned,) = (event for event in told if event["kind"] == "run.planned")
    (failed,) = (event for event in told if event["kind"] == "step.failed")
    assert planned["steps"] == 1
    assert "loss became nan" in failed["reason"]
    assert records(day.second).keys() == records(day.first).keys()


def test_events_go_to_stderr_where_results_are_json(day: Day) -> None:
    told = [json.loads(line) for line in day.second.err.splitlines()]
    written = list(read_events(events_path(day.workspace, "clinic")))
    assert told == written[-len(told) :]
    assert (told[0]["kind"], told[-1]["kind"]) == ("run.began", "run.ended")


def test_data_go_to_stdout_and_each_step_to_one_line_of_stderr(day: Day) -> None:
    steps = day.first.err.splitlines()
    assert steps[0] == "clinic: 4 studies, 1 workers, workspace workspace"
    assert re.fullmatch(
        r"preprocess clinic [\d.]+ s, 30 images, 7 left out \(named in arrays/\w+/stored.json\)", steps[1]
    )
    assert sorted(line[:5] for line in steps[2:6]) == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert YAML(typ="safe").load(day.first.out)["failed"] == 1
    assert json.loads(day.second.out)["benchmark"] == "clinic"
    assert "Traceback" not in day.first.err + day.second.err + day.third.err
    assert "Warning" not in day.first.err + day.second.err + day.third.err


def test_the_report_command_prints_a_table_and_where_the_page_is(day: Day) -> None:
    assert day.third.code == 0
    assert day.third.out.startswith("clinic: mae of age on the test set\n")
    assert day.third.out.endswith("Report: workspace/reports/clinic/report.html\n")


def test_images_that_are_left_out_are_listed_by_reason_and_named_in_the_workspace(day: Day) -> None:
    for reason in (
        "needs an image", "is truncated", "one volume of three axes", "every voxel must be finite",
        "affine must be finite", "the header claims", "must not point out",
    ):  # fmt: skip
        assert reason in day.page
    named = re.search(r"named in (arrays/\w+/stored.json)", day.first.err)
    assert named is not None
    left_out = json.loads((day.workspace / named[1]).read_text())["excluded"]
    assert sorted(fault["place"].partition("/")[0] for fault in left_out) == [subject_id(GOOD + i) for i in range(7)]


def test_mlflow_has_a_run_for_the_benchmark_and_one_for_each_study(day: Day) -> None:
    with sqlite3.connect(day.workspace / "mlflow.db") as database:
        runs = dict(database.execute("SELECT name, status FROM runs WHERE lifecycle_stage = 'active'").fetchall())
        users = {user for (user,) in database.execute("SELECT user_id FROM runs").fetchall()}
    database.close()
    assert {re.sub(r"-.*", "", name): status for name, status in runs.items()} == {
        "clinic": "FAILED", "mean": "FINISHED", "linear": "FINISHED", "scratch": "FINISHED", "exploding": "FAILED",
    }  # fmt: skip
    assert users <= {"ctlr", "", None}


def test_mlflow_has_what_the_benchmark_learned_from_and_came_to(day: Day) -> None:
    with sqlite3.connect(day.workspace / "mlflow.db") as database:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return database.execute(query).fetchall()

        (stored,) = (day.workspace / "arrays").iterdir()
        assert sorted(rows("SELECT name, digest FROM datasets")) == [
            ("clinic", stored.name), ("clinic (test subjects)", stored.name),
        ]  # fmt: skip
        ((parent, place),) = rows("SELECT run_uuid, artifact_uri FROM runs WHERE name = 'clinic'")
        ((note,),) = rows(f"SELECT value FROM tags WHERE key = 'mlflow.note.content' AND run_uuid = '{parent}'")
        assert rows("SELECT key, value FROM experiment_tags") == [("mlflow.experimentKind", "custom_model_development")]
        ((alias, run),) = rows(
            "SELECT alias, run_id FROM registered_model_aliases alias JOIN model_versions version "
            "ON version.name = alias.name AND version.version = alias.version WHERE alias.name = 'clinic'"
        )
        ((best,),) = rows(f"SELECT name FROM runs WHERE run_uuid = '{run}'")
    database.close()
    assert re.match(r"\*\*Age\b.*\.\*\* \w+ .*labelled subjects", note)
    page = day.workspace / "mlartifacts" / place.removeprefix("mlflow-artifacts:/") / "report" / "report.html"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert (alias, best.partition("-")[0]) == ("best", "scratch")


def test_nothing_that_travels_names_a_person_a_place_or_a_day(day: Day) -> None:
    secrets = [b"XYZZY", b"2019-03-", str(day.folder).encode(), USER.encode(), b"scanned by", os.fsencode(Path.home())]
    secrets += [day.folder.name.encode(), os.fsencode(sys.prefix)]
    travels = {f"{name} of a run": text.encode() for name, text in streams(day).items()}
    for place in ("reports", "mlartifacts", "mlflow.db"):
        top = day.workspace / place
        files = [path for path in [top, *top.rglob("*")] if path.is_file()]
        assert files
        travels |= {str(path.relative_to(day.workspace)): path.read_bytes() for path in files}
    predictions = list(day.workspace.glob("studies/*/predictions.csv"))
    assert len(predictions) == 3
    travels |= {str(path.relative_to(day.workspace)): path.read_bytes() for path in predictions}
    assert [(name, secret) for name, content in travels.items() for secret in secrets if secret in content] == []


def streams(day: Day) -> dict[str, str]:
    runs = {"first": day.first, "second": day.second, "third": day.third}
    return {f"{stream} of the {name}": getattr(run, stream) for name, run in runs.items() for stream in ("out", "err")}
