"""Run an Experiment on this machine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.tuning.engine.journal import Completion, History, Journal, read_journal
from ctlr.tuning.engine.limits import Limits
from ctlr.tuning.engine.loop import Run
from ctlr.tuning.engine.resuming import open_history, refuse_changes
from ctlr.tuning.engine.status import best_trial
from ctlr.tuning.launchers import Launcher, check_collector

__all__ = ["Limits", "Outcome", "ended_experiment", "run_experiment"]


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

    @property
    def completion(self) -> Completion:
        """Its end, as `status_document` takes it."""
        return Completion(self.succeeded, self.reason, self.message, self.completed)


_NO_LIMITS = Limits()


def _silent(trial: Trial, report: TrialReport | None) -> None:
    """Tell nobody."""


def run_experiment(
    experiment: Experiment,
    folder: Path,
    launcher: Launcher,
    *,
    limits: Limits = _NO_LIMITS,
    resume: bool = False,
    earlier: Sequence[Trial] = (),
    on_event: Callable[[Trial, TrialReport | None], None] = _silent,
) -> Outcome:
    """Run an experiment to its end.

    An experiment whose algorithm has a `random_state` repeats exactly, however many workers there are and however long
    trials take: proposal k knows the results of trials 0 to k-q alone (q: `parallelTrialCount`) and waits for them, and
    the experiment's end is decided in the order of the trials. Otherwise a seed is drawn, and each proposal knows all
    that has ended.

    Args:
        experiment: With its counts, goal and algorithm.
        folder: For the journal and what trials print; made when it does not exist.
        launcher: Runs the trials; the caller closes it.
        limits: Take the place of the manifest's.
        resume: Go on with the experiment whose journal lies in the folder; needed where there is one. One that has
            ended returns what came of it, unless its resumePolicy lets a higher maxTrialCount carry it on.
        earlier: Ended trials of the same space to start from; a resumed run keeps those that it began with.
        on_event: Told each trial that starts, has reported (with the report) or has ended, in this thread.

    Raises:
        ConfigError: The collector cannot be read here, the manifest has changed since, or a journal stands in the way.
        WorkspaceError: Another process runs in this folder, or it can take no more.
        KeyboardInterrupt: Passed on after the running trials have been ended; they run again on `resume`.
    """
    workers = min(limits.workers or experiment.parallel, experiment.parallel)
    check_collector(experiment, workers)
    with Journal(folder) as journal:
        history = open_history(
            journal,
            experiment,
            seed=_seed(experiment),
            resume=resume,
            earlier=earlier,
            limits=limits,
        )
        completion = history.completion
        if completion is None:
            completion = Run(history, journal, launcher, workers, limits, on_event).run()
    return _outcome(history, completion)


def ended_experiment(experiment: Experiment, folder: Path) -> Outcome | None:
    """What came of an experiment whose journal lies in a folder; nothing is run.

    Returns:
        None where there is none, or it has not ended.

    Raises:
        ConfigError: The journal is of another experiment.
        WorkspaceError: The journal is damaged.
    """
    history = read_journal(folder)
    if history is None or history.completion is None:
        return None
    refuse_changes(folder, history, experiment)
    return _outcome(history, history.completion)


def _outcome(history: History, completion: Completion) -> Outcome:
    return Outcome(
        trials=tuple(history.trials),
        succeeded=completion.succeeded,
        reason=completion.reason,
        message=completion.message,
        optimum=best_trial(history.experiment.objective, history.trials),
        seed=history.seed,
        started=history.started,
        completed=completion.time,
    )


def _seed(experiment: Experiment) -> int:
    written = experiment.algorithm.settings.get("random_state")
    return secrets.randbits(31) if written is None else int(written)
