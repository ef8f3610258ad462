"""Trials that are programs: each in a process group of its own, its output followed and bounded."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ctlr.errors import ConfigError, WorkspaceError
from ctlr.interrupts import check, held
from ctlr.specs import Experiment, Trial
from ctlr.tuning.launchers.collect import FileTail, Metrics, MetricsReader, metric_names, names_file
from ctlr.tuning.launchers.guard import TRIAL_MARK, Guard
from ctlr.tuning.launchers.launcher import Ended, Reported
from ctlr.tuning.launchers.output import CappedLog
from ctlr.tuning.launchers.programs import (
    CannotStartError,
    death,
    limit_seconds,
    output_of,
    signal_group,
    start_program,
)
from ctlr.tuning.manifest import render
from ctlr.tuning.push import METRICS_FILE
from ctlr.workspace import disk_faults_named

__all__ = ["TRIAL_NAME", "ProcessLauncher"]

TRIAL_NAME = "CTLR_TRIAL_NAME"
"""Environment variable with a trial's name."""

_LOOK_SECONDS = 0.05
"""Between two looks at files, limits and deaths that no pipe tells of."""
_CHUNK = 65_536
_MOST_CHUNKS = 16
"""Read from one trial before the others have their turn."""


class ProcessLauncher:
    """Run an experiment's command for each trial, as its manifest says; the image is not used.

    A trial's folder, `trials/NAME`, keeps `log.txt` (the beginning and the end of what it printed, 1 MB at most) and
    `metrics.log`, the collector's file where there is one. Its
    environment is this process's, the manifest's on top. Where the command names the collector's file or the
    `suggestion_trial_dir` of population-based training, a path in the trial's folder takes its place, so that trials do
    not share it: Katib mounts a volume a trial. When a trial ends, whatever it has started ends with it.

    Args:
        experiment: Its command, collector and limits.
        folder: Of the experiment.
        grace_seconds: From SIGTERM, which asks a trial to end, to SIGKILL.
    """

    def __init__(self, experiment: Experiment, folder: Path, *, grace_seconds: float = 3.0) -> None:
        self._experiment = experiment
        self._folder = folder.absolute()
        self._grace = grace_seconds
        self._limit = limit_seconds(experiment)
        self._checkpoints = experiment.algorithm.settings.get("suggestion_trial_dir", "")
        self._own_file = experiment.collector.kind == "File" and names_file(experiment)
        self._running: dict[int, _Process] = {}
        self._events: list[Reported | Ended] = []
        self._selector = selectors.DefaultSelector()
        self._guard = Guard()

    def start(self, trial: Trial, parent: Trial | None = None) -> None:
        """Start a trial's program; one that cannot be started ends at once with the reason.

        Raises:
            WorkspaceError: The experiment's folder can take no more.
        """
        folder = self._prepared(trial, parent)
        try:
            argv, environment, working_dir = self._rendered(trial, folder)
            tail = self._followed_file(folder)
            started = time.monotonic()
            process = start_program(argv, environment | {TRIAL_MARK: self._guard.expect()}, working_dir)
        except (ConfigError, CannotStartError) as error:
            self._guard.forget()
            self._events.append(Ended(trial.number, ok=False, reason=str(error)))
            return
        self._guard.watch(process.pid)
        reader = MetricsReader(self._experiment.collector, metric_names(self._experiment))
        log = CappedLog(folder / "log.txt")
        self._running[trial.number] = _Process(trial.number, process, folder, log, reader, tail, started)
        self._selector.register(output_of(process), selectors.EVENT_READ, trial.number)

    def wait(self, seconds: float | None) -> list[Reported | Ended]:
        """Follow the trials until one reports or ends, or the time is over."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._events and self._running:
            check()
            left = _LOOK_SECONDS if until is None else min(_LOOK_SECONDS, until - time.monotonic())
            for key, _ in self._selector.select(max(left, 0)):
                self._take_output(self._running[key.data])
            for running in list(self._running.values()):
                self._look(running)
            if left <= 0:
                break
        events, self._events = self._events, []
        return events

    def seconds(self, number: int) -> float:
        """Since its program was started."""
        running = self._running.get(number)
        return time.monotonic() - running.started if running is not None else 0.0

    def stop(self, number: int) -> None:
        """Ask a trial to end; if it does not within the grace, it is killed."""
        if running := self._running.get(number):
            running.stopped = True
            self._end(running)

    def close(self) -> None:
        """Kill every trial."""
        with held():
            for running in self._running.values():
                signal_group(running.process.pid, signal.SIGKILL)
            for running in self._running.values():
                running.process.wait()
                output_of(running.process).close()
                with contextlib.suppress(WorkspaceError):  # a full disk: whoever closes has been told
                    running.log.close()
                    self._keep_file(running)
            self._running.clear()
            self._events.clear()
            self._selector.close()
            self._guard.close()

    def _prepared(self, trial: Trial, parent: Trial | None) -> Path:
        """Make a trial's folder, with its parent's checkpoint."""
        folder = self._folder / "trials" / trial.name
        with disk_faults_named(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            before = self._folder / "trials" / parent.name / "checkpoint" if parent is not None else None
            if before is not None and before.is_dir():
                shutil.copytree(before, folder / "checkpoint")
            elif self._checkpoints:
                (folder / "checkpoint").mkdir()
        return folder

    def _rendered(self, trial: Trial, folder: Path) -> tuple[list[str], dict[str, str], str]:
        """Program, environment and working folder; paths that Katib mounts for each trial are its own here too."""
        argv, written, working_dir = render(self._experiment, trial)
        own = {self._checkpoints: folder / "checkpoint"} if self._checkpoints else {}
        if self._own_file:
            own[self._experiment.collector.path] = _metrics_file(folder)
        for path, place in own.items():
            ours = f"{place}/" if path.endswith("/") else str(place)
            argv = [word.replace(path, ours) for word in argv]
            written = {name: value.replace(path, ours) for name, value in written.items()}
        return argv, self._environment(trial, folder) | written, working_dir

    def _environment(self, trial: Trial, folder: Path) -> dict[str, str]:
        """This process's, and what a trial is told of itself."""
        environment = os.environ | {TRIAL_NAME: trial.name}
        if self._experiment.collector.kind == "Push":
            environment[METRICS_FILE] = str(_metrics_file(folder))
        # What an image calls `python` or `ctlr` is, on this machine, at least the Python that runs this.
        environment["PATH"] = os.pathsep.join([environment.get("PATH", os.defpath), str(Path(sys.executable).parent)])
        # Into a pipe Python prints by the block, and an early stop would come epochs late.
        environment.setdefault("PYTHONUNBUFFERED", "1")
        return environment

    def _followed_file(self, folder: Path) -> FileTail | None:
        """The file that metrics come from; None where they come from the output."""
        collector = self._experiment.collector
        if collector.kind == "Push" or self._own_file:
            return FileTail(_metrics_file(folder))
        return FileTail(Path(collector.path)) if collector.kind == "File" else None

    def _take_output(self, running: _Process) -> None:
        """Take what a trial has printed."""
        for _ in range(_MOST_CHUNKS):
            try:
                data = os.read(output_of(running.process).fileno(), _CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._selector.unregister(output_of(running.process))
                running.open = False
                # Its death follows in a moment, unless it has only closed its output.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.process.wait(0.02)
                return
            running.log.write(data)
            if running.tail is None:
                self._report(running, running.reader.feed(data))

    def _look(self, running: _Process) -> None:
        """See whether a trial has written to its file, has died, or is over its time."""
        if running.tail is not None:
            self._report(running, running.reader.feed(running.tail.read()))
        now = time.monotonic()
        if running.process.poll() is not None:
            self._finish(running)
        elif running.kill_at is not None:
            if now >= running.kill_at:
                signal_group(running.process.pid, signal.SIGKILL)
        elif self._limit is not None and now - running.started >= self._limit:
            running.reason = f"ran longer than its activeDeadlineSeconds, {self._limit:g} s"
            self._end(running)

    def _end(self, running: _Process) -> None:
        if running.kill_at is None:
            running.kill_at = time.monotonic() + self._grace
            signal_group(running.process.pid, signal.SIGTERM)

    def _finish(self, running: _Process) -> None:
        """Take leave of a trial whose program has ended."""
        seconds = time.monotonic() - running.started
        # A child that it left behind may hold the pipe for ever.
        signal_group(running.process.pid, signal.SIGKILL)
        self._guard.release(running.process.pid)
        if running.open:
            self._take_output(running)
        if running.open:
            self._selector.unregister(output_of(running.process))
        if running.tail is not None:
            while data := running.tail.read():
                self._report(running, running.reader.feed(data))
        self._report(running, running.reader.finish())
        output_of(running.process).close()
        del self._running[running.number]
        self._events.append(_ended(running, seconds))
        running.log.close()
        self._keep_file(running)

    def _keep_file(self, running: _Process) -> None:
        if running.tail is not None:
            with disk_faults_named(running.folder):
                running.tail.keep(_metrics_file(running.folder))

    def _report(self, running: _Process, found: list[Metrics]) -> None:
        seconds = time.monotonic() - running.started
        self._events += [Reported(running.number, metrics, seconds, metrics.time) for metrics in found]


@dataclass
class _Process:
    """A trial's program under way."""

    number: int
    process: subprocess.Popen[bytes]
    folder: Path
    log: CappedLog
    reader: MetricsReader
    tail: FileTail | None
    started: float
    open: bool = True
    """Whether more may come from its output."""
    stopped: bool = False
    reason: str = ""
    """Why the launcher ends it."""
    kill_at: float | None = None
    """When it is killed, once it was asked to end."""


def _ended(running: _Process, seconds: float) -> Ended:
    code = running.process.returncode
    tail = running.log.tail()
    reason = running.reason or ("" if code == 0 else death(code, tail))
    ok = not reason and not running.stopped
    return Ended(running.number, ok, "" if ok else reason, "" if ok else tail, seconds, running.stopped)


def _metrics_file(folder: Path) -> Path:
    """Where a trial that has a file of its own writes metrics."""
    return folder / "metrics.log"
