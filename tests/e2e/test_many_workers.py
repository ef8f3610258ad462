"""Four runs at one plan, on one machine or on four, killed and frozen at any moment: the results are the same.

Here a few; more of them: `CTLR_KILLS=200 pytest tests/e2e/test_many_workers.py`. Another machine is a process whose
boot id is another one, on a volume that is not its own, so that its locks are not believed and its claims last until
their lease is over; the lease is a second here, in place of a minute. Where sshfs is installed, four machines are also
four mounts of one folder: real clients of a real server, which share no locks and no caches.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
BEAT = 0.2
PATIENCE_SECONDS = 600
SFTP_SERVER = next(
    (path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server") if Path(path).exists()), ""
)

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
    go_on(workspace.root, plan, arrays, "", 1.0, workspace.root / "done", 0.0)
    return results(workspace)


@pytest.fixture(params=["one machine", "four machines", "four mounts"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[tuple[Path, str, float]]]:
    """Of each run: the workspace as it sees it, its machine's name (its own where empty), and the lease, in seconds."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    if request.param == "one machine":
        yield [(workspace, "", 1.0)] * RUNS
    elif request.param == "four machines":
        yield [(workspace, f"machine-{number}", 1.0) for number in range(RUNS)]
    else:
        if not (shutil.which("sshfs") and SFTP_SERVER and os.access("/dev/fuse", os.W_OK)):
            pytest.skip("needs sshfs, an SFTP server and /dev/fuse")
        with ExitStack() as mounts:
            folders = [mounts.enter_context(mounted(workspace, tmp_path / f"mount-{number}")) for number in range(RUNS)]
            yield [(folder, "", 3.0) for folder in folders]  # its files' times are whole seconds


@contextmanager
def mounted(folder: Path, mount: Path) -> Iterator[Path]:
    """A folder by a server and a client of its own; the client asks anew each time, as it would within a real lease."""
    mount.mkdir()
    options = "passive,dir_cache=no,attr_timeout=0,entry_timeout=0"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = subprocess.Popen([SFTP_SERVER], stdin=ours.fileno(), stdout=ours.fileno())
        client = subprocess.Popen(
            ["sshfs", "-f", "-o", options, f":{folder}", str(mount)], stdin=theirs.fileno(), stdout=theirs.fileno()
        )
    try:
        until = time.monotonic() + 10
        while not mount.is_mount():
            assert client.poll() is None
            assert time.monotonic() < until, "sshfs does not mount"
            time.sleep(0.05)
        yield mount
    finally:
        subprocess.run(["fusermount3", "-u", "-z", mount], check=True)
        for process in (client, server):
            process.wait(timeout=10)


def go_on(root: Path, plan: Plan, arrays: Arrays, machine: str, lease: float, done: Path, since: float) -> None:
    """A run: does what nobody else is at, until nothing is left; notes what it has finished."""
    if machine:
        claims._machine = lambda place: f"{machine} "
        claims._is_local = lambda place: False
    claims.LEASE_SECONDS, claims.BEAT_SECONDS = lease, BEAT
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
    """Runs that are begun again when they are gone."""

    def __init__(
        self, places: list[tuple[Path, str, float]], plan: Plan, arrays: Arrays, done: Path, since: float
    ) -> None:
        self._places, self._arguments = places, (plan, arrays, done, since)
        self._context = multiprocessing.get_context("fork")
        self.runs = [self._start(number) for number in range(RUNS)]

    def _start(self, number: int) -> BaseProcess:
        (root, machine, lease), (plan, arrays, done, since) = self._places[number], self._arguments
        run = self._context.Process(target=_quietly, args=(root, plan, arrays, machine, lease, done, since))
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
        time.sleep(rng.choice([0.1, 1.6 * self._places[0][2]]))
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
def fleet(*arguments: Any) -> Iterator[Fleet]:
    made = Fleet(*arguments)
    try:
        yield made
    finally:
        made.end()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_runs_that_are_killed_and_frozen_at_any_moment_give_the_results_of_one_left_in_peace(
    plan: Plan, undisturbed: dict[str, Any], places: list[tuple[Path, str, float]], tmp_path: Path
) -> None:
    workspace, rng = Workspace(places[0][0]), random.Random(places[-1][1])
    arrays = preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda event: None)
    done, strikes, until = tmp_path / "done", 0, time.monotonic() + PATIENCE_SECONDS
    since = claims.time_there(workspace.root)
    with fleet(places, plan, arrays, done, since) as runs:
        while runs.tend():
            assert time.monotonic() < until, "waited too long"
            time.sleep(rng.uniform(0.05, 0.6))
            if strikes < KILLS:
                runs.strike(rng)
                strikes += 1
    # A worker that is killed alone fails its study, which the next run does again.
    go_on(workspace.root, plan, arrays, "", 1.0, done, claims.time_there(workspace.root))
    assert results(workspace) == undisturbed
    counted = Counter(done.read_text().splitlines())
    assert max(counted.values()) == 1, "a step was done twice"
    with workspace.working():  # a run that begins removes what those that were overtaken and killed have left
        pass
    left = [path for kind in ("studies", "finetuned", "pretrained") for path in (workspace.root / kind).iterdir()]
    assert not [path for path in left if path.suffix in (".partial", ".damaged")]
    assert all(workspace.has(path.parent.name, path.name) for path in left)
