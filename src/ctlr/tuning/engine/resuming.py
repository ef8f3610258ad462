"""Whether a run begins an experiment, goes on with one, or finds it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine.ending import MAX_TRIALS
from ctlr.tuning.engine.journal import Completion, History, Journal, changes, read_journal

__all__ = ["open_history"]


def open_history(
    journal: Journal,
    experiment: Experiment,
    *,
    seed: int,
    resume: bool,
    earlier: Sequence[Trial],
    device_seconds: float | None,
) -> History:
    """The history that a run goes on from; its `completion` is set where there is nothing to go on with.

    Args:
        journal: Held by this process.
        experiment: As its manifest now says.
        seed: Of a new experiment.
        resume: Whether there may be a journal.
        earlier: Trials that a new experiment begins with.
        device_seconds: Limit of this run.

    Raises:
        ConfigError: There is a journal and `resume` is not set; the experiment has changed; it has ended for good, and
            its counts ask for more.
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
    if found := changes(history.experiment, experiment):
        raise ConfigError(
            f"{folder} holds an experiment that differs, and only the three counts may change between runs. "
            f"{'; '.join(found)}. Undo the changes, or name a new folder."
        )
    if history.completion is not None and _stays(history, history.completion, experiment, device_seconds):
        return history
    return journal.resume(history, experiment)


def _stays(history: History, completion: Completion, experiment: Experiment, device_seconds: float | None) -> bool:
    """Whether an experiment that has ended stays so; if not, it goes on."""
    if not completion.final:
        spent = completion.device_seconds
        return spent is not None and device_seconds is not None and device_seconds <= spent
    before = history.experiment
    if (experiment.max_trials, experiment.max_failed) == (before.max_trials, before.max_failed):
        return True
    more = (experiment.max_trials or math.inf) > (before.max_trials or math.inf)
    if completion.reason == MAX_TRIALS and more and experiment.resume_policy != "Never":
        return False
    why = "its resumePolicy is Never" if experiment.resume_policy == "Never" else "only maxTrialCount can carry it on"
    raise ConfigError(
        f"{experiment.name} has ended ({completion.reason}), and {why}. Undo the change of its counts to read what "
        "came of it, or run it in a new folder."
    )
