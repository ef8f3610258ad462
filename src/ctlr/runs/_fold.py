"""The state of a run, folded from its events.

A fold holds all that pages show, goes on where it stopped when the file has grown, and begins anew when the file is
another one. Nothing of it has to be kept: whoever reads the file again has the same.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctlr.claims import is_claimed
from ctlr.cost import Work
from ctlr.events import events_path, parsed, process_start

__all__ = ["NAME", "Life", "Run", "Runs", "Search", "Step", "Trial"]

NAME = r"[a-z][a-z0-9-]{0,62}"
"""Names of benchmarks, as their files check them; nothing else becomes part of a path."""

Life = Literal["waiting", "running", "paused", "finished", "interrupted", "failed", "killed"]
"""How a run is; `waiting`: no event has been told yet."""

Event = Mapping[str, Any]

_CURVE = 400
"""Points that are kept of a curve; longer ones lose every second one."""
_LATEST = 60
_QUIET_SECONDS = 86400.0
"""Without a word of a cluster's run, after which it is taken to be gone."""
_ROWS = ("epoch", "seconds", "lr")
"""Numbers of a row that are no measure of how well it goes."""


@dataclass
class Step:
    """A piece of work."""

    id: str
    name: str
    of: str
    facts: Event
    state: str = "running"
    """running, finished, failed, taken or interrupted."""
    began: float = 0.0
    seconds: float | None = None
    done: int = 0
    total: int = 0
    rows: list[Event] = field(default_factory=list)
    every: int = 1
    """Of the rows that were told, one is kept of so many."""
    told: int = 0
    told_at: float = 0.0
    """When an epoch was last told."""
    first: tuple[float, int] = (0.0, 0)
    """When one was told first, and which: it is slower than those after it."""
    waits: bool = False
    """Whether its worker is starting still."""
    waited: float = 0.0
    """Seconds that it did."""
    text: str = ""
    """Of its end: what came of it, or the reason of its failure."""
    validation: float | None = None

    @property
    def at_work(self) -> float:
        """When its worker was there."""
        return self.began + self.waited

    @property
    def worked(self) -> float | None:
        """Its seconds without those of a worker's start; None as long as it has not ended."""
        return None if self.seconds is None else max(0.0, self.seconds - self.waited)

    def row(self, event: Event) -> None:
        """Take in numbers of an epoch."""
        self.done, self.total, self.told_at, self.waits = event["done"], event["total"], event["time"], False
        self.first = self.first if self.first[1] else (self.told_at, self.done)
        row = {name: value for name, value in (event.get("row") or {}).items() if value is not None}
        if not row:
            return
        if self.told % self.every == 0:
            self.rows.append(row | {"epoch": row.get("epoch", event["done"])})
        self.told += 1
        if len(self.rows) >= 2 * _CURVE:
            self.rows, self.every = self.rows[::2], 2 * self.every


@dataclass
class Trial:
    """A trial of a search."""

    search: str
    round: int
    number: int
    parameters: Mapping[str, str]
    name: str = ""
    """Of its folder in the search's; empty where nobody has told."""
    status: str = "Running"
    value: float | None = None
    seconds: float | None = None
    reason: str = ""
    ended: float = 0.0
    began: float = 0.0
    reports: int = 0
    last: Mapping[str, float] = field(default_factory=dict)
    """What it reported last."""
    rows: list[Event] = field(default_factory=list)
    """Its reports while it runs, as rows of a curve."""


@dataclass
class Search:
    """A search, with its trials in the order in which they began."""

    step: Step
    trials: dict[tuple[int, int], Trial] = field(default_factory=dict)
    order: list[Trial] = field(default_factory=list)
    """Those that have ended, in that order."""

    @property
    def metric(self) -> str:
        """What it is judged by."""
        return str(self.step.facts.get("metric") or "value")

    @property
    def maximises(self) -> bool:
        """Whether greater values are better."""
        return self.step.facts.get("direction") == "max"

    @property
    def counted(self) -> list[Trial]:
        """Ended trials that count, as the search itself has it: those that were ended early with a value do."""
        return [
            trial for trial in self.order if trial.value is not None and trial.status in ("Succeeded", "EarlyStopped")
        ]

    @property
    def best(self) -> Trial | None:
        """The first of the best trials."""
        found, pick = self.counted, max if self.maximises else min
        return pick(found, key=lambda trial: trial.value or 0.0) if found else None

    @property
    def seconds(self) -> float:
        """Of the device, that its ended trials took."""
        return sum(trial.seconds or 0.0 for trial in self.order)


