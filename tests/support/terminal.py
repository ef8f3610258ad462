"""`ctlr` as its users start it, with streams, signals and an exit code."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from unittest import mock

from ctlr.cli import main

__all__ = ["Finished", "Running", "call", "ctlr", "until"]

PATIENCE_SECONDS = 300
"""Bounds every wait; far above what any of them takes."""
LEAVE_SECONDS = 5
"""For what ends with its parent: multiprocessing's own servant, workers of one that a second signal has ended."""

Condition = Callable[[], Any]


@dataclass(frozen=True)
class Finished:
    """What a command came to."""

    code: int
    out: str
    err: str


class Running:
    """A command under way, in a session of its own; a context that ends with all of its processes.

    Args:
        arguments: After `ctlr`.
        folder: Working directory.
        before: Words before the command, e.g. of a program that starts it with fewer rights.
        environment: Variables besides those of this process.
        warm: Folder of a warm `ctlr` (`warm.py`).
    """

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        before: tuple[str, ...] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
        warm: Path | None = None,
    ) -> None:
        program = [str(warm / "ctlr")] if warm else [sys.executable, "-m", "ctlr"]
        self.began = time.time_ns()
        self._out, self._err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*before, *program, *arguments],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)
        self._out.close()
        self._err.close()

    def wait_for(self, condition: Condition) -> Any:
        """Wait until the condition holds; the command must not end before."""

        def holds() -> Any:
            found = condition()
            if not found:
                assert self.process.poll() is None, f"ended too early: {self.finish()}"
            return found

        return until(holds)

    def kill(self) -> None:
        """`kill -9` for the command itself, not for its workers."""
        self.process.kill()

    def signal(self, number: signal.Signals, *, group: bool) -> None:
        """Send a signal to the command, or as a terminal does to its whole group."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def alive(self, command: str = "") -> list[int]:
        """Processes of the session that have not ended, those with `command` in their command line."""
        return [pid for pid in _session(self.process.pid) if command in _command_line(pid)]

    def left(self) -> list[int]:
        """Processes of the session that are still there a moment after the command's end."""
        end = time.monotonic() + LEAVE_SECONDS
        while (alive := self.alive()) and time.monotonic() < end:
            time.sleep(0.05)
        return alive

    def workers(self) -> list[int]:
        """Worker processes: children of the one that has loaded what they need."""
        loaders = self.alive("multiprocessing.forkserver")
        return [pid for pid in loaders if _parent(pid) in loaders]

    def finish(self) -> Finished:
        """Wait for the end of the command."""
        code = self.process.wait(PATIENCE_SECONDS)
        texts = []
        for stream in (self._out, self._err):
            stream.seek(0)
            texts.append(stream.read())
        return Finished(code, *texts)


def ctlr(
    *arguments: str,
    folder: Path,
    before: tuple[str, ...] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    warm: Path | None = None,
) -> Finished:
    """Run a command to its end."""
    with Running(*arguments, folder=folder, before=before, environment=environment, warm=warm) as run:
        return run.finish()


def call(*arguments: str, folder: Path) -> Finished:
    """Run a command in this process: for those that end before they start a worker."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["ctlr", *arguments]),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, handler)
    return Finished(code, out.getvalue(), err.getvalue())


def until(condition: Condition) -> Any:
    """Wait until the condition holds, and return what it gave."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)
    return found


def _session(leader: int) -> list[int]:
    """Living processes of a session."""
    members = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session, *_ = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(session) == leader and state != "Z":
            members.append(int(entry.parent.name))
    return members


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
