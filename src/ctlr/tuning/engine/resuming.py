"""Whether a run begins an experiment, goes on with one, or finds it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine.ending import FAILED, GOAL, MAX_TRIALS
from ctlr.tuning.engine.journal import Completion, History, Journal, changes, read_journal
from ctlr.tuning.engine.limits import Limits
from ctlr.tuning.engine.stopping import reached

__all__ = ["open_history", "refuse_changes"]


def open_history(
    journal: Journal,
    experiment: Experiment,
    *,
    seed: int,
    resume: bool,
    earlier: Sequence[Trial],
    limits: Limits,
) -> History:
    """The history that a run goes on from; its `completion` is set where there is nothing to go on with.

    Args:
        journal: Held by this process.
        experiment: As its manifest now says.
        seed: Of a new experiment.
        resume: Whether there may be a journal.
        earlier: Trials that a new experiment begins with.
        limits: Of this run.

    Raises:
        ConfigError: There is a journal and `resume` is not set; the experiment has changed; its counts are below what
            was made; it has ended for good, and they ask for more.
        WorkspaceError: The journal is damaged.
    """
    folder = journal.path.parent
    history = read_journal(folder)
    if history is None or not history.trials:  # nothing to lose: it was refused before its first trial
        return journal.begin(experiment, seed, earlier)
    if not resume:
        raise ConfigError(
            f"{folder} holds the journal of an experiment, {history.experiment.name}. "
            "Go on with it by --resume, or name a new folder."
        )
    refuse_changes(folder, history, experiment)
    made, wanted = len(history.trials), experiment.max_trials
    if wanted is not None and wanted != history.experiment.max_trials and wanted <= made:  # as Katib's webhook
        raise ConfigError(
            f"{experiment.name}: a maxTrialCount that is changed must be above the {made} trials that were made; got "
            f"{wanted}. Raise it, undo the change, or run the search in a new folder."
        )
    if history.completion is not None and _stays(history, history.completion, experiment, limits):
        return history
    return journal.resume(history, experiment)


def refuse_changes(folder: Path, history: History, experiment: Experiment) -> None:
    """Refuse an experiment that is not the one of a journal.

    Raises:
        ConfigError: Names what differs.
    """
    if found := changes(history.experiment, experiment):
        raise ConfigError(
            f"{folder} holds an experiment that differs, and only the three counts may change between runs. "
            f"{'; '.join(found)}. Undo the changes, or name a new folder."
        )


def _stays(history: History, completion: Completion, experiment: Experiment, limits: Limits) -> bool:
    """Whether an experiment that has ended stays so; if not, it goes on."""
    if not completion.final:
        spent, allowed = completion.device_seconds, limits.device_seconds
        return spent is not None and allowed is not None and allowed <= spent
    before, counts = history.experiment, (experiment.max_trials, experiment.max_failed)
    used_up = completion.reason == MAX_TRIALS or (completion.reason == FAILED and not _failed_too_often(history))
    further = used_up and (limits.max_trials or 0) > len(history.trials)
    beyond = completion.reason == GOAL and limits.goal is not None and not _reached(history, limits.goal)
    if counts == (before.max_trials, before.max_failed) and not further and not beyond:
        return True
    more = further or (experiment.max_trials or math.inf) > (before.max_trials or math.inf)
    kept = experiment.resume_policy != "Never"
    if kept and (beyond or (used_up and more)):
        return False
    if not used_up and not beyond:
        why = "only an experiment that has used up its trials goes on"
    else:
        why = "only a higher maxTrialCount carries it on" if kept else "its resumePolicy is Never"
    raise ConfigError(
        f"{experiment.name} has ended ({completion.reason}), and {why}. Undo the change of its counts and limits to "
        "read what came of it, or run it in a new folder."
    )


def _failed_too_often(history: History) -> bool:
    """Whether maxFailedTrialCount ended it, and not the want of a value in all of its trials."""
    most = history.experiment.max_failed
    return most is not None and sum(trial.status == "Failed" for trial in history.trials) >= most


def _reached(history: History, goal: float) -> bool:
    return any(reached(history.experiment.objective, goal, trial.value) for trial in history.trials)
