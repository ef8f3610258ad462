"""Four runs at one plan, on one machine or on four, killed and frozen at any moment: the results are the same.

Here a few; more of them: `CTLR_KILLS=200 pytest tests/e2e/test_many_workers.py`. Another machine is a process whose
boot id is another one, on a volume that is not its own, so that its locks are not believed and its claims last until
their lease is over; the lease is a second here, in place of a minute.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from clinic import CLINIC, write_clinic
from forked import forked_workers

from ctlr import claims
from ctlr.config import load
from ctlr.engine import jobs_left, preprocess_all, run_jobs_left
from ctlr.plan import Plan, make_plan
from ctlr.pool import Event
from ctlr.specs import StoredArrays
from ctlr.workspace import Workspace

KILLS = int(os.environ.get("CTLR_KILLS", "6"))
RUNS = 4
SEEDS = max(2, KILLS // 8)
LEASE, BEAT = 1.0, 0.2
PATIENCE_SECONDS = 600

Arrays = dict[str, StoredArrays]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("clinic")
    write_clinic(folder / "clinic")
    (folder / "clinic.yaml").write_text(CLINIC.replace("seeds: [0]", f"seeds: {list(range(SEEDS))}"))
    return make_plan(load(folder / "clinic.yaml"))


@pytest.fixture(scope="module")
def undisturbed(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    workspace = Workspace(tmp_path_factory.mktemp("undisturbed") / "workspace")
    arrays = preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda event: None)
    go_on(workspace.root, plan, arrays, "", workspace.root / "done", 0.0)
    return results(workspace)


def go_on(root: Path, plan: Plan, arrays: Arrays, machine: str, done: Path, since: float) -> None:
    """A run: does what nobody else is at, until nothing is left; notes what it has finished."""
    if machine:
        claims._machine = lambda place: f"{machine} "
        claims._is_local = lambda place: False
    claims.LEASE_SECONDS, claims.BEAT_SECONDS = LEASE, BEAT
    workspace, here = Workspace(root), set[str]()

    def note(event: Event) -> None:
        if event.state == "started":
            here.add(event.job.id)
        elif event.state == "taken":
            here.discard(event.job.id)
        elif event.state == "finished" and event.job.id in here:
            with done.open("a") as file:
                file.write(f"{event.job.id}\n")

    with forked_workers():
        jobs = jobs_left(plan, arrays, workspace)
        run_jobs_left(jobs, arrays, workspace, workers=1, device="cpu", since=since, on_event=note)


def results(workspace: Workspace) -> dict[str, Any]:
    found = {}
    for path in workspace.root.glob("studies/*/result.json"):
        value = json.loads(path.read_text())
        found[path.parent.name] = (value["status"], value["scores"], value["best_epoch"])
    return found


class Fleet:
    """Runs that are begun again when they are gone.

    Args:
        start: Begins the run of a number.
    """

    def __init__(self, *arguments: Any, apart: bool) -> None:
        self._arguments, self._apart = arguments, apart
        self._context = multiprocessing.get_context("fork")
        self.runs = [self._start(number) for number in range(RUNS)]

    def _start(self, number: int) -> BaseProcess:
        root, plan, arrays, done, since = self._arguments
        machine = f"machine-{number}" if self._apart else ""
        run = self._context.Process(target=_quietly, args=(root, plan, arrays, machine, done, since))
        run.start()
        return run

    def tend(self) -> bool:
        """Begin again what was killed; whether any run is still at it."""
        for number, run in enumerate(self.runs):
            if run.exitcode not in (None, 0):
                self.runs[number] = self._start(number)
        return any(run.exitcode is None for run in self.runs)

    def strike(self, rng: random.Random) -> None:
        """Kill or freeze a run, or its worker."""
        alive = [run.pid for run in self.runs if run.exitcode is None and run.pid]
        if not alive:
            return
        pid = rng.choice(alive)
        family = [pid, *children(pid)]
        blow = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
        if blow != signal.SIGSTOP:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(family), blow)
            return
        for each in family:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGSTOP)
        time.sleep(rng.choice([0.1, 1.6 * LEASE]))
        for each in family:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)

    def end(self) -> None:
        for run in self.runs:
            run.kill()
            run.join()


def _quietly(*arguments: Any) -> None:
    sys.settrace(None)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    go_on(*arguments)


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextmanager
def fleet(*arguments: Any, apart: bool) -> Iterator[Fleet]:
    made = Fleet(*arguments, apart=apart)
    try:
        yield made
    finally:
        made.end()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("apart", [False, True], ids=["one machine", "four machines"])
def test_runs_that_are_killed_and_frozen_at_any_moment_give_the_results_of_one_left_in_peace(
    plan: Plan, undisturbed: dict[str, Any], tmp_path: Path, apart: bool
) -> None:
    workspace, rng = Workspace(tmp_path / "workspace"), random.Random(apart)
    arrays = preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda event: None)
    done, strikes, until = tmp_path / "done", 0, time.monotonic() + PATIENCE_SECONDS
    since = claims.time_there(workspace.root)
    with fleet(workspace.root, plan, arrays, done, since, apart=apart) as runs:
        while runs.tend():
            assert time.monotonic() < until, "waited too long"
            time.sleep(rng.uniform(0.05, 0.6))
            if strikes < KILLS:
                runs.strike(rng)
                strikes += 1
    # A worker that is killed alone fails its study, which the next run does again.
    go_on(workspace.root, plan, arrays, "", done, claims.time_there(workspace.root))
    assert results(workspace) == undisturbed
    counted = Counter(done.read_text().splitlines())
    assert max(counted.values()) == 1, "a step was done twice"
    left = [path for kind in ("studies", "finetuned", "pretrained") for path in (workspace.root / kind).iterdir()]
    assert not [path for path in left if path.suffix in (".partial", ".damaged")]
    assert all(workspace.has(path.parent.name, path.name) for path in left)
