"""The journal of an experiment: every event as a line of JSON, so that a killed run goes on where it was.

{"event": "experiment", ...}   the first line: the experiment, its seed, the trials it began with
{"event": "proposed", ...}     a trial, which starts at once
{"event": "reported", ...}     its metrics at a step
{"event": "ended", ...}        what came of it
{"event": "resumed", ...}      another process goes on, perhaps with other counts; trials under way begin again
{"event": "completed", ...}    the experiment has ended by its own rules
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from ctlr.durable import flush
from ctlr.errors import WorkspaceError
from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.workspace import disk_faults_named

__all__ = ["AS_PROPOSED", "JOURNAL", "Completion", "History", "Journal", "changes", "read_journal"]

JOURNAL = "journal.jsonl"
"""Name of the journal in an experiment's folder."""

V = TypeVar("V", Experiment, Trial)

_FORMAT = 1
_LOCK_SECONDS = 1.0
_FLUSH_SECONDS = 1.0
_COUNTS = ("max_trials", "parallel", "max_failed")
"""What may be edited between runs, as in Katib."""


AS_PROPOSED: Mapping[str, Any] = {
    "status": "Running", "reports": (), "value": None, "metrics": {}, "seconds": 0.0, "pretrained": {},
    "reason": "", "tail": "",
}  # fmt: skip
"""What makes of a trial what it was when it was proposed."""


@dataclass(frozen=True)
class Completion:
    """How an experiment ended.

    Attributes:
        succeeded: As Katib's condition says it.
        reason: Katib's word, e.g. `ExperimentGoalReached`.
        message: In one line.
        time: When (UTC).
        final: Whether it ended by its own rules, and not by a limit of one run.
        device_seconds: The limit of its trials' time that ended the run, if one did.
    """

    succeeded: bool
    reason: str
    message: str
    time: datetime
    final: bool = True
    device_seconds: float | None = None


@dataclass
class History:
    """What a journal tells.

    Attributes:
        experiment: As it was last run.
        seed: Of the sampler.
        started: When the first run began (UTC).
        earlier: Trials that it began with.
        trials: All that were proposed, by number; those under way are Running and have no reports.
        known: By number, how many trials from the first on a proposal knew the results of.
        completion: None while it has not ended.
    """

    experiment: Experiment
    seed: int
    started: datetime
    earlier: tuple[Trial, ...] = ()
    trials: list[Trial] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    completion: Completion | None = None


def read_journal(folder: Path) -> History | None:
    """What the journal in a folder tells; None where there is none.

    A last line that was cut in the middle is passed over, and so is what a power cut left of the file's end.

    Raises:
        WorkspaceError: The journal is damaged, or written by another version.
    """
    path = folder / JOURNAL
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    lines = data[: _whole_bytes(data)].splitlines()
    return _replayed(lines, path) if lines else None


def _whole_bytes(data: bytes) -> int:
    """How much of a journal is whole lines: a line may be cut, and space that was never filled reads as zeros."""
    return data.partition(b"\0")[0].rfind(b"\n") + 1


def _replayed(lines: Sequence[bytes], path: Path) -> History:
    number = 0
    try:
        history = _opened(json.loads(lines[0]))
        reports: dict[int, list[TrialReport]] = {}
        for number, line in enumerate(lines[1:], start=1):  # noqa: B007 (named in the error below)
            _replay(history, json.loads(line), reports)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:  # pydantic's are ValueErrors
        raise WorkspaceError(
            f"{path}: line {number + 1} is no event of an experiment. Restore the file, or remove the folder "
            f"{path.parent}: the search then begins anew."
        ) from error
    return history


def _opened(event: Mapping[str, Any]) -> History:
    if event["event"] != "experiment" or event["format"] != _FORMAT:
        raise ValueError("another format")
    return History(
        experiment=_from_json(Experiment, event["experiment"]),
        seed=event["seed"],
        started=datetime.fromisoformat(event["time"]),
        earlier=tuple(_from_json(Trial, each) for each in event["earlier"]),
    )


def _replay(history: History, event: dict[str, Any], reports: dict[int, list[TrialReport]]) -> None:
    """Let one event happen again."""
    kind, time = event.pop("event"), datetime.fromisoformat(event.pop("time"))
    match kind:
        case "proposed":
            history.known.append(event.pop("known"))
            history.trials.append(_from_json(Trial, event | {"status": "Running"}))
            reports[event["number"]] = []
        case "reported":
            reports[event.pop("number")].append(TrialReport(**event))
        case "ended":
            number = event["number"]
            ended = _from_json(Trial, history.trials[number].model_dump(mode="json") | event)
            if number in reports:
                ended = ended.model_copy(update={"reports": tuple(reports.pop(number))})
            history.trials[number] = ended
        case "resumed":
            _rerun(history)
            reports |= {trial.number: [] for trial in history.trials if not trial.ended}
            history.experiment = history.experiment.model_copy(update=event["counts"])
            history.completion = None
        case "completed":
            history.completion = Completion(**event, time=time)
        case _:
            raise ValueError(f"unknown event {kind!r}")


