"""Searches on a cluster as runs: Katib's Experiments and Trials of a namespace, folded as a workspace's events are.

What Kubernetes says is put into the events that it tells of, in the order of their times, so that the same pages show
it. Experiments of a submitted benchmark are one run; any other is one by itself.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctlr.errors import ClusterError
from ctlr.runs import Life, Run
from ctlr.specs import Trial

if TYPE_CHECKING:  # which an app without a cluster need not load
    from ctlr.tuning.katib import Listed

__all__ = ["Found", "Searches", "events_of"]

_SECONDS = 2.0
"""For which a look at the cluster is not repeated, at least."""
_SHARE = 0.2
"""Of the time, at most, that looks take: of 10,000 trials one takes a second and more."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """A run on the cluster."""

    run: Run
    events: Sequence[Event]
    listed: Sequence[Listed]

    @property
    def life(self) -> Life:
        """How it is: it runs until all of its Experiments have ended."""
        if self.run.end is None:
            return "running"
        return "finished" if self.run.end["kind"] == "run.ended" else "failed"


class Searches:
    """The searches of a namespace, looked at when somebody asks, every few seconds at most; for several threads.

    Args:
        look: Gives the Experiments; raises ClusterError where the cluster does not answer.
        namespace: Theirs.
    """

    def __init__(self, look: Callable[[], list[Listed]], namespace: str) -> None:
        self.namespace = namespace
        self._look = look
        self._found: dict[str, Found] = {}
        self._fault: ClusterError | None = None
        self._next = 0.0
        self._lock = threading.Lock()

    def all(self) -> dict[str, Found]:
        """Runs by name, the latest first.

        Raises:
            ClusterError: The cluster does not answer, or refuses.
        """
        with self._lock:  # those who come meanwhile are told the same, also where the cluster does not answer
            if (began := time.monotonic()) >= self._next:
                try:
                    self._found, self._fault = self._fresh(), None
                except ClusterError as error:
                    self._fault = error
                ended = time.monotonic()
                self._next = ended + max(_SECONDS, (ended - began) / _SHARE)
            if self._fault is not None:
                raise ClusterError(str(self._fault)) from self._fault
            return self._found

    def _fresh(self) -> dict[str, Found]:
        groups: dict[str, list[Listed]] = defaultdict(list)
        for each in self._look():
            groups[each.submission or each.name].append(each)
        found = {name: self._folded(name, group) for name, group in groups.items()}
        return dict(sorted(found.items(), key=lambda pair: -pair[1].run.time))

    def _folded(self, name: str, listed: Sequence[Listed]) -> Found:
        before = self._found[name].events if name in self._found else ()
        events, run = events_of(name, listed, self.namespace, before), Run(name)
        for event in events:
            run.take(event)
        return Found(run, events, listed)


def events_of(name: str, listed: Sequence[Listed], namespace: str, before: Sequence[Event] = ()) -> list[Event]:
    """What happened in Experiments, as `ctlr.events` tells it of searches; numbered from 1 by their times.

    Those that were told `before` keep their places: Kubernetes counts whole seconds, and what is seen later may be of
    the same one.
    """
    told = [event for each in listed for event in _of_search(each)]
    began = min(each.started.timestamp() for each in listed)
    first = {"kind": "run.began", "time": began, "benchmark": name, "identity": name, "host": namespace}
    first["workers"] = sum(each.experiment.parallel for each in listed if each.experiment is not None)
    ends = [each.completion for each in listed if each.completion is not None]
    if len(ends) == len(listed):
        ended = max((event["time"] for event in told), default=began)
        well = any(end.succeeded for end in ends)
        told.append(
            {"time": ended, "seconds": ended - began}
            | ({"kind": "run.ended"} if well else {"kind": "run.failed", "reason": ends[-1].message})
        )
    places = {_which(event): event["n"] for event in before}
    ordered = sorted([first, *told], key=lambda event: (places.get(_which(event), len(before) + 1), event["time"]))
    return [{"n": number} | event for number, event in enumerate(ordered, start=1)]


def _which(event: Event) -> tuple[Any, ...]:
    return event["kind"], event.get("step"), event.get("number")


def _of_search(each: Listed) -> Iterator[Event]:
    began, step = each.started.timestamp(), {"step": each.name}
    facts: Event = {"metric": "value", "direction": "max", "trials": None}
    if (experiment := each.experiment) is not None:
        objective = experiment.objective
        facts = {"metric": objective.metric, "direction": objective.direction[:3], "trials": experiment.max_trials}
    yield {"kind": "step.started", "time": began, "name": each.name, "of": "tune"} | step | facts
    for trial in each.trials:
        yield from _of_trial(trial, began, step)
    if each.fault:
        yield {"kind": "step.failed", "time": began, "reason": f"CTLR does not read it: {each.fault}"} | step
    elif each.completion is not None:
        end = each.completion
        ended = max([end.time.timestamp(), *(began + trial.started + trial.seconds for trial in each.trials)])
        state = {"kind": "step.finished", "text": end.message} if end.succeeded else {
            "kind": "step.failed", "reason": end.message,
        }  # fmt: skip
        yield state | {"time": ended, "seconds": ended - began} | step


def _of_trial(trial: Trial, began: float, step: Event) -> Iterator[Event]:
    place = step | {"round": 1, "number": trial.number, "parameters": dict(trial.assignments)}
    if trial.status != "Created":
        yield {"kind": "trial.started", "time": began + trial.started} | place
    if trial.ended:
        yield {
            "kind": "trial.ended", "time": began + trial.started + trial.seconds, "status": trial.status,
            "value": trial.value, "seconds": trial.seconds, "reason": trial.reason,
        } | place  # fmt: skip
