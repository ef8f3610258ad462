"""Runs of a workspace as rows, and what an interrupted one keeps."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ctlr.errors import ConfigError
from ctlr.events import EventLog, events_path, process_start
from ctlr.runs import Runs, find_study, kept, listed

STUDY = {"of": "study", "method": "scratch", "encoder": "cnn", "source": "", "target": "p.age", "n_train": 20,
         "seed": 0, "metric": "mae", "direction": "min"}  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "workspace.json").write_text("{}")
    return tmp_path


def tell(root: Path, name: str, *events: tuple[str, dict[str, Any]]) -> None:
    log = EventLog(events_path(root, name))
    known = {"pid": os.getpid(), "started": process_start(os.getpid()), "host": socket.gethostname()}
    log.write("run.began", benchmark=name, identity="a", studies=2, workers=1, **known)
    for kind, facts in events:
        log.write(kind, **facts)
    log.close()


def study(key: str, name: str) -> tuple[str, dict[str, Any]]:
    return "step.started", {"step": f"study {key}", "name": name, "study": name, **STUDY}


def report(root: Path, name: str) -> None:
    folder = root / "reports" / name
    (folder / "tables").mkdir(parents=True)
    (folder / "report.html").write_text("<html>")
    model = {"target": "p.age", "encoder": "cnn", "method": "scratch", "n_train": 20, "best": True, "metric": "mae",
             "direction": "min"}  # fmt: skip
    worse = model | {"method": "vat", "best": False}
    (folder / "models.json").write_text(json.dumps([worse, model]))
    (folder / "tables" / "scores-age.csv").write_text(
        "data,target,source,encoder,method,n_train,labelled,metric,mean,low,high\n"
        "p,age,,cnn,scratch,20,20 + 20,mae,9.81234,9.1,10.5\np,age,,cnn,vat,20,20 + 20,mae,8.0,7.0,9.0\n"
    )


def test_a_run_that_has_ended_is_headed_by_the_best_on_validation_with_its_test_score(workspace: Path) -> None:
    tell(workspace, "ended", ("run.ended", {"seconds": 60.0}))
    report(workspace, "ended")
    (row,) = listed(workspace)
    assert (row.life, row.headline) == ("finished", "scratch mae 9.812 (9.1 to 10.5), n = 20 + 20")
    assert row.record["best"][0]["low"] == 9.1


def test_the_score_is_that_of_the_model_s_own_source_and_a_target_has_one_best(workspace: Path) -> None:
    tell(workspace, "ended", ("run.ended", {"seconds": 60.0}))
    report(workspace, "ended")
    folder = workspace / "reports" / "ended"
    model = {
        "target": "p.age", "encoder": "cnn", "method": "supervised", "n_train": 20, "best": True, "metric": "mae",
        "direction": "min",
    }  # fmt: skip
    models = [
        model | {"source": "q.sex", "validation": 9.0},
        model | {"source": "q.age", "validation": 5.0},
        model | {"method": "scratch", "source": "", "validation": 7.0},
    ]
    (folder / "models.json").write_text(json.dumps(models))
    for source, score in (("age", 6.5), ("sex", 9.5)):
        (folder / "tables" / f"scores-{source}.csv").write_text(
            "data,target,source,encoder,method,n_train,labelled,metric,mean,low,high\n"
            f"p,age,q.{source},cnn,supervised,20,20 + 20,mae,{score},6.0,10.0\n"
            f"p,age,q.{source},cnn,scratch,20,20 + 20,mae,9.0,8.0,10.0\n"
        )
    (row,) = listed(workspace)
    assert row.headline == "supervised mae 6.5 (6 to 10), n = 20 + 20"


def test_a_run_under_way_is_headed_by_validation_and_says_so(workspace: Path) -> None:
    tell(workspace, "live", study("k1", "scratch-1"), ("step.finished", {"step": "study k1", "validation": 7.5}))
    (row,) = listed(workspace)
    assert (row.life, row.headline) == ("running", "so far, on validation: val_mae 7.5 by scratch, cnn, n = 20")


def test_a_run_that_failed_is_headed_by_its_reason(workspace: Path) -> None:
    tell(workspace, "bad", ("run.failed", {"seconds": 1.0, "reason": "an image is needed."}))
    (row,) = listed(workspace)
    assert (row.life, row.headline) == ("failed", "an image is needed.")


def test_the_last_run_comes_first(workspace: Path) -> None:
    for number, name in enumerate(("old", "new")):
        tell(workspace, name)
        for path in (events_path(workspace, name), events_path(workspace, name).parent):
            os.utime(path, (number * 100, number * 100))
    assert [row.run.name for row in listed(workspace)] == ["new", "old"]


def test_a_report_of_a_version_without_events_is_a_finished_run(workspace: Path) -> None:
    report(workspace, "old")
    (row,) = listed(workspace)
    assert (row.life, row.best[0].method) == ("finished", "scratch")


def test_a_folder_that_is_no_workspace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no workspace: it has no workspace.json. Name the folder of `ctlr run"):
        listed(tmp_path)


def test_a_study_is_found_by_how_its_id_alone_begins(workspace: Path) -> None:
    tell(workspace, "live", study("k1", "scratch-age-1"), study("k2", "scratch-age-2"))
    found = find_study(workspace, "scratch-age-2")
    assert found is not None
    assert (found.id, found.run, found.record["method"]) == ("scratch-age-2", "live", "scratch")
    assert find_study(workspace, "vat") is None
    with pytest.raises(ConfigError, match=r"2 studies begin with 'scratch': scratch-age-1, scratch-age-2"):
        find_study(workspace, "scratch")


def checkpoint(root: Path, place: str, epochs: int) -> None:
    folder = root / place
    folder.mkdir(parents=True)
    header = json.dumps({"__metadata__": {"meta": json.dumps({"history": [{}] * epochs})}}).encode()
    (folder / "checkpoint.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


def test_an_interrupted_run_says_which_steps_and_checkpoints_it_keeps(workspace: Path) -> None:
    progress = {"step": "study k2", "done": 9, "total": 40, "row": {}}
    tell(
        workspace, "live", ("run.planned", {"steps": 4}), study("k1", "one"),
        ("step.finished", {"step": "study k1", "seconds": 1.0}), study("k2", "two"), ("step.progress", progress),
        study("k3", "three"), ("run.interrupted", {"seconds": 5.0}),
    )  # fmt: skip
    checkpoint(workspace, "finetuned/k2.partial", 8)
    found = kept(Runs(workspace).read("live"), workspace)
    assert (found.done, found.of, found.checkpoints, found.anew) == (1, 4, {"two": (8, 40)}, ("three",))
    assert found.words == "Kept: 1 of 4 steps, and the checkpoints of two (epoch 8 of 40). Begun anew: three."


def test_a_checkpoint_that_is_damaged_is_none(workspace: Path) -> None:
    tell(workspace, "live", ("run.planned", {"steps": 1}), study("k1", "one"), ("run.interrupted", {"seconds": 5.0}))
    checkpoint(workspace, "finetuned/k1.partial", 3)
    path = workspace / "finetuned" / "k1.partial" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:20])
    assert kept(Runs(workspace).read("live"), workspace).checkpoints == {}


def test_a_run_that_was_interrupted_before_it_trained_keeps_its_images(workspace: Path) -> None:
    tell(workspace, "live", ("run.interrupted", {"seconds": 5.0}))
    words = kept(Runs(workspace).read("live"), workspace).words
    assert words == "Kept: every image that is stored, and every finished step."
