"""When an experiment ends, and with which of Katib's words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine.journal import Completion
from ctlr.tuning.engine.stopping import reached
from ctlr.wishes import clock

__all__ = ["BUDGET", "EXHAUSTED", "FAILED", "GOAL", "MAX_TRIALS", "Budget", "Verdict"]

GOAL = "ExperimentGoalReached"
MAX_TRIALS = "ExperimentMaxTrialsReached"
EXHAUSTED = "ExperimentSuggestionEndReached"
FAILED = "ExperimentFailed"
BUDGET = "ExperimentBudgetSpent"
"""Our own word, for a limit of time: Katib has none."""


def completed(reason: str, message: str, *, final: bool = True) -> Completion:
    """An end that is now."""
    return Completion(reason != FAILED, reason, message, datetime.now(UTC), final)


class Verdict:
    """What the trials that have ended mean for their experiment, one after another.

    Args:
        experiment: Its goal and counts.
        goal: In place of its own.
        max_trials: In place of its own, for this run.
    """

    def __init__(self, experiment: Experiment, *, goal: float | None, max_trials: int | None) -> None:
        self._objective = experiment.objective
        self._own_goal = goal is None
        self._goal = experiment.objective.goal if goal is None else goal
        self._max_failed = math.inf if experiment.max_failed is None else experiment.max_failed
        self._counted = self._failed = self._valued = 0
        self._last_reason = ""
        own = math.inf if experiment.max_trials is None else experiment.max_trials
        self.max_trials = own if max_trials is None else max_trials
        """Trials at most."""
        self._own_trials = self.max_trials == own
        self.completion: Completion | None = None
        """The end, once a trial has brought it."""
        self.decided_by = -1
        """Number of the last trial that was counted."""

    def asked(self, goal: float, trials: Sequence[Trial], elsewhere: float | None) -> None:
        """End the experiment where a trial, or one of the searches that it competes with, has reached another goal."""
        values = [trial.value for trial in trials if trial.status in ("Succeeded", "EarlyStopped")]
        if self.completion is None and any(reached(self._objective, goal, value) for value in (elsewhere, *values)):
            self.completion = completed(GOAL, f"a trial has reached the goal that was asked for, {goal:g}", final=False)

    def count(self, trial: Trial) -> None:
        """Judge one more trial that has ended; what comes after the end changes nothing."""
        if self.completion is not None:
            return
        self.decided_by = trial.number
        self._counted += 1
        self._valued += trial.value is not None
        if trial.status == "Failed":
            self._failed += 1
            self._last_reason = trial.reason
        if trial.status in ("Succeeded", "EarlyStopped") and reached(self._objective, self._goal, trial.value):
            message = f"{trial.name} reached the goal: {self._objective.metric}={trial.value:g}"
            self.completion = completed(GOAL, message, final=self._own_goal)
        elif self._failed and self._failed >= self._max_failed:  # as Katib counts
            message = f"{self._failed} trials failed, and maxFailedTrialCount is {self._max_failed}"
            self.completion = completed(FAILED, f"{message}; the last one: {self._last_reason}")

    def out_of_trials(self, *, exhausted: bool) -> Completion:
        """The end for want of trials: as many as there may be, or as there are; a failure where none has a value."""
        if not self._valued and self._failed:
            message = f"no trial has a value of {self._objective.metric}"
            final = exhausted or self._own_trials
            return completed(FAILED, f"{message}; the last one that failed: {self._last_reason}", final=final)
        if exhausted:
            return completed(EXHAUSTED, "every point of the search space was tried")
        return completed(
            MAX_TRIALS, f"{self._counted} trial{'s were' if self._counted != 1 else ' was'} run", final=self._own_trials
        )

    def out_of_time(self, end: Completion) -> Completion:
        """The end for want of time; a failure where no trial has a value yet."""
        if self._valued:
            return end
        message = f"{end.message}, and no trial has a value"
        if self._failed:
            message += f" of {self._objective.metric}; the last one that failed: {self._last_reason}"
        return replace(end, succeeded=False, message=message if self._failed else f"{message} yet")


class Budget:
    """The time that a run may take, and its trials together.

    Args:
        max_seconds: Of this run, from now on.
        device_seconds: Of all trials.
    """

    def __init__(self, *, max_seconds: float | None, device_seconds: float | None) -> None:
        self._until = math.inf if max_seconds is None else clock() + max_seconds
        self._device_seconds = device_seconds
        self._spent = 0.0

    def charge(self, seconds: float) -> None:
        """Count a trial that has ended."""
        self._spent += seconds

    def left(self, under_way: Sequence[float]) -> float | None:
        """Seconds until the budget is spent if nothing ends before; None: it has no limit.

        Args:
            under_way: Seconds of the trials under way.
        """
        left = self._until - clock()
        if self._device_seconds is not None:
            left = min(left, (self._device_seconds - self._spent - math.fsum(under_way)) / max(len(under_way), 1))
        return None if left == math.inf else max(left, 0.0)

    def completion(self) -> Completion:
        """The end of a budget that is spent."""
        own = clock() >= self._until
        message = "the time of the run is over" if own else f"its trials took {self._device_seconds:g} s together"
        end = completed(BUDGET, message, final=False)
        return end if own else replace(end, device_seconds=self._device_seconds)
