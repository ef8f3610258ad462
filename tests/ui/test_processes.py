"""Runs as processes of their own: begun, stopped, gone on with; never another process in their place."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctlr.errors import ConfigError, WorkspaceError
from ctlr.events import EventLog, events_path, process_start
from ctlr.runs import Run, Runs
from ctlr.ui import processes
from ctlr.workspace import Workspace


def at(pid: int, started: float | None, host: str = "") -> Run:
    run = Run("tiny")
    run.take({"n": 1, "kind": "run.began", "pid": pid, "started": started, "host": host or socket.gethostname()})
    return run


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
                            stdout=subprocess.PIPE)  # fmt: skip


def test_a_run_is_interrupted_and_no_other_process(sleeper: subprocess.Popen[bytes]) -> None:
    with sleeper:
        assert sleeper.stdout is not None
        sleeper.stdout.readline()
        started = process_start(sleeper.pid)
        with pytest.raises(WorkspaceError, match="runs no more"):
            processes.stop(at(sleeper.pid, (started or 0) + 1))  # another process has the number now
        with pytest.raises(WorkspaceError, match="runs on elsewhere"):
            processes.stop(at(sleeper.pid, started, host="elsewhere"))
        time.sleep(0.2)
        assert sleeper.poll() is None
        processes.stop(at(sleeper.pid, started))
        assert sleeper.wait(10) == -signal.SIGINT


def test_a_run_that_is_gone_or_has_ended_cannot_be_stopped() -> None:
    with pytest.raises(WorkspaceError, match="runs no more"):
        processes.stop(at(2**22 + 1, 1.0))
    ended = at(os.getpid(), process_start(os.getpid()))
    ended.take({"n": 2, "kind": "run.ended"})
    for run in (ended, Run("tiny")):
        with pytest.raises(WorkspaceError, match="does not run"):
            processes.stop(run)


def test_a_process_that_nobody_has_waited_for_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while process_start(child.pid) is not None:  # a zombie then
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.wait()


def test_a_second_run_is_refused_while_one_leads(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    with workspace.working(), pytest.raises(WorkspaceError, match="A run is under way"):
        processes.start(workspace.root, "tiny", ["run", "nowhere.yaml"])


def test_a_run_that_cannot_begin_leaves_its_words(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    process = processes.start(workspace.root, "tiny", ["run", "nowhere.yaml"])
    assert os.getsid(process.pid) == process.pid  # of its own session: it hears nothing that is meant for the server
    deadline = time.monotonic() + 60
    while "exit code" not in (text := processes.output_of(workspace.root, "tiny")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "nowhere.yaml" in text
    assert text.endswith("ctlr ended with exit code 2.\n")


def test_going_on_with_another_benchmark_needs_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, started = Workspace(tmp_path / "w").root, []
    monkeypatch.setattr(processes, "start", lambda root, name, words: started.append(words))
    with pytest.raises(ConfigError, match="by its own file"):
        processes.go_on(root, "tiny")
    file = processes.benchmark_file(root, "tiny")
    file.parent.mkdir(parents=True)
    file.write_text("")
    processes.go_on(root, "tiny")
    assert started == [["run", str(file)]]


def test_a_deleted_run_takes_only_what_it_told_with_it(tmp_path: Path) -> None:
    root = Workspace(tmp_path / "w").root
    log = EventLog(events_path(root, "tiny"))
    log.write("run.began", pid=2**22 + 1, started=1.0, host=socket.gethostname())
    log.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "reports").mkdir()
    (root / "reports" / "tiny").symlink_to(elsewhere)
    (root / "studies" / "a").mkdir(parents=True)
    processes.delete(root, Runs(root).read("tiny"))
    assert not (root / "runs" / "tiny").exists()
    assert not (root / "reports" / "tiny").is_symlink()
    assert elsewhere.is_dir()
    assert (root / "studies" / "a").is_dir()