@dataclass
class Run:
    """Everything that the events of a benchmark's runs tell."""

    name: str
    n: int = 0
    """Number of the last event."""
    time: float = 0.0
    began: Event = field(default_factory=dict)
    """The event of the last run's beginning."""
    end: Event | None = None
    planned: int | None = None
    """Steps that the last run has left to do, as it began with them."""
    work: dict[str, Work] = field(default_factory=dict)
    """What each of them costs, by step."""
    ended: set[str] = field(default_factory=set)
    """Of those, which are done or failed."""
    steps: dict[str, Step] = field(default_factory=dict)
    searches: dict[str, Search] = field(default_factory=dict)
    latest: deque[Event] = field(default_factory=lambda: deque(maxlen=_LATEST))
    seconds: float = 0.0
    """That earlier runs took."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """Of the last run: when each began and ended; the last one may go on, and ends at infinity."""

    def take(self, event: Event) -> None:
        """Fold in the next event."""
        self.n, self.time = event["n"], event.get("time", self.time)
        self.latest.append(event)
        kind = str(event.get("kind"))
        handler = getattr(self, "_" + kind.replace(".", "_"), None)
        if handler is not None:
            with contextlib.suppress(
                KeyError, TypeError, ValueError
            ):  # of another version: what is not understood is left out
                handler(event)

    def _run_began(self, event: Event) -> None:
        if self.began and self.began.get("identity") != event.get("identity"):
            self.steps, self.searches, self.seconds = {}, {}, 0.0
        self._break()
        self.began, self.end, self.planned, self.work, self.ended, self.pauses = event, None, None, {}, set(), []

    def _run_paused(self, event: Event) -> None:
        self.pauses.append((event["time"], math.inf))

    def _run_continued(self, event: Event) -> None:
        self.pauses[-1] = (self.pauses[-1][0], event["time"])

    def _break(self) -> None:
        """What was under way is so no more."""
        for step in self.running:
            step.state = "interrupted"
        for search in self.searches.values():
            for trial in search.trials.values():
                if trial.status == "Running":
                    trial.status = "Interrupted"

    def _run_planned(self, event: Event) -> None:
        self.planned = event["steps"]
        self.work = {name: Work.model_validate(told) for name, told in (event.get("work") or {}).items()}

    def _run_ended(self, event: Event) -> None:
        self.end = event
        began = self.began.get("time", event["time"])
        self.seconds += event.get("seconds") or max(0.0, event["time"] - began)
        self._break()

    _run_interrupted = _run_failed = _run_ended

    def _step_started(self, event: Event) -> None:
        step = Step(event["step"], event["name"], event["of"], event, began=event["time"])
        self.steps.pop(step.id, None)
        self.steps[step.id] = step
        if step.of == "tune":
            search = self.searches.get(step.id)
            if search is None:
                self.searches[step.id] = Search(step)
            else:
                search.step = step

    def _step_progress(self, event: Event) -> None:
        self.steps[event["step"]].row(event)

    def _step_finished(self, event: Event) -> None:
        step = self._settle(event, "finished")
        step.text, step.validation = event.get("text") or "", event.get("validation")

    def _step_failed(self, event: Event) -> None:
        self._settle(event, "failed").text = event.get("reason") or ""

    def _step_taken(self, event: Event) -> None:
        self.steps[event["step"]].state = "taken"

    def _settle(self, event: Event, state: str) -> Step:
        step = self.steps[event["step"]]
        step.state, step.seconds = state, event.get("seconds")
        step.waits = False
        if self.planned is not None and step.of not in ("preprocess", "tune"):
            self.ended.add(step.id)
        return step

    def _worker_starting(self, event: Event) -> None:
        self.steps[event["step"]].waits = True

    def _worker_started(self, event: Event) -> None:
        step = self.steps[event["step"]]
        step.waits, step.waited = False, event["seconds"]

    def _trial_started(self, event: Event) -> None:
        search, key = self.searches[event["step"]], (event["round"], event["number"])
        name = event.get("name") or ""
        search.trials[key] = Trial(event["step"], *key, event["parameters"], name, began=event["time"])

    def _trial_reported(self, event: Event) -> None:
        trial = self.searches[event["step"]].trials[event["round"], event["number"]]
        trial.reports = event["report"]
        trial.last = {name: value for name, value in event["metrics"].items() if value is not None}
        trial.rows.append(trial.last | {"epoch": event["report"]})
        if len(trial.rows) >= 2 * _CURVE:
            trial.rows = trial.rows[::2]

    def _trial_ended(self, event: Event) -> None:
        search, key = self.searches[event["step"]], (event["round"], event["number"])
        known = search.trials.get(key)
        trial = known or Trial(event["step"], *key, event["parameters"])
        if known is not None and known.ended:  # once more, as one that came too late for its search
            search.order.remove(known)
        trial.status, trial.value, trial.seconds = event["status"], event["value"], event["seconds"]
        trial.reason, trial.ended, trial.rows = event.get("reason") or "", event["time"], []
        search.trials[key] = trial
        search.order.append(trial)
        search.step.done = max(search.step.done, len(search.order))

    # ------------------------------------------------------------ what pages and terminals ask

    @property
    def settled(self) -> int:
        """Of the steps that the last run had left, how many are done or failed."""
        return len(self.ended)

    @property
    def running(self) -> list[Step]:
        """Steps under way."""
        return [step for step in self.steps.values() if step.state == "running"]

    @property
    def failed(self) -> list[Step]:
        """Steps that failed."""
        return [step for step in self.steps.values() if step.state == "failed"]

    @property
    def studies(self) -> list[Step]:
        """Trainings that are judged, in whatever state."""
        return [step for step in self.steps.values() if step.of == "study"]

    @property
    def trials(self) -> Iterator[Trial]:
        """Of all searches."""
        for search in self.searches.values():
            yield from search.trials.values()

    @property
    def under_way(self) -> list[Search]:
        """Searches that run."""
        return [search for search in self.searches.values() if search.step.state == "running"]

    @property
    def studies_done(self) -> int:
        """Of the benchmark's studies, how many are done: those that were before its last run, too."""
        if self.planned == 0:
            return int(self.began.get("studies") or 0)
        if not self.work:
            return sum(step.state == "finished" for step in self.studies)
        left = sum(work.study and not self._is_done(name) for name, work in self.work.items())
        return max(0, int(self.began.get("studies") or 0) - left)

    def _is_done(self, name: str) -> bool:
        return name in self.ended and self.steps[name].state == "finished"

    @property
    def submission(self) -> str:
        """Of a run on a cluster, its submission; empty for others."""
        return str(self.began.get("submission") or "")

    def lasted(self, since: float, now: float) -> float:
        """Seconds from one moment to another, without those of pauses."""
        paused = (min(end, now) - max(begin, since) for begin, end in self.pauses)
        return max(0.0, now - since - sum(max(0.0, seconds) for seconds in paused))

    def life(self, root: Path) -> Life:
        """How it is now."""
        if not self.began:
            return "waiting"
        if self.end is not None:
            ends: Mapping[str, Life] = {"run.ended": "finished", "run.interrupted": "interrupted"}
            return ends.get(self.end["kind"], "failed")
        if self.submission:  # a pod comes after the other, and each may have to wait for a node
            alive = time.time() - self.time < _QUIET_SECONDS
        elif self.began.get("host") == socket.gethostname():
            alive = process_start(int(self.began["pid"])) == self.began.get("started")
        else:  # its claim says whether somebody leads, which can only be the last that began
            alive = is_claimed(root, "runs", "lead")
        if not alive:
            return "killed"
        return "paused" if self.pauses and self.pauses[-1][1] == math.inf else "running"


