"""Experiments that another engine runs, Katib on a cluster: what such an engine offers, and how one is followed.

`run_remotely` knows nothing of Katib. An engine to come, such as Kubeflow's OptimizationJob, is one more
implementation of `SearchBackend`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from ctlr.errors import ClusterError
from ctlr.interrupts import held
from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.tuning.engine.ending import BUDGET, MAX_TRIALS, Verdict, completed
from ctlr.tuning.engine.journal import Completion
from ctlr.tuning.engine.local import Outcome
from ctlr.tuning.engine.status import best_trial
from ctlr.tuning.samplers import seed_of

__all__ = ["Fault", "Pace", "Policy", "RemoteOutcome", "SearchBackend", "State", "run_remotely"]

Policy = Literal["keep", "delete"]
"""Whether an experiment that has ended stays on the cluster, with what its trials left there."""

STUCK_SECONDS = 15.0
"""Between looks at trials that do not start."""
IDLE_SECONDS = 30.0
"""Without a trial under way, after the time of an experiment that grows, until it is left as it is."""


@dataclass(frozen=True, kw_only=True)
class State:
    """An experiment as its engine has it now.

    Attributes:
        trials: All that were proposed, by number.
        started: When the experiment began (UTC).
        completion: How it ended; None while it runs.
        document: The engine's own object, its status within.
    """

    trials: tuple[Trial, ...]
    started: datetime
    completion: Completion | None
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """Why a trial failed or does not start.

    Attributes:
        reason: In one line, with a remedy where there is one.
        tail: The last lines that it printed.
    """

    reason: str
    tail: str = ""


@dataclass(frozen=True, kw_only=True)
class RemoteOutcome(Outcome):
    """What came of an experiment elsewhere: what a run on this machine brings, and the engine's own object.

    Its trials have values and no reports: engines keep these apart. `seed` is `random_state`, or the one that CTLR's
    suggestion service draws where there is none.

    Attributes:
        document: The object with its status, as it was at the end.
        place: Where it ran, for people.
    """

    document: Mapping[str, Any]
    place: str


@dataclass
class Pace:
    """An experiment whose budget is seconds on the clock: it may have as many trials as there is time to begin.

    Katib counts trials. So its count grows by one with each trial that ends, as long as there is time.

    Attributes:
        seconds: In which trials may begin, from now on.
        parallel: Trials at once.
        most: Trials at most; None for any number.
    """

    seconds: float
    parallel: int
    most: int | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether no further trial may begin."""
        return time.monotonic() - self.began >= self.seconds

    @property
    def first(self) -> int:
        """Trials to begin with."""
        return min(self.parallel, self.most or self.parallel)

    def wanted(self, trials: Sequence[Trial]) -> int:
        """Trials that there may be in all, by now."""
        wanted = sum(trial.ended for trial in trials) + (0 if self.over else self.parallel)
        return wanted if self.most is None else min(wanted, self.most)


class SearchBackend(Protocol):
    """An engine that runs experiments elsewhere.

    Contract: an experiment is found again by its name and the fingerprint of its content, by any process. Whatever
    cannot be mended by waiting is a ClusterError; what can be is waited for within `states`.
    """

    @property
    def place(self) -> str:
        """Where experiments run, for people."""

    def start(self, experiment: Experiment) -> bool:
        """Create an experiment, or take up the one that is there; whether there was one.

        Raises:
            ConfigError: Another experiment has its name.
            ClusterError: The engine cannot be reached or refuses.
        """

    def states(self, experiment: Experiment) -> Iterator[State]:
        """The experiment now, and again at every change and every few seconds, until its end, which is the last.

        Raises:
            ClusterError: It was deleted, or the engine stays away.
        """

    def grow(self, experiment: Experiment, trials: int) -> None:
        """Let an experiment have so many trials, more than it may have now; one that had all of them goes on."""

    def explain(self, trials: Sequence[Trial]) -> Mapping[str, Fault]:
        """Why trials failed or do not start, by name; those of which nothing amiss is known are left out."""

    def hindrance(self, experiment: Experiment) -> str:
        """Why no trial is proposed; empty where nothing amiss is known."""

    def remove(self, experiment: Experiment) -> None:
        """Delete an experiment and all that belongs to it; one that is gone is none the worse."""

    def retain(self, experiment: Experiment) -> None:
        """Keep an experiment that has ended, whatever becomes of whoever began it."""

    def interrupted(self, experiment: Experiment) -> None:
        """The process that follows it is being ended: see to it that what nobody waits for does not run on."""


