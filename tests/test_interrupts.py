"""Signals aimed at every line of what deals out work: nothing hangs, no process stays, and the work goes on.

Here at some lines; at ten times as many: `CTLR_SIGNALS=10 pytest tests/test_interrupts.py`.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import pool_jobs
import pytest
from forked import forked_workers
from small_search import search, shell

import ctlr
from ctlr.config import load
from ctlr.crew import Crew, Event, Job
from ctlr.interrupts import came, came_again, check, held, released, wakeup
from ctlr.plan import make_plan
from ctlr.pool import run_jobs
from ctlr.specs import Experiment, Trial
from ctlr.trials import WarmLauncher
from ctlr.tuning.engine import run_experiment
from ctlr.tuning.launchers import FunctionLauncher, Launcher, ProcessLauncher
from ctlr.tuning.request import TrialJob, TrialResult
from ctlr.workspace import Workspace

HOME = Path(ctlr.__file__).parent
AIMED_AT = {
    str(HOME / name) for name in (
        "crew.py", "pool.py", "trials.py", "interrupts.py", "tuning/engine/loop.py", "tuning/engine/local.py",
        "tuning/launchers/processes.py", "tuning/launchers/programs.py", "tuning/launchers/guard.py",
        "tuning/launchers/functions.py",
    )
} | {contextlib.__file__}  # fmt: skip
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS = 20
MORE = int(os.environ.get("CTLR_SIGNALS", "1"))


class Hung(BaseException):
    """What was interrupted has not ended."""


@dataclass
class Aim:
    """Sends signals before given lines of the modules above, counted as they are executed."""

    shots: dict[int, signal.Signals]
    lines: int = 0
    last: str = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in AIMED_AT:
            return None
        if event == "line":
            self.lines += 1
            if number := self.shots.get(self.lines):
                self.last = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                signal.raise_signal(number)
        return self


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Break off what hangs, and take SIGTERM as a command does."""

    def give_up(*_: object) -> None:
        raise Hung

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = [(each, signal.signal(each, handler)) for each, handler in
              ((signal.SIGALRM, give_up), (signal.SIGTERM, interrupt), (signal.SIGINT, interrupt))]  # fmt: skip
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each, handler in before:
            signal.signal(each, handler)


def shoot(scene: Callable[[], object], shots: dict[int, signal.Signals]) -> tuple[Aim, bool]:
    """Play a scene under fire; whether it was interrupted."""
    aim = Aim(shots)
    with impatient():
        sys.settrace(aim)
        try:
            scene()
        except KeyboardInterrupt:
            return aim, True
        finally:
            sys.settrace(None)
            with held():  # gives back what a signal in the giving back has left
                pass
            assert all(signal.getsignal(each).__qualname__.startswith("impatient") for each in SIGNALS), aim.last
    return aim, False


