"""What a log and a program are told of a run; terminals are in test_terminal.py."""

import json
from pathlib import Path

import pytest

from ctlr.crew import Event, Job
from ctlr.display import Display, JsonLines, following
from ctlr.display import _run as module
from ctlr.events import KINDS, read_events, recorded
from ctlr.wishes import LOOK_SECONDS

LONG = Job("long", "pretrain", "")
STORED = Job("preprocess x", "preprocess", "")
REASON = "the loss became nan " * 20


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs without a payload are called by their ids."""
    monkeypatch.setattr("ctlr.events.readable", lambda job: f"a-{job.id}")
    monkeypatch.setattr("ctlr.events._facts", lambda job: {})


def test_each_step_is_a_line_of_its_own_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    with following(Display()) as watcher:
        watcher.expect({"long": "a-long", "other": "another"})
        watcher(Event(LONG, "started"))
        watcher(Event(LONG, "progress", 1, 2, "loss=0.5"))
        watcher(Event(LONG, "failed", text=REASON))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"[1/2] a-long FAILED: {REASON}\n"


def test_a_step_beside_the_count_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with following(Display()) as watcher:
        watcher(Event(STORED, "started"))
        watcher(Event(STORED, "finished", text="30 images"))
        watcher.expect({})
    assert capsys.readouterr().err == "a-preprocess x 0.0 s, 30 images\nEverything is finished already.\n"


def test_a_step_that_another_run_was_at_first_is_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with following(Display()) as watcher:
        watcher.expect({"long": "a-long"})
        for state in ("started", "taken", "finished"):
            watcher(Event(LONG, state))
    assert capsys.readouterr().err == "[1/1] a-long done by another run\n"


def test_the_users_own_terminal_is_told_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    with following(Display()) as watcher:
        watcher.expect({"long": "a-long"})
        watcher(Event(LONG, "failed", text="OSError", told="OSError: '/scans' is gone"))
    assert capsys.readouterr().err == "[1/1] a-long FAILED: OSError: '/scans' is gone\n"


def test_a_log_is_told_every_so_often_how_far_the_run_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "LINE_SECONDS", 0.2)
    with recorded(Display(), tmp_path, "tiny") as watcher:
        watcher.begin("tiny", 1, 1, tmp_path)
        with watcher:
            watcher.expect({"long": "a-long"})
            watcher(Event(LONG, "started"))
            watcher(Event(LONG, "progress", 3, 40, row={"loss": 0.5}))
            module.time.sleep(LOOK_SECONDS + 0.5)
    first, *more = capsys.readouterr().err.splitlines()
    assert first == f"tiny: 1 studies, 1 workers, workspace {tmp_path}"
    assert 1 <= len(more) <= 6
    assert "0/1, 0 %" in more[0]
    assert "a-long epoch 3/40" in more[0]


def test_lines_of_json_are_those_of_the_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with recorded(JsonLines(), tmp_path, "tiny") as watcher:
        watcher.begin("tiny", 1, 1, tmp_path)
        with watcher:
            watcher.expect({"long": "a-long"})
            watcher(Event(LONG, "started"))
            watcher(Event(LONG, "failed", text="OSError", told="OSError: '/scans' is gone"))
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert told == list(read_events(tmp_path / "runs" / "tiny" / "events.jsonl"))
    assert {event["kind"] for event in told} <= set(KINDS)
    assert "/scans" not in json.dumps(told)


def test_what_the_file_has_no_room_for_is_told_without_a_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("ctlr.events.MOST_BYTES", 10)
    with recorded(JsonLines(), tmp_path, "tiny") as watcher:
        watcher(Event(LONG, "started"))
        watcher(Event(LONG, "progress", 1, 2))
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(event["kind"], event.get("n")) for event in told] == [
        ("step.started", 1), ("step.progress", None), ("run.ended", 2),
    ]  # fmt: skip
