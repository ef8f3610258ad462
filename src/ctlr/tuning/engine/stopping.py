"""When trials and experiments stop before their end."""

from __future__ import annotations

import bisect
import statistics

from ctlr.specs import Experiment, Objective, Trial
from ctlr.tuning.manifest import read_settings

__all__ = ["MedianStop", "better", "make_stopping_rule", "reached"]


def better(objective: Objective, value: float, other: float) -> bool:
    """Whether a value beats another."""
    return value < other if objective.direction == "minimize" else value > other


def reached(objective: Objective, goal: float | None, value: float | None) -> bool:
    """Whether a value is as good as the goal."""
    return goal is not None and value is not None and not better(objective, goal, value)


class MedianStop:
    """Katib's `medianstop`: stop a trial that is worse than half of the others were at its beginning.

    A trial stops at its report `start_step` or a later one if its best value so far is worse than the median, over the
    trials that ran to their end, of the mean of their first `start_step` values (Golovin et al. 2017, "Google Vizier",
    section 3.2.2). Katib's own service takes the mean in place of the median, and looks at report `start_step` alone.

    Args:
        objective: Says which values are better.
        min_trials: Trials that ran to their end below which no trial is stopped.
        start_step: Reports that count.
    """

    def __init__(self, objective: Objective, *, min_trials: int = 3, start_step: int = 4) -> None:
        self._objective = objective
        self._min_trials = min_trials
        self._start_step = start_step
        self._means: list[float] = []

    def add(self, trial: Trial) -> None:
        """Count a trial that has ended; as in Katib, only one that ran to its end counts."""
        if trial.status != "Succeeded":
            return
        metric = self._objective.metric
        values = [report.metrics[metric] for report in trial.reports if metric in report.metrics]
        if values:
            bisect.insort(self._means, statistics.fmean(values[: self._start_step]))

    def threshold(self) -> float | None:
        """The median of those counted; None while there are too few of them."""
        return statistics.median(self._means) if len(self._means) >= self._min_trials else None

    def stops(self, step: int, best: float, threshold: float | None) -> bool:
        """Whether a trial that has reported so many values, the best of them this, is to stop."""
        return threshold is not None and step >= self._start_step and better(self._objective, threshold, best)


def make_stopping_rule(experiment: Experiment) -> MedianStop | None:
    """The experiment's rule for stopping trials, if it has one."""
    spec = experiment.early_stopping
    if spec is None:
        return None
    settings = {"min_trials_required": 3, "start_step": 4} | read_settings(spec)
    return MedianStop(
        experiment.objective,
        min_trials=int(settings["min_trials_required"] or 0),
        start_step=int(settings["start_step"] or 0),
    )
