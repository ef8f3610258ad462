"""Run an Experiment on this machine: propose, start, listen, decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.tuning.launch import Launcher

__all__ = ["Limits", "Outcome", "run_experiment"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What narrows a manifest on this machine; None leaves it as it is."""

    workers: int | None = None
    """Trials at once; at most the manifest's `parallelTrialCount` run."""
    max_trials: int | None = None
    """Ends the run after so many trials."""
    goal: float | None = None
    """Takes the place of the manifest's goal."""
    max_seconds: float | None = None
    """Ends the run: no trial starts any more, and those that run are ended as Killed. `resume` runs them again."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        trials: All that were proposed, by number.
        succeeded: As Katib's condition says it.
        reason: Katib's word for the end, e.g. `ExperimentMaxTrialsReached`.
        message: The end in one line for a reader.
        optimum: The best trial; None where none has a value.
        seed: Of the sampler: `random_state`, or the one drawn.
        started: When the experiment began (UTC), that of the first run where it was resumed.
        completed: When it ended.
    """

    trials: tuple[Trial, ...]
    succeeded: bool
    reason: str
    message: str
    optimum: Trial | None
    seed: int
    started: datetime
    completed: datetime


def _silent(trial: Trial, report: TrialReport | None) -> None:
    """Tell nobody."""


def run_experiment(
    experiment: Experiment,
    folder: Path,
    launcher: Launcher,
    *,
    limits: Limits = Limits(),
    resume: bool = False,
    earlier: Sequence[Trial] = (),
    on_event: Callable[[Trial, TrialReport | None], None] = _silent,
) -> Outcome:
    """Run an experiment to its end.

    Args:
        experiment: With its counts, goal and algorithm.
        folder: For the journal and what trials print; made when it does not exist.
        launcher: Runs the trials; the caller closes it.
        limits: Narrow the manifest's.
        resume: Go on with the experiment whose journal lies in the folder; needed where there is one.
        earlier: Ended trials of the same space to start from; a resumed run keeps those that it began with.
        on_event: Told each trial that was proposed, has reported (with the report) or has ended, in this thread.

    Raises:
        ConfigError: The collector cannot be read here, the manifest has changed since, or a journal stands in the way.
        WorkspaceError: Another process runs in this folder, or it can take no more.
        KeyboardInterrupt: Passed on after the running trials have been ended; they run again on `resume`.
    """
    raise NotImplementedError
