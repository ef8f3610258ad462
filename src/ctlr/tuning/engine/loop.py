"""The engine's loop: propose, start, listen, decide."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ctlr.interrupts import check, held
from ctlr.specs import Trial, TrialReport, TrialStatus, fingerprint
from ctlr.tuning.engine.asking import Proposer
from ctlr.tuning.engine.ending import Budget, Verdict
from ctlr.tuning.engine.journal import AS_PROPOSED, Completion, History, Journal
from ctlr.tuning.engine.limits import Limits
from ctlr.tuning.engine.stopping import better, make_stopping_rule, reached
from ctlr.tuning.launchers import Ended, Launcher, Reported, Tally, no_value
from ctlr.tuning.samplers import PARENT, make_sampler

__all__ = ["MOST_REPORTS", "OUT_OF_TIME", "SILENT", "Run"]

MOST_REPORTS = 10_000
"""Reports of a trial that are kept; later ones count for its value alone."""

SILENT = 4
"""Times that a trial may take longer than its own time before it has reported a first value."""
OUT_OF_TIME = "s were over"
"""In the reason of a trial that was too slow, here and on a cluster, after its seconds."""
_TOO_LATE = "the experiment ended before it"


def _trial_name(experiment: str, seed: int, number: int) -> str:
    """The experiment's name and 8 hexadecimal digits, as Katib names trials; the same at each repetition."""
    return f"{experiment}-{fingerprint(experiment, str(seed), str(number))[:8]}"


@dataclass
class _Running:
    """A trial under way."""

    trial: Trial
    tally: Tally
    threshold: float | None
    """Of the stopping rule, as the trial may know it."""
    started: float
    """Seconds after the experiment began."""
    reports: list[TrialReport] = field(default_factory=list)
    step: int = 0
    best: float | None = None
    stopping: tuple[TrialStatus, str] | None = None
    """What the engine has decided it ends as, and why."""


