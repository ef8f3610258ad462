"""The state of a run, folded from events as a run writes them."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ctlr.events import EventLog, events_path, process_start
from ctlr.runs import Run, Runs, duration, headline, ranking
from ctlr.ui import story


def fold(*events: dict[str, Any]) -> Run:
    run = Run("tiny")
    for number, event in enumerate(events, 1):
        run.take({"n": number, "time": 1000.0 + number} | event)
    return run


def began(**more: Any) -> dict[str, Any]:
    known = {"pid": os.getpid(), "started": process_start(os.getpid()), "host": socket.gethostname()}
    return {"kind": "run.began", "benchmark": "tiny", "identity": "a", "studies": 2, "workers": 1} | known | more


def study(step: str, **more: Any) -> dict[str, Any]:
    facts = {
        "study": step, "method": "scratch", "encoder": "small_cnn", "source": "", "target": "p.kind", "n_train": 20,
        "seed": 0, "metric": "balanced_accuracy", "direction": "max",
    }  # fmt: skip
    return {"kind": "step.started", "step": step, "name": step, "of": "study"} | facts | more


SEARCH = {"kind": "step.started", "step": "tune", "name": "tune", "of": "tune", "metric": "val_mae",
          "direction": "min", "trials": 10, "budget_seconds": 60.0}  # fmt: skip


def trial(number: int, value: float | None, status: str = "Succeeded", **more: Any) -> list[dict[str, Any]]:
    place = {"step": "tune", "round": 1, "number": number, "parameters": {"lr": f"0.{number}"}}
    end = {"kind": "trial.ended", "status": status, "value": value, "seconds": 2.0, "reason": ""}
    return [{"kind": "trial.started"} | place, end | place | more]


def test_a_run_that_lives_is_running_and_one_whose_process_is_gone_was_killed(tmp_path: Path) -> None:
    assert fold(began()).life(tmp_path) == "running"
    assert fold(began(started=1.0)).life(tmp_path) == "killed"  # its number is used again
    assert fold(began(pid=2**22 + 1)).life(tmp_path) == "killed"
    assert fold().life(tmp_path) == "waiting"


def test_a_run_that_pauses_says_so_and_its_time_stands(tmp_path: Path) -> None:
    events = [began(), study("a"), {"kind": "run.paused", "time": 1010.0}]
    run = fold(*events)
    assert run.life(tmp_path) == "paused"
    assert run.lasted(1002.0, 1100.0) == 8.0
    run = fold(*events, {"kind": "run.continued", "time": 1050.0}, {"kind": "run.paused", "time": 1060.0})
    assert run.life(tmp_path) == "paused"
    assert run.lasted(1002.0, 1100.0) == 8.0 + 10.0
    assert run.lasted(1040.0, 1055.0) == 5.0
    assert story.live(run, 1100.0)["running"][0].for_seconds == 18.0
    assert fold(*events, began()).life(tmp_path) == "running"  # a run that begins is awake
    assert fold(*events, {"kind": "run.interrupted", "seconds": 3.0}).life(tmp_path) == "interrupted"


@pytest.mark.parametrize(
    ("kind", "life"), [("run.ended", "finished"), ("run.interrupted", "interrupted"), ("run.failed", "failed")]
)
def test_a_run_has_ended_as_its_last_event_says(kind: str, life: str, tmp_path: Path) -> None:
    run = fold(began(), study("a"), {"kind": kind, "seconds": 3.0})
    assert run.life(tmp_path) == life
    assert run.seconds == 3.0
    assert run.studies[0].state == "interrupted"
    assert fold(began(), {"kind": kind, "seconds": 3.0}, began()).life(tmp_path) == "running"


def test_a_run_elsewhere_lives_as_long_as_its_claim(tmp_path: Path) -> None:
    assert fold(began(host="another")).life(tmp_path) == "killed"


def test_studies_count_when_they_are_settled_and_rank_by_validation() -> None:
    run = fold(
        began(), {"kind": "run.planned", "steps": 3}, study("a"), study("b", seed=1), study("c", method="simclr"),
        {"kind": "step.finished", "step": "a", "seconds": 1.0, "validation": 0.5},
        {"kind": "step.finished", "step": "b", "seconds": 1.0, "validation": 0.7},
        {"kind": "step.finished", "step": "c", "seconds": 1.0, "validation": 0.8},
    )  # fmt: skip
    assert (run.settled, run.planned) == (3, 3)
    (rows,) = ranking(run).values()
    assert [(row.name, row.value) for row in rows] == [
        ("simclr, small_cnn, n = 20", 0.8), ("scratch, small_cnn, n = 20", pytest.approx(0.6)),
    ]  # fmt: skip
    assert rows[1].note == "mean of 2 seeds"
    assert headline(run) == "val_balanced_accuracy 0.8 by simclr, small_cnn, n = 20"


def test_what_was_learned_from_two_sources_stands_twice() -> None:
    run = fold(
        began(), study("a", method="supervised", source="p.sex"), study("b", method="supervised", source="p.age"),
        study("c"), {"kind": "step.finished", "step": "a", "seconds": 1.0, "validation": 0.5},
        {"kind": "step.finished", "step": "b", "seconds": 1.0, "validation": 0.7},
        {"kind": "step.finished", "step": "c", "seconds": 1.0, "validation": 0.6},
    )  # fmt: skip
    (rows,) = ranking(run).values()
    assert [row.name for row in rows] == [
        "supervised from p.age, small_cnn, n = 20", "scratch, small_cnn, n = 20",
        "supervised from p.sex, small_cnn, n = 20",
    ]  # fmt: skip


def test_a_search_knows_its_best_trial_and_what_is_left_of_its_budget() -> None:
    run = fold(began(), SEARCH, *trial(0, 9.0), *trial(1, 4.0), *trial(2, None, "Failed", reason="NaN"), *trial(3, 5.0))
    early = fold(began(), SEARCH, *trial(0, 9.0), *trial(1, 4.0, "EarlyStopped", reason="its 5 s were over"))
    assert early.searches["tune"].best is not None
    assert early.searches["tune"].best.number == 1
    search = run.searches["tune"]
    assert search.best is not None
    assert (search.best.number, search.best.value) == (1, 4.0)
    (told,) = story.live(run)["searches"]
    assert told["left"] == "6 of 10 trials and 52 s of 1 min"
    assert (told["ended"], told["failed"], told["best"]) == (4, 1, "4")


def test_a_trial_under_way_is_drawn_and_a_race_knows_what_is_left_of_its_time() -> None:
    arm = {key: value for key, value in SEARCH.items() if key != "budget_seconds"} | {"race_seconds": 90.0}
    reports = [
        {
            "kind": "trial.reported",
            "step": "tune",
            "round": 1,
            "number": 0,
            "report": each,
            "metrics": {"val_mae": 9.0 / each},
        }
        for each in (1, 2, 3)
    ]
    told = story.live(fold(began(), arm, trial(0, 9.0)[0], *reports), now=1012.0)
    assert told["race"] == "1 min 20 s of 1 min 30 s"
    (now,) = told["running"]
    assert (now.name, now.words, now.for_seconds) == ("tune, trial 0", "lr=0.0", 9.0)
    assert "polyline" in now.drawn
    ended = fold(began(), arm, *trial(0, 9.0), {"kind": "run.ended", "seconds": 1.0})
    assert story.live(ended)["race"] == ""
    assert not story.live(ended)["running"]


def test_a_trial_that_begins_again_counts_once() -> None:
    first = trial(0, 9.0)
    run = fold(began(), SEARCH, first[0], {"kind": "run.interrupted", "seconds": 1.0})
    assert [each.status for each in run.trials] == ["Interrupted"]
    run = fold(began(), SEARCH, first[0], {"kind": "run.interrupted", "seconds": 1.0}, began(), SEARCH, *first)
    assert [(each.number, each.status) for each in run.trials] == [(0, "Succeeded")]


def test_another_benchmark_of_the_same_name_begins_anew() -> None:
    run = fold(began(), SEARCH, *trial(0, 9.0), {"kind": "run.ended", "seconds": 1.0}, began(identity="b"))
    assert not list(run.trials)
    assert run.seconds == 0.0


def test_events_of_another_version_do_no_harm() -> None:
    run = fold(began(), {"kind": "step.finished"}, {"kind": "planet.exploded"}, {"kind": "trial.ended", "step": "x"})
    assert run.n == 4


def test_a_long_curve_keeps_its_shape_in_few_points() -> None:
    rows = [
        {"kind": "step.progress", "step": "a", "done": epoch, "total": 5000, "row": {"epoch": epoch, "loss": 1 / epoch}}
        for epoch in range(1, 5001)
    ]
    step = fold(began(), study("a"), *rows).studies[0]
    assert step.done == 5000
    assert 400 <= len(step.rows) <= 800
    assert step.rows[0]["loss"] == 1.0


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    log = EventLog(events_path(tmp_path, "tiny"))
    log.write("run.began", **{key: value for key, value in began().items() if key != "kind"})
    for number in range(1200):
        log.write("step.taken", step=str(number))
    log.close()
    return tmp_path


def test_a_file_that_grows_is_read_on_and_a_line_that_is_cut_is_awaited(workspace: Path) -> None:
    runs, path = Runs(workspace), events_path(workspace, "tiny")
    assert runs.read("tiny").n == 1201
    with path.open("a") as file:
        file.write('{"n":1202,"time":1,"kind":"run.pl')
        file.flush()
        assert runs.read("tiny").n == 1201
        file.write('anned","steps":7}\n')
    run = runs.read("tiny")
    assert (run.n, run.planned) == (1202, 7)


def test_events_after_a_number_come_once_and_in_order(workspace: Path) -> None:
    runs, told, number = Runs(workspace), [], 703
    while found := runs.events_after("tiny", number)[0]:
        told += [event["n"] for event in found]
        number = told[-1]
    assert told == list(range(704, 1202))


def test_a_run_that_was_deleted_and_begun_anew_is_another_one(workspace: Path) -> None:
    runs, path = Runs(workspace), events_path(workspace, "tiny")
    assert runs.read("tiny").n == 1201
    path.unlink()
    assert runs.read("tiny").n == 0
    path.write_text(json.dumps({"n": 1, "time": 0, "kind": "run.planned", "steps": 2}) + "\n")
    assert (runs.read("tiny").n, runs.read("tiny").planned) == (1, 2)
    assert runs.events_after("tiny", 1201) == ([], 1)


def test_the_table_of_trials_is_sorted_filtered_and_paged() -> None:
    many = [event for number in range(120) for event in trial(number, float(number % 7))]
    run = fold(began(), SEARCH, *many, *trial(120, None, "Failed", reason="the loss is NaN"))
    first = story.table(run, story.Asked(sort="value", descending=False))
    assert (first["found"], first["pages"], len(first["rows"])) == (121, 3, 50)
    assert {row["value"] for row in first["rows"][:17]} == {"0"}
    last = story.table(run, story.Asked(sort="value", descending=True, page=3))
    assert last["rows"][-1]["status"] == "Failed"  # without a value: at the end either way
    assert story.table(run, story.Asked(sort="value", descending=False, page=3))["rows"][-1]["status"] == "Failed"
    assert [row["number"] for row in story.table(run, story.Asked(words="nan"))["rows"]] == [120]
    assert [row["number"] for row in story.table(run, story.Asked(words="lr=0.77"))["rows"]] == [77]
    assert story.table(run, story.Asked(status="Failed"))["found"] == 1
    assert story.table(run, story.Asked(page=99))["page"] == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.2 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90000, "1 d 1 h"), (None, "")],
)
def test_lengths_of_time_are_told_in_two_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words