def children() -> set[int]:
    """Processes of this one, but for multiprocessing's own servant."""
    servant = multiprocessing.resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
    found = {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
    return found - {servant}


# ---------------------------------------------------------------- scenes


def jobs(folder: Path) -> list[str]:
    """Five jobs, one of which needs two others and one of which dies."""
    made = [Job("a", "echo", "1"), Job("b", "echo", "2"), Job("c", "echo", "3", ("a", "b")), Job("d", "die", ""),
            Job("e", "echo", "4")]  # fmt: skip
    events: list[Event] = []
    found = run_jobs(made, start=pool_jobs.start, arguments=(), workers=2, log=folder, on_event=events.append)
    return sorted(name for name, outcome in found.items() if outcome.ok)


def quick(study: Any) -> Callable[..., Any]:
    """A worker whose trials come to the number that they try."""

    def start(*_: object) -> Any:
        def perform(kind: str, payload: str, progress: Callable[[int, int, Mapping[str, float]], None]) -> str:
            value = float(TrialJob.model_validate_json(payload).assignments["lr"])
            progress(0, 0, {})
            for epoch in (1, 2):
                progress(0, 0, {"epoch": epoch, "loss": value})
            return TrialResult(
                study=study, stage="finetune", metric="loss", value=value, scores={"loss": value}, epochs=2,
                best_epoch=2, seconds={},
            ).model_dump_json()  # fmt: skip

        return perform

    return start


Scene = Callable[[Path, bool], object]


def values(experiment: Experiment, launcher: Launcher, folder: Path, resume: bool) -> list[float | None]:
    with held(), contextlib.closing(launcher):
        return [trial.value for trial in run_experiment(experiment, folder, launcher, resume=resume).trials]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Iterator[dict[str, Scene]]:
    study = make_plan(load(tiny_file)).studies[1]
    workspace = Workspace(tmp_path_factory.mktemp("signals") / "workspace")
    four = search(parallel=2)

    def job_of(trial: Trial) -> TrialJob:
        return TrialJob(study=study, assignments={"lr": trial.assignments["x"]})

    def warm(folder: Path, resume: bool) -> object:
        return values(four, WarmLauncher(job_of, {}, workspace, workers=2), folder, resume)

    def programs(folder: Path, resume: bool) -> object:
        experiment = search(shell("echo loss=${trialParameters.x}"), parallel=2, max_trials=3)
        return values(experiment, ProcessLauncher(experiment, folder, grace_seconds=0.2), folder, resume)

    def functions(folder: Path, resume: bool) -> object:
        return values(four, FunctionLauncher(lambda found: iter([1.0, float(found["x"])]), "loss"), folder, resume)

    with forked_workers(), mock.patch("ctlr.trials.start_trials", quick(study)):
        yield {"jobs": lambda folder, resume: jobs(folder), "warm": warm, "programs": programs, "functions": functions}


@pytest.mark.parametrize(("name", "number"), [("jobs", 50), ("warm", 50), ("programs", 25), ("functions", 100)])
def test_a_signal_at_any_line_ends_the_work_and_leaves_no_process(
    name: str, number: int, scenes: dict[str, Scene], tmp_path: Path
) -> None:
    scene, number = scenes[name], number * MORE
    before = children()
    peaceful: list[object] = []
    aim, _ = shoot(lambda: peaceful.append(scene(tmp_path / "peaceful", False)), {})
    for shot, kind in zip(range(number), cycle(SIGNALS), strict=False):
        line, seen = 1 + shot * aim.lines // number, Aim({})
        while not seen.last:  # waiting takes more or fewer lines
            shots = {line: kind} | ({line + 7 * shot % 100: signal.SIGINT} if shot % 3 == 2 else {})  # pressed twice
            folder = tmp_path / f"{shot}-{line}"
            seen, stopped = shoot(lambda folder=folder: scene(folder, False), shots)  # type: ignore[misc]
            line = max(line * 3 // 4, 1)
        assert stopped, f"{seen.last} was not heard"
        assert children() == before, f"{seen.last} left a process"
        if shot % 10 == 0:
            assert scene(folder, True) == peaceful[0], f"{seen.last} lost something"


# ---------------------------------------------------------------- holding back


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    with impatient():
        yield


def test_a_signal_that_is_held_back_acts_at_the_check() -> None:
    done: list[str] = []

    def work() -> None:
        with held():
            signal.raise_signal(signal.SIGTERM)
            done.append("before")
            check()
            done.append("after")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["before"]


def test_a_signal_that_nobody_checks_for_acts_at_the_end_of_the_outermost_block() -> None:
    done: list[str] = []

    def work() -> None:
        with held():
            with held():
                signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner"]


def test_a_signal_acts_at_once_in_the_code_of_others() -> None:
    done: list[str] = []

    def work() -> None:
        with held():
            with released():
                signal.raise_signal(signal.SIGINT)
            done.append("too late")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == []
    with held():
        signal.raise_signal(signal.SIGWINCH)  # others' signals are none of its business


def test_a_signal_that_another_thread_takes_ends_the_waiting(tmp_path: Path) -> None:
    crew = Crew(pool_jobs.start, (), 1, tmp_path)
    shooter = threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    shooter.start()
    with pytest.raises(KeyboardInterrupt):
        crew.listen()
    shooter.join()


def test_a_default_action_and_an_ignored_signal_stay_what_they_are() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        signal.raise_signal(signal.SIGINT)
        check()


def test_another_thread_holds_nothing_back() -> None:
    found: list[object] = []

    def work() -> None:
        with held(), wakeup() as signals, released():
            check()
            found.extend([signals, signal.getsignal(signal.SIGINT).__qualname__])  # type: ignore[union-attr]

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[], "impatient.<locals>.interrupt"]


@pytest.mark.parametrize(("presses", "fewest", "most"), [(1, 5.0, 60.0), (2, 0.4, 4.0)])
def test_a_second_ctrl_c_waits_for_no_worker(presses: int, fewest: float, most: float, tmp_path: Path) -> None:
    mark, pressed = tmp_path / "mark", list[float]()

    def press() -> None:
        while not mark.exists():
            time.sleep(0.05)
        for _ in range(presses):
            pressed.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    shooter = threading.Thread(target=press)
    shooter.start()
    with forked_workers(), pytest.raises(KeyboardInterrupt):
        run_jobs([Job("a", "deaf", str(mark))], start=pool_jobs.start, arguments=(), workers=1, log=tmp_path,
                 on_event=lambda event: None)  # fmt: skip
    assert fewest <= time.monotonic() - pressed[0] <= most
    shooter.join()


def test_two_signals_at_once_are_meant_once() -> None:
    def work() -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            assert came()
            assert not came_again()
            check()

    assert not came()
    with pytest.raises(KeyboardInterrupt):
        work()


def test_workers_that_a_signal_to_the_group_has_ended_have_not_failed(tmp_path: Path) -> None:
    events: list[Event] = []

    def note(event: Event) -> None:
        events.append(event)
        if event.state == "progress":  # as `kill -TERM -GROUP` does
            for child in multiprocessing.active_children():
                child.terminate()
                child.join()
            os.kill(os.getpid(), signal.SIGTERM)

    with forked_workers(), pytest.raises(KeyboardInterrupt):
        run_jobs([Job("a", "endless", "")], start=pool_jobs.start, arguments=(), workers=1, log=tmp_path,
                 on_event=note)  # fmt: skip
    assert {event.state for event in events} == {"started", "starting", "ready", "progress"}