def _silent(trial: Trial, report: TrialReport | None) -> None:
    """Tell nobody."""


def _mute(message: str) -> None:
    """Tell nobody."""


def run_remotely(
    experiment: Experiment,
    backend: SearchBackend,
    *,
    policy: Policy = "keep",
    timeout: float | None = None,
    pace: Pace | None = None,
    on_event: Callable[[Trial, TrialReport | None], None] = _silent,
    on_notice: Callable[[str], None] = _mute,
) -> RemoteOutcome:
    """Run an experiment elsewhere to its end, or follow to its end one that is there.

    Args:
        experiment: As its manifest has it.
        backend: Runs it.
        policy: `delete` removes it once it has ended, well or not; what is known of it is in the outcome.
        timeout: Seconds after which to give up waiting; the experiment goes on.
        pace: By which it grows, and for how long; None where the manifest says how many trials it has.
        on_event: Told each trial when it appears and when it has ended.
        on_notice: Told in a line what keeps trials from starting, once each.

    Raises:
        ConfigError: Another experiment has its name.
        ClusterError: The engine cannot be reached or refuses, the experiment was deleted, or the time is over.
        KeyboardInterrupt: Passed on; what becomes of the experiment is the backend's to decide.
    """
    follower = _Follower(experiment, backend, on_event, on_notice, pace)
    ours = False
    try:
        with held():  # an Experiment that was created is known to be ours
            known = backend.start(experiment)
            ours = True
        if known and pace is None:  # else it was begun by an earlier turn
            on_notice(f"{experiment.name} is there already with the same content and is followed: {backend.place}.")
        state = follower.follow(math.inf if timeout is None else timeout)
    except KeyboardInterrupt:
        if ours:
            backend.interrupted(experiment)
        raise
    outcome = _outcome(experiment, backend, state, follower)
    (backend.remove if policy == "delete" else backend.retain)(experiment)
    return outcome


