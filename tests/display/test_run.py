import io

import pytest
from rich.console import Console

from ctlr.display import Display
from ctlr.display import _run as module
from ctlr.pool import Event, Job

LONG = Job("long", "study", "")
REASON = "the loss became nan " * 20


def test_each_step_is_a_line_of_its_own_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.expect({"long": "a-study", "other": "another"})
        display(Event(LONG, "started"))
        display(Event(LONG, "progress", 1, 2, "loss=0.5"))
        display(Event(LONG, "failed", text=REASON))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"[1/2] a-study FAILED: {REASON}\n"


def test_a_step_beside_the_count_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display(Event(Job("preprocess x", "preprocess", ""), "started"))
        display(Event(Job("preprocess x", "preprocess", ""), "finished", text="30 images"))
        display.expect({})
    assert capsys.readouterr().err == "preprocess x 0.0 s, 30 images\nEverything is finished already.\n"


def test_a_step_that_another_run_was_at_first_is_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.expect({"long": "a-study"})
        for state in ("started", "taken", "finished"):
            display(Event(LONG, state))
    assert capsys.readouterr().err == "[1/1] a-study done by another run\n"


def test_the_users_own_terminal_is_told_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.expect({"long": "a-study"})
        display(Event(LONG, "failed", text="OSError", told="OSError: '/scans' is gone"))
    assert capsys.readouterr().err == "[1/1] a-study FAILED: OSError: '/scans' is gone\n"


def test_a_terminal_shows_what_runs_and_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        module, "Console", lambda **options: Console(file=screen, force_terminal=True, width=100, highlight=False)
    )
    with Display() as display:
        display.expect({"long": "a-study", "other": "another"})
        display(Event(LONG, "started"))
        display(Event(LONG, "progress", 7, 40, "train_loss=0.25"))
        display(Event(Job("other", "study", ""), "finished"))
    shown = screen.getvalue()
    assert "[1/2] another done by another run" in shown  # it never started here
    assert "1 of 2 steps done" in shown
    assert "7/40" in shown
    assert "train_loss=0.25" in shown