@dataclass
class _Fold:
    run: Run
    place: tuple[int, int]
    """Device and inode of the file."""
    offset: int = 0
    marks: list[tuple[int, int]] = field(default_factory=list)
    """Every so many events: a number, and where its line ends."""


class Runs:
    """The runs of a workspace, each folded as far as its file goes; for several threads."""

    _EVERY = 500

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folds: dict[str, _Fold] = {}
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """Of the benchmarks that runs have left something of, the last one first."""
        found: dict[str, float] = {}
        for folder in (self.root / "runs").glob("*"):
            with contextlib.suppress(OSError):
                found[folder.name] = max(file.stat().st_mtime for file in (folder, *folder.iterdir()))
        for page in (self.root / "reports").glob("*/report.html"):  # of runs before events were told
            with contextlib.suppress(OSError):
                found.setdefault(page.parent.name, page.stat().st_mtime)
        return sorted((name for name in found if not name.startswith(".")), key=lambda name: -found[name])

    def read(self, name: str) -> Run:
        """A run as it is now; an empty one where none is known."""
        return self._fold(name).run

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[Run]:
        """A run as it is now, which stays so during the block."""
        with self._lock:
            yield self._fold(name).run

    def events_after(self, name: str, number: int) -> tuple[list[dict[str, Any]], int]:
        """Events after a number, some thousand at most, and the number of the last one that is told."""
        fold = self._fold(name)
        if fold.run.n <= number:
            return [], fold.run.n
        start = max((mark for mark in fold.marks if mark[0] <= number), default=(0, 0))[1]
        found: list[dict[str, Any]] = []
        with contextlib.suppress(OSError), events_path(self.root, name).open("rb") as file:
            file.seek(start)
            for line in file:
                if file.tell() > fold.offset or len(found) >= 4 * self._EVERY:
                    break
                event = parsed(line)
                if event is not None and event["n"] > number:
                    found.append(event)
        return found, fold.run.n

    def forget(self, name: str) -> None:
        """Begin anew with a run."""
        with self._lock:
            self._folds.pop(name, None)

    def _fold(self, name: str) -> _Fold:
        with self._lock:
            try:
                with events_path(self.root, name).open("rb") as file:
                    return self._go_on(name, file)
            except FileNotFoundError:
                self._folds.pop(name, None)
                return _Fold(Run(name), (0, 0))

    def _go_on(self, name: str, file: Any) -> _Fold:
        status = os.fstat(file.fileno())
        fold = self._folds.get(name)
        if fold is None or fold.place != (status.st_dev, status.st_ino) or status.st_size < fold.offset:
            fold = self._folds[name] = _Fold(Run(name), (status.st_dev, status.st_ino))
        file.seek(fold.offset)
        for line in file:
            if not line.endswith(b"\n"):
                break
            fold.offset += len(line)
            event = parsed(line)
            if event is not None:
                fold.run.take(event)
                if event["n"] % self._EVERY == 0:
                    fold.marks.append((event["n"], fold.offset))
        return fold