@dataclass
class _Follower:
    """Turns states into events."""

    experiment: Experiment
    backend: SearchBackend
    on_event: Callable[[Trial, TrialReport | None], None]
    on_notice: Callable[[str], None]
    pace: Pace | None = None
    faults: dict[str, Fault] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    stuck: dict[str, Fault] = field(default_factory=dict)
    noticed: set[str] = field(default_factory=set)
    """What was told, without the names of trials and of their pods, which are new each time."""

    def follow(self, seconds: float) -> State:
        """The last state."""
        began = looked = time.monotonic()
        for state in self._states():
            self._tell(state)
            if state.completion is not None:
                return state
            now = time.monotonic()
            if now - looked >= STUCK_SECONDS or now - began >= seconds:
                looked = now
                self._look_for_stuck(state)
            if now - began >= seconds:
                raise ClusterError(self._late(state, seconds))
        raise AssertionError("states end with the experiment")

    def _states(self) -> Iterator[State]:
        """Those of the experiment, until it has ended and may not grow any more."""
        pace, busy = self.pace, time.monotonic()
        while True:
            for state in self.backend.states(self.experiment):
                if pace is None:
                    yield state
                    continue
                now = time.monotonic()
                busy = now if not pace.over or any(not trial.ended for trial in state.trials) else busy
                if self._grows(state, pace):
                    state = dataclasses.replace(state, completion=None)
                elif state.completion is None and now - busy > IDLE_SECONDS:  # its algorithm's service is away
                    told = f"nothing has been proposed for {IDLE_SECONDS:g} s after its time"
                    state = dataclasses.replace(state, completion=completed(BUDGET, told, final=False))
                yield state
                if state.completion is not None:
                    return

    def _grows(self, state: State, pace: Pace) -> bool:
        """Let the experiment have more trials where there is time for them; whether it goes on."""
        ended = state.completion
        if ended is not None and ended.reason != MAX_TRIALS:
            return False
        # Katib begins one more for each trial whose metrics it does not find, and takes no count that it has passed.
        now = max(state.document["spec"].get("maxTrialCount", 0), len(state.trials))
        wanted = pace.wanted(state.trials)
        if wanted > now:
            self.backend.grow(self.experiment, wanted)
        return ended is not None and wanted > now

    def _tell(self, state: State) -> None:
        failed = [trial for trial in state.trials if trial.status == "Failed" and trial.name not in self.faults]
        if failed:
            found = self.backend.explain(failed)
            self.faults |= {trial.name: found.get(trial.name, Fault(trial.reason)) for trial in failed}
        for trial in state.trials:
            if trial.ended and trial.name not in self.ended:
                self.ended.add(trial.name)
                self.on_event(self.explained(trial), None)
            elif not trial.ended and trial.name not in self.told:
                self.on_event(trial, None)
            self.told.add(trial.name)

    def explained(self, trial: Trial) -> Trial:
        """The trial with why it failed."""
        fault = self.faults.get(trial.name)
        if fault is None:
            return trial
        return trial.model_copy(update={"reason": fault.reason or trial.reason, "tail": fault.tail})

    def _look_for_stuck(self, state: State) -> None:
        active = [trial for trial in state.trials if not trial.ended]
        found = dict(self.backend.explain(active)) if active else {}
        if not state.trials and (reason := self.backend.hindrance(self.experiment)):
            found = {self.experiment.name: Fault(reason)}
        for name, fault in found.items():
            gist = re.sub(rf"{re.escape(name)}(-[a-z0-9]+)*", "", fault.reason)
            if gist not in self.noticed:
                self.noticed.add(gist)
                self.on_notice(f"{name} does not start: {fault.reason}")
        self.stuck = found

    def _late(self, state: State, seconds: float) -> str:
        ended = sum(trial.ended for trial in state.trials)
        words = f"{self.experiment.name} has not ended within {seconds:g} s: {ended} of {len(state.trials)} trials have"
        for name, fault in self.stuck.items():
            words += f"\n{name} does not start: {fault.reason}"
        return f"{words}\nIt goes on; the same command follows it again."


def _outcome(experiment: Experiment, backend: SearchBackend, state: State, follower: _Follower) -> RemoteOutcome:
    trials = tuple(follower.explained(trial) for trial in state.trials)
    completion = _judged(experiment, state.completion, trials)
    message = completion.message
    if not completion.succeeded:
        message = "; ".join([message, *_failures(trials)])
    return RemoteOutcome(
        trials=trials,
        succeeded=completion.succeeded,
        reason=completion.reason,
        message=message,
        optimum=best_trial(experiment.objective, trials),
        seed=seed_of(experiment),
        started=state.started,
        completed=completion.time,
        document=state.document,
        place=backend.place,
    )


def _judged(experiment: Experiment, completion: Completion | None, trials: Sequence[Trial]) -> Completion:
    """The end as it would be on this machine: Katib takes a trial that printed no number for one that succeeded."""
    assert completion is not None
    if not completion.succeeded:
        return completion
    verdict = Verdict(experiment, goal=None, max_trials=None)
    for trial in trials:
        if trial.ended:
            verdict.count(trial)
    own = verdict.completion or verdict.out_of_trials(exhausted=False)
    return completion if own.succeeded else dataclasses.replace(own, time=completion.time)


def _failures(trials: Sequence[Trial]) -> Iterator[str]:
    """Failed trials by their reason."""
    reasons: dict[str, list[str]] = {}
    for trial in trials:
        if trial.status == "Failed":
            reasons.setdefault(trial.reason, []).append(trial.name)
    for reason, names in reasons.items():
        yield f"{', '.join(names)}: {reason}"
