"""Trials in warm workers: processes that keep torch loaded, so that a trial costs its training and little else."""

from __future__ import annotations

import math
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctlr.crew import Crew, Event, Job, Perform
from ctlr.errors import CtlrError
from ctlr.interrupts import held
from ctlr.specs import StoredArrays, Trial
from ctlr.tuning.launchers import Ended, Reported
from ctlr.tuning.request import TrialJob, TrialResult
from ctlr.wishes import clock
from ctlr.workspace import Workspace, disk_faults_named

__all__ = ["Done", "WarmLauncher", "placed", "start_trials"]

GRACE_SECONDS = 10.0
"""A worker that has not ended its trial so long after it was asked to (long epochs) is ended itself."""
TAIL_LINES = 20


def placed(device: str, number: int = 0) -> str:
    """The device that a worker uses: `auto` and `cuda` mean its GPU, `auto` the CPU where there is none."""
    if device not in ("auto", "cuda"):
        return device
    import torch  # slow to load, and not needed for a named device

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return f"cuda:{number % count}" if count else "cpu" if device == "auto" else device


def start_trials(number: int, root: str, arrays_json: Mapping[str, str], device: str) -> Perform:
    """Load torch and take a first step, once; return what performs this worker's trials."""
    import ctlr.preloaded  # noqa: F401 (no trial is charged with loading it; a forked worker has it already)
    from ctlr.steps.trial import run_trial
    from ctlr.training.metrics import regression_scores
    from ctlr.training.placement import keep_freed_memory, warm_up

    keep_freed_memory()
    warm_up(placed(device, number))
    regression_scores([0.0, 1.0], [0.0, 1.0], bins=[0.5])
    workspace = Workspace(root)
    arrays = {name: StoredArrays.model_validate_json(text) for name, text in arrays_json.items()}

    def perform(kind: str, payload: str, progress: Callable[[int, int, Mapping[str, float]], None]) -> str:
        progress(0, 0, {})  # a trial's time begins here: what its worker loaded serves all that follow
        job = TrialJob.model_validate_json(payload)
        where = placed(device if job.device == "auto" else job.device, number)

        def report(metrics: Mapping[str, float]) -> None:
            progress(0, 0, metrics)

        def settle(key: str, seconds: float, taken: float) -> None:
            progress(1 + round(1000 * taken), 0, {key: seconds})

        return run_trial(job, arrays, workspace, device=where, report=report, settle=settle).model_dump_json()

    return perform


@dataclass
class _Running:
    """A trial that waits for a worker or is at one."""

    number: int
    trial: TrialJob
    job: Job
    began: float = math.inf
    """When its time began, by `ctlr.wishes.clock`."""
    deadline: float = math.inf
    """When its worker is ended; set by a wish to stop."""
    stopping: bool = False
    rows: list[Mapping[str, float]] = field(default_factory=list)
    pretrained: dict[str, float] = field(default_factory=dict)
    """Seconds of pretrainings that it is charged with, by key."""

    @property
    def seconds(self) -> float:
        return max(clock() - self.began, 0.0)


@dataclass(frozen=True)
class Done:
    """A trial that has ended.

    Attributes:
        job: What was tried.
        rows: Everything that it reported, in order.
        result: None unless it succeeded.
        reason: Of a failure; empty where it was stopped.
    """

    job: TrialJob
    rows: tuple[Mapping[str, float], ...]
    result: TrialResult | None
    reason: str