class Run:
    """One run of an experiment, from its history to its end.

    Args:
        history: Where it goes on from; its trials are kept up to date.
        journal: Told what happens.
        launcher: Runs the trials.
        workers: Trials at once.
        limits: Of this run.
        on_event: Told each trial that starts, has reported or has ended.
    """

    def __init__(
        self,
        history: History,
        journal: Journal,
        launcher: Launcher,
        workers: int,
        limits: Limits,
        on_event: Callable[[Trial, TrialReport | None], None],
    ) -> None:
        self._experiment = experiment = history.experiment
        self._history, self._journal, self._launcher, self._on_event = history, journal, launcher, on_event
        self._workers = workers
        self._windowed = "random_state" in experiment.algorithm.settings
        sampler = make_sampler(experiment, seed=history.seed, earlier=history.earlier)
        self._proposer = Proposer(sampler, experiment.parallel if self._windowed else None)
        self._rule = make_stopping_rule(experiment)
        self._verdict = Verdict(experiment, goal=limits.goal, max_trials=limits.max_trials)
        self._budget = Budget(max_seconds=limits.max_seconds, device_seconds=limits.device_seconds)
        self._limits = limits
        self._goal = experiment.objective.goal if limits.goal is None else limits.goal

        self._trials = history.trials
        self._pending = [trial.model_copy(update=AS_PROPOSED) for trial in history.trials]
        self._again = deque(trial.number for trial in history.trials if not trial.ended)
        self._numbers = {trial.name: trial.number for trial in history.trials}
        self._running: dict[int, _Running] = {}
        self._ended = self._leading = self._ruled = 0
        for trial in history.trials:
            if trial.ended:
                self._budget.charge(trial.seconds)
                self._settle(trial)

    def run(self) -> Completion:
        """Run trials until the experiment ends.

        Raises:
            KeyboardInterrupt: A signal came; the trials under way have been ended.
        """
        noted = False
        with held():
            try:
                while (completion := self._completion()) is None:
                    check()
                    for event in self._launcher.wait(self._patience()):
                        self._take(event)
                    self._stop_the_slow()
                noted = True
            finally:
                # What an interrupt ends is not noted: those trials have not ended by themselves, and run again.
                self._end_running(noted=noted)
            self._journal.completed(completion)
        return completion

    def _time_left(self) -> float | None:
        return self._budget.left([self._launcher.seconds(number) for number in self._running])

    def _patience(self) -> float | None:
        """Seconds until something must be done though no trial has said anything; None: there is nothing."""
        left = self._time_left()
        if left == 0.0 and self._limits.gentle:
            left = None
        ends = [max(end, 0.01) for running in self._running.values() if (end := self._own_time(running)) is not None]
        return min(ends, default=None) if left is None else min([left, *ends])

    def _own_time(self, running: _Running) -> float | None:
        """Seconds that a trial has left for itself; None where they are not counted."""
        most = self._limits.trial_seconds
        if most is None or running.stopping is not None:
            return None
        most = most if running.step else SILENT * most
        return most - self._launcher.seconds(running.trial.number)

    def _stop_the_slow(self) -> None:
        """End the trials whose own time is over."""
        for running in self._running.values():
            left = self._own_time(running)
            if left is not None and left <= 0:
                self._stop(running, "EarlyStopped", f"its {self._limits.trial_seconds:.3g} {OUT_OF_TIME}")

    def _completion(self) -> Completion | None:
        """Start what can be started; the experiment's end, once it is there."""
        over = self._time_left() == 0.0
        if (asked := self._limits.asked_goal()) is not None:
            self._verdict.asked(asked, self._trials, self._limits.elsewhere)
        if self._verdict.completion is None and not over:
            while len(self._running) < self._workers and (trial := self._next()) is not None:
                self._start(trial)
        if self._verdict.completion is not None:
            return self._verdict.completion
        if over and not (self._limits.gentle and self._running):
            return self._verdict.out_of_time(self._budget.completion())
        if self._running:
            return None
        return self._verdict.out_of_trials(exhausted=self._proposer.exhausted)

    def _next(self) -> Trial | None:
        """The next trial: one that was under way when an earlier run ended, or a new one."""
        if self._again:
            return self._trials[self._again.popleft()]
        number = len(self._trials)
        if number >= self._verdict.max_trials:
            return None
        proposal = self._proposer.ask(self._trials, self._pending, self._ended, self._leading)
        if proposal is None:
            return None
        name = _trial_name(self._experiment.name, self._history.seed, number)
        trial = Trial.model_construct(
            number=number, name=name, assignments=proposal.assignments, labels=proposal.labels, status="Running"
        )
        self._history.known.append(self._proposer.known(number))
        self._journal.proposed(trial, self._history.known[number])
        self._trials.append(trial)
        self._pending.append(trial)
        self._numbers[name] = number
        return trial

    def _start(self, trial: Trial) -> None:
        number = self._numbers.get(trial.labels.get(PARENT, ""))
        self._running[trial.number] = _Running(
            trial,
            Tally(self._experiment.objective.strategies),
            self._threshold(trial.number),
            (datetime.now(UTC) - self._history.started).total_seconds(),
        )
        self._on_event(trial, None)
        self._launcher.start(trial, None if number is None else self._trials[number])

    def _threshold(self, number: int) -> float | None:
        """The stopping rule's median over the trials that this one may know of."""
        if self._rule is None or not self._windowed:
            return None
        for trial in self._trials[self._ruled : self._history.known[number]]:
            self._rule.add(trial)
            self._ruled += 1
        return self._rule.threshold()

    def _take(self, event: Reported | Ended) -> None:
        running = self._running.get(event.number)
        if running is None:
            return
        if isinstance(event, Ended):
            self._budget.charge(event.seconds)
            self._end(running, event)
        elif running.stopping is None:
            self._report(running, event)

    def _report(self, running: _Running, event: Reported) -> None:
        objective = self._experiment.objective
        running.tally.add(event.metrics, event.time)
        metrics = {name: each for name, each in event.metrics.items() if math.isfinite(each)}
        value = metrics.get(objective.metric)
        running.step += value is not None
        if metrics and len(running.reports) < MOST_REPORTS:
            report = TrialReport.model_construct(step=running.step, metrics=metrics, seconds=event.seconds)
            running.reports.append(report)
            self._journal.reported(event.number, report)
            self._on_event(running.trial, report)
        asked = self._limits.asked_goal()
        goal = self._goal if asked is None else asked
        if (self._limits.at_goal or asked is not None) and reached(objective, goal, value):
            self._stop(running, "EarlyStopped", f"at step {running.step} it reached the goal, {goal:g}")
            return
        if value is not None and self._rule is not None:
            if running.best is None or better(objective, value, running.best):
                running.best = value
            threshold = running.threshold if self._windowed else self._rule.threshold()
            if self._rule.stops(running.step, running.best, threshold):
                self._stop(running, "EarlyStopped", f"at step {running.step} worse than the median, {threshold:g}")

    def _stop(self, running: _Running, status: TrialStatus, reason: str) -> None:
        running.stopping = status, reason
        self._launcher.stop(running.trial.number)

    def _end(self, running: _Running, event: Ended) -> None:
        """Note what came of a trial."""
        del self._running[event.number]
        metrics = running.tally.metrics()
        value = metrics.get(self._experiment.objective.metric)
        status, reason = running.stopping or self._judged(event, running.tally, value)
        trial = Trial.model_construct(
            number=event.number,
            name=running.trial.name,
            assignments=running.trial.assignments,
            labels=running.trial.labels,
            status=status,
            reports=tuple(running.reports),
            value=self._experiment.counted(value, status),
            metrics=metrics,
            seconds=event.seconds,
            pretrained=dict(event.pretrained),
            started=running.started,
            reason=reason,
            tail=event.tail if status == "Failed" else "",
        )
        self._trials[event.number] = trial
        self._journal.ended(trial)
        self._on_event(trial, None)
        if status != "Killed":
            self._settle(trial)

    def _judged(self, event: Ended, tally: Tally, value: float | None) -> tuple[TrialStatus, str]:
        """The status of a trial that was left to itself, and its reason."""
        if event.stopped:
            return "Killed", "the run ended"
        if not event.ok:
            return "Failed", event.reason
        if value is None:
            return "Failed", no_value(self._experiment, reported=self._experiment.objective.metric in tally)
        return "Succeeded", ""

    def _settle(self, trial: Trial) -> None:
        """Let the experiment's end depend on a trial: in the order of the trials where the run is to repeat."""
        self._ended += 1
        first = self._leading
        while self._leading < len(self._trials) and self._trials[self._leading].ended:
            self._leading += 1
        for each in self._trials[first : self._leading] if self._windowed else [trial]:
            self._verdict.count(each)
            if self._rule is not None and not self._windowed:
                self._rule.add(each)

    def _end_running(self, *, noted: bool) -> None:
        """End the trials under way; where it is noted, as Killed, and with them those that the end came before."""
        for number in self._running:
            self._launcher.stop(number)
        # Nothing comes of a trial whose end was among the events that an interrupt left untaken.
        while self._running and (events := self._launcher.wait(None)):
            for event in events:
                running = self._running.get(event.number)
                if running is None or not isinstance(event, Ended):
                    continue
                if noted:
                    running.stopping = "Killed", _TOO_LATE
                    self._end(running, event)
                else:
                    del self._running[event.number]
        if noted:
            self._kill_late()

    def _kill_late(self) -> None:
        """Take out of the account what a repetition might not have seen: trials beyond the one that ended it all."""
        late = list(self._again)
        if self._windowed and self._verdict.completion is not None:
            late += [trial.number for trial in self._trials[self._verdict.decided_by + 1 :] if trial.status != "Killed"]
        for number in late:
            self._trials[number] = self._trials[number].model_copy(
                update={"status": "Killed", "value": None, "reason": _TOO_LATE}
            )
            self._journal.ended(self._trials[number])