def _rerun(history: History) -> None:
    """Take back the ends that a run came to and not the trial: those trials run again."""
    for trial in history.trials:
        if trial.status == "Killed":
            history.trials[trial.number] = trial.model_copy(update=AS_PROPOSED)


def _from_json(kind: type[V], data: Mapping[str, Any]) -> V:
    return kind.model_validate_json(json.dumps(data))


def changes(before: Experiment, now: Experiment) -> list[str]:
    """What differs between two experiments besides the three counts, a line each; none: one may follow the other."""
    left, right = (each.model_dump(mode="json", exclude={"manifest", "resampled", *_COUNTS}) for each in (before, now))
    return list(_differences(left, right, ""))


def _differences(left: Any, right: Any, where: str) -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in {**left, **right}:
            yield from _differences(left.get(key), right.get(key), f"{where}.{key}" if where else key)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from _differences(*pair, f"{where}[{index}]")
    elif left != right:
        yield f"{where}: was {json.dumps(left)}, is {json.dumps(right)}"


class Journal:
    """The journal of an experiment under way, held against other processes.

    Each event is one write of a whole line to the kernel: when this process is killed, whatever was written stays.
    What trials came to is flushed to the disk at most once a second, which costs some milliseconds, and at the end. A
    power cut takes the trials that ended in that second; the journal is then shorter, and whole up to its last line.

    Args:
        folder: Of the experiment; made when it does not exist.

    Raises:
        WorkspaceError: Another process runs in this folder, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        with disk_faults_named(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
            flush(folder)
        self._flushed = -math.inf
        try:
            self._lock()
        except BlockingIOError as error:
            self._file.close()
            raise WorkspaceError(
                f"The experiment in {folder} is being run by another process. "
                "Wait for it to end, or name another folder."
            ) from error

        _OPEN.add(self)

    def _lock(self) -> None:
        """Take the lock; a trial that a killed run was just starting holds it for another moment."""
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def begin(self, experiment: Experiment, seed: int, earlier: Sequence[Trial]) -> History:
        """Begin the journal of a new experiment."""
        # A first line that was cut tells nothing: the experiment had not begun.
        os.truncate(self.path, 0)
        history = History(experiment, seed, datetime.now(UTC), tuple(earlier))
        self._write(
            "experiment",
            {
                "format": _FORMAT,
                "experiment": experiment.model_dump(mode="json"),
                "seed": seed,
                "earlier": [trial.model_dump(mode="json") for trial in earlier],
            },
            history.started,
        )
        return history

    def resume(self, history: History, experiment: Experiment) -> History:
        """Go on with an experiment whose counts may have changed; nothing else has."""
        # What follows a line that was cut would be lost with it.
        os.truncate(self.path, _whole_bytes(self.path.read_bytes()))
        self._write("resumed", {"counts": {name: getattr(experiment, name) for name in _COUNTS}})
        history = replace(history, experiment=experiment, completion=None)
        _rerun(history)
        return history

    def proposed(self, trial: Trial, known: int) -> None:
        """Note a trial that is about to start."""
        event = {"number": trial.number, "name": trial.name, "assignments": trial.assignments, "labels": trial.labels}
        self._write("proposed", event | {"known": known})

    def reported(self, number: int, report: TrialReport) -> None:
        """Note a trial's report."""
        self._write(
            "reported",
            {"number": number, "step": report.step, "metrics": report.metrics, "seconds": report.seconds},
        )

    def ended(self, trial: Trial) -> None:
        """Note what came of a trial; its reports are known."""
        event = {
            "number": trial.number,
            "status": trial.status,
            "value": trial.value,
            "metrics": trial.metrics,
            "seconds": trial.seconds,
            "pretrained": trial.pretrained,
            "started": trial.started,
            "reason": trial.reason,
            "tail": trial.tail,
        }
        self._write("ended", event)
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self._flush()

    def completed(self, completion: Completion) -> None:
        """Note the experiment's end."""
        event = {
            "succeeded": completion.succeeded,
            "reason": completion.reason,
            "message": completion.message,
            "final": completion.final,
            "device_seconds": completion.device_seconds,
        }
        self._write("completed", event, completion.time)
        self._flush()

    def _flush(self) -> None:
        with disk_faults_named(self.path):
            os.fdatasync(self._file.fileno())
        self._flushed = time.monotonic()

    def _write(self, kind: str, event: Mapping[str, Any], time: datetime | None = None) -> None:
        stamp = (time or datetime.now(UTC)).isoformat()
        line = json.dumps({"event": kind, "time": stamp, **event}, separators=(",", ":")) + "\n"
        with disk_faults_named(self.path):
            self._file.write(line.encode())


_OPEN: weakref.WeakSet[Journal] = weakref.WeakSet()


def _forget_all() -> None:
    for journal in list(_OPEN):
        journal.close()


# A process that is forked meanwhile, as an objective may, must not hold the lock when this one has let go.
os.register_at_fork(after_in_child=_forget_all)
