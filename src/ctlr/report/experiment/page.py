"""The page of one experiment: what `ctlr tune` tried, what came of it, and what the values hang on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctlr.specs import Experiment, Trial
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["build_experiment_page"]


def build_experiment_page(
    experiment: Experiment, trials: Sequence[Trial], *, out: Path, status: str = "", message: str = "",
    asked: int | None = None, optimum: str = "",
) -> Path:  # fmt: skip
    """Write `report.html`, which stands alone, and `trials.csv` into a folder.

    Equal trials give equal bytes: nothing of the day, the machine's paths or its user enters, nor what trials printed.

    Args:
        experiment: What was searched.
        trials: All that were proposed.
        out: Folder to write to; made when it does not exist.
        status: How it ended or where it stands, in Katib's word (`ExperimentGoalReached`).
        message: The same in one line for a reader.
        asked: Trials that the run was asked for, in place of the manifest's.
        optimum: The best trial's options as YAML.

    Returns:
        Path of `report.html`.

    Raises:
        WorkspaceError: The folder cannot be written.
    """
    # matplotlib and Optuna are slow to load: whoever imports this module and builds no page does without.
    from ctlr.report.experiment.view import experiment_view
    from ctlr.report.theme.formats import records_csv
    from ctlr.report.theme.templating import render

    found = experiment_view(experiment, trials, asked=asked)
    for trial in trials:  # the message may repeat the reason of the last one
        message = message.replace(trial.reason, trial.public_reason) if trial.reason else message
    page = render("experiment/experiment.html.j2", found=found, status=status, message=message, optimum=optimum)
    with disk_faults_named(out):
        out.mkdir(parents=True, exist_ok=True)
    write_aside(out / "trials.csv", records_csv(found.records).encode())
    write_aside(out / "report.html", page.encode())
    return out / "report.html"