class WarmLauncher:
    """Runs trials of studies in worker processes that outlive them; a `ctlr.tuning.launchers.Launcher`.

    A trial begins where its predecessor in the same worker ended: Python, torch and the stored arrays' table are there.
    Trials for which there is no idle worker wait for one.

    Args:
        job_of: What a trial trains. Where it raises a CtlrError the trial fails for that reason.
        arrays: Stored arrays by the dataset's name, of all studies that are tuned.
        workspace: Where they lie.
        workers: Processes at most.
        device: Of trials whose own is `auto`: cpu, cuda (a worker a GPU), cuda:N or auto.
        folder: Of the experiment: trials that hand weights on (population-based training) leave them in
            `trials/NAME/checkpoint`, whatever folder they name. None leaves it to them.
        metrics: Names to report; none: all.

    Attributes:
        folder: As given; another experiment may have another one.
        done: What came of each trial that has ended, by number.
    """

    def __init__(
        self,
        job_of: Callable[[Trial], TrialJob],
        arrays: Mapping[str, StoredArrays],
        workspace: Workspace,
        *,
        workers: int,
        device: str = "auto",
        folder: Path | None = None,
        metrics: Sequence[str] = (),
    ) -> None:
        texts = {name: stored.model_dump_json() for name, stored in arrays.items()}
        self._crew = Crew(start_trials, (str(workspace.root), texts, device), workers, workspace.root / "logs")
        self._job_of = job_of
        self.folder, self._metrics = folder, metrics
        self._trials: dict[str, _Running] = {}
        self._waiting: deque[_Running] = deque()
        self._told: list[Reported | Ended] = []
        self._charged: set[str] = set()
        self.done: dict[int, Done] = {}

    def begin(self) -> None:
        """Begin another experiment, which pays for its pretrainings itself: one that is there costs it as much."""
        self._charged.clear()

    def start(self, trial: Trial, parent: Trial | None = None) -> None:
        """Have a trial run as soon as a worker is idle.

        Args:
            trial: Its number is not running.
            parent: The trial whose weights it begins from.
        """
        try:
            payload = self._job_of(trial)
            if self.folder is not None and payload.checkpoint is not None:
                payload = payload.model_copy(update={"checkpoint": str(self._inherit(self.folder, trial, parent))})
        except CtlrError as error:
            self._told.append(Ended(trial.number, ok=False, reason=error.reason))
            return
        running = _Running(trial.number, payload, Job(str(trial.number), "trial", payload.model_dump_json()))
        self._trials[running.job.id] = running
        self._waiting.append(running)
        self._assign()

    def wait(self, seconds: float | None) -> list[Reported | Ended]:
        """Block until something has happened, or the time is over, and tell what.

        Raises:
            WorkspaceError: The workspace can take no more (full disk).
        """
        until = math.inf if seconds is None else clock() + seconds
        while not self._told and self._trials:
            now = clock()
            self._end_the_deaf(now)
            next_deadline = min((trial.deadline for trial in self._trials.values()), default=math.inf)
            patience = max(0.0, min(until, next_deadline) - now)
            for event in self._crew.listen(None if patience == math.inf else patience):
                self._hear(event)
            self._assign()
            if clock() >= until:
                break
        told, self._told = self._told, []
        return told

    def seconds(self, number: int) -> float:
        """Of the device, as `Ended` would tell them now."""
        trial = self._trials.get(str(number))
        return trial.seconds if trial is not None else 0.0

    def stop(self, number: int) -> None:
        """End a trial at its next epoch; its worker goes on to the next trial."""
        trial = self._trials.get(str(number))
        if trial is None or trial.stopping:
            return
        if trial in self._waiting:
            self._waiting.remove(trial)
            self._end(trial, None, stopped=True)
            return
        trial.stopping, trial.deadline = True, clock() + GRACE_SECONDS
        self._crew.stop(trial.job.id)

    def close(self) -> None:
        """End every worker, at whatever it is."""
        with held():
            self._crew.dismiss()
            self._trials.clear()
            self._waiting.clear()
            self._told.clear()

    def _assign(self) -> None:
        while self._waiting and self._crew.has_room:
            self._crew.give(self._waiting.popleft().job)

    def _hear(self, event: Event) -> None:
        trial = self._trials[event.job.id]
        if event.state == "progress" and not event.row:
            trial.began = clock()
            return
        if event.state == "progress" and event.done:
            self._settle(trial, event.row, taken=(event.done - 1) / 1000)
            return
        if event.state == "progress":
            trial.rows.append(event.row)
            told = {name: value for name, value in event.row.items() if not self._metrics or name in self._metrics}
            if told:
                self._told.append(Reported(trial.number, told, trial.seconds))
            return
        stopped = event.state == "stopped" or (event.state == "failed" and trial.stopping)
        result = TrialResult.model_validate_json(event.text) if event.state == "finished" else None
        self._end(trial, result, reason="" if stopped or result is not None else event.text, stopped=stopped)

    def _settle(self, trial: _Running, pretrained: Mapping[str, float], *, taken: float) -> None:
        """Charge a trial with its pretraining, the first of an experiment to need it, in place of what it waited."""
        new = {key: seconds for key, seconds in pretrained.items() if key not in self._charged}
        self._charged |= new.keys()
        trial.pretrained |= new
        trial.began += taken - sum(new.values())

    def _end(self, trial: _Running, result: TrialResult | None, *, reason: str = "", stopped: bool = False) -> None:
        del self._trials[trial.job.id]
        self.done[trial.number] = Done(trial.trial, tuple(trial.rows), result, reason)
        tail = "" if result is not None else "\n".join(map(_line, trial.rows[-TAIL_LINES:]))
        ended = Ended(trial.number, result is not None, reason, tail, trial.seconds, stopped, trial.pretrained)
        self._told.append(ended)

    def _end_the_deaf(self, now: float) -> None:
        for trial in self._trials.values():
            if now >= trial.deadline:
                trial.deadline = math.inf
                self._crew.kill(trial.job.id)

    @staticmethod
    def _inherit(experiment: Path, trial: Trial, parent: Trial | None) -> Path:
        """The trial's checkpoint folder: its parent's weights, or empty."""
        folder = experiment / "trials" / trial.name / "checkpoint"
        with disk_faults_named(experiment):
            shutil.rmtree(folder, ignore_errors=True)
            if parent is not None and (before := experiment / "trials" / parent.name / "checkpoint").is_dir():
                shutil.copytree(before, folder)
        return folder


def _line(row: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.6g}" for name, value in row.items())
