import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pool_jobs import start

from ctlr.errors import WorkspaceError
from ctlr.pool import Event, Job, Outcome, run_jobs


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[dict[str, Outcome], list[Event]]]:
    def run(*jobs: Job, workers: int = 1) -> tuple[dict[str, Outcome], list[Event]]:
        events: list[Event] = []
        outcomes = run_jobs(
            jobs, start=start, arguments=(), workers=workers, log=tmp_path / "logs", on_event=events.append
        )
        return outcomes, events

    return run


def test_a_job_waits_for_what_it_needs_however_dear_it_is(run) -> None:
    jobs = (Job("b", "echo", "2", needs=("a",), cost=9), Job("a", "echo", "1"))
    outcomes, events = run(*jobs, workers=2)
    assert {name: outcome.answer for name, outcome in outcomes.items()} == {"a": "1", "b": "2"}
    order = [(event.job.id, event.state) for event in events]
    assert order.index(("a", "finished")) < order.index(("b", "started"))


def test_the_dearest_job_starts_first_and_tells_its_progress(run) -> None:
    _, events = run(Job("cheap", "echo", "", cost=1), Job("dear", "echo", "", cost=2))
    assert [event.job.id for event in events if event.state == "started"] == ["dear", "cheap"]
    progress = next(event for event in events if event.state == "progress")
    assert (progress.done, progress.total, progress.text) == (1, 2, "loss=0.5")


def test_workers_are_kept_for_the_next_job(run) -> None:
    outcomes, _ = run(*(Job(str(i), "pid", "") for i in range(4)), workers=2)
    assert len({outcome.answer for outcome in outcomes.values()}) == 2


def test_each_way_to_fail_is_a_reason_and_the_rest_goes_on(run, tmp_path: Path) -> None:
    kinds = ["die", "exit", "raise", "untrainable", "memory", "torch memory", "echo"]
    outcomes, _ = run(*(Job(kind, kind, "fine") for kind in kinds))
    assert "signal 9" in outcomes["die"].reason
    assert "memory" in outcomes["die"].reason
    assert outcomes["exit"].reason == "the worker ended with exit code 7"
    assert outcomes["raise"].reason.startswith("ZeroDivisionError (traceback in logs/")
    assert outcomes["untrainable"].reason == "the training loss became nan in epoch 3"
    assert outcomes["memory"].reason == outcomes["torch memory"].reason
    assert "out of memory" in outcomes["memory"].reason
    assert outcomes["echo"].answer == "fine"
    (log,) = (tmp_path / "logs").iterdir()
    assert "ZeroDivisionError" in log.read_text()


def test_what_needed_a_failed_job_fails_for_its_reason(run) -> None:
    outcomes, _ = run(
        Job("a", "untrainable", ""), Job("b", "echo", "", needs=("a",)), Job("c", "echo", "", needs=("b",))
    )
    assert outcomes["b"].reason == "untrainable failed: the training loss became nan in epoch 3"
    assert outcomes["c"].reason.endswith(outcomes["b"].reason)


def test_a_full_disk_stops_the_run_instead_of_failing_every_job(run) -> None:
    with pytest.raises(WorkspaceError, match="disk is full"):
        run(Job("a", "full", "", cost=1), Job("b", "echo", ""))


def test_workers_end_with_an_interrupted_parent(tmp_path: Path) -> None:
    marker = tmp_path / "pid"

    def interrupt(event: Event) -> None:
        if event.job.id == "a":
            return
        while not marker.exists():
            time.sleep(0.02)
        raise KeyboardInterrupt

    jobs = [Job("a", "sleep", str(marker)), Job("b", "sleep", str(marker))]
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, start=start, arguments=(), workers=2, log=tmp_path, on_event=interrupt)
    time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


def test_values_cross_as_json_alone(run) -> None:
    text = json.dumps({"ä": [1, None]})
    outcomes, _ = run(Job("a", "echo", text))
    assert outcomes["a"].answer == text


def test_what_other_runs_have_done_or_are_at_is_left_to_them(tmp_path: Path) -> None:
    """The need of `after` is taken at first, then done elsewhere: in one look, after `after` was passed over."""
    looks: list[str] = []

    def elsewhere(job: Job) -> Outcome | None:
        looks.append(job.id)
        done = job.id == "failed" or (job.id == "slow" and looks.count("slow") > 2)
        return (Outcome(reason="nan") if job.id == "failed" else Outcome(answer="theirs")) if done else None

    jobs = (
        Job("after", "echo", "ours", needs=("slow",)), Job("slow", "echo", "", cost=0),
        Job("failed", "echo", ""), Job("doomed", "echo", "", needs=("failed",)), Job("free", "echo", "ours"),
    )  # fmt: skip
    events: list[Event] = []
    outcomes = run_jobs(
        jobs, start=start, arguments=(), workers=1, log=tmp_path, on_event=events.append, elsewhere=elsewhere,
        taken=lambda job: job.id == "slow",
    )  # fmt: skip
    assert {name: outcome.answer or outcome.reason for name, outcome in outcomes.items()} == {
        "after": "ours", "slow": "theirs", "failed": "nan", "doomed": "echo failed: nan", "free": "ours",
    }  # fmt: skip
    assert [event.job.id for event in events if event.state == "started"] == ["free", "after"]


def test_a_job_that_another_run_was_quicker_to_take_is_looked_at_again(tmp_path: Path) -> None:
    events: list[Event] = []
    outcomes = run_jobs(
        [Job("a", "taken once", str(tmp_path / "mark"))], start=start, arguments=(), workers=1, log=tmp_path,
        on_event=events.append, taken=lambda job: False,
    )  # fmt: skip
    assert outcomes["a"].answer == "at last"
    assert [event.state for event in events] == ["started", "starting", "ready", "taken", "started", "finished"]
