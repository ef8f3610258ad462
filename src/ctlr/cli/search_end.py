"""What `ctlr tune` prints, wherever its trials run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from ctlr.cli.search_apply import optimum_yaml
from ctlr.cli.show import show, show_rows
from ctlr.display import SearchDisplay, SearchLines, SearchSilent, SearchWatcher, short
from ctlr.report.experiment.page import build_experiment_page
from ctlr.specs import Experiment, Trial, trial_row
from ctlr.tuning.engine import Outcome

__all__ = ["follower", "show_search"]

SHOWN_TRIALS = 5


def follower(
    experiment: Experiment, output: str, *, quiet: bool, max_trials: int | None = None, earlier: Iterable[Trial] = ()
) -> SearchWatcher:
    """Who tells on stderr how a search goes: nobody, lines of JSON, or what a person reads."""
    if quiet:
        return SearchSilent()
    if output == "json":
        return SearchLines(experiment, max_trials)
    return SearchDisplay(experiment, max_trials, earlier=earlier)


def show_search(
    experiment: Experiment, outcome: Outcome, document: Mapping[str, Any], folder: Path, output: str,
    *, asked: int | None = None,
) -> None:  # fmt: skip
    """Write the report; show the optimum for people and where the report is, or the Experiment with its status.

    Args:
        experiment: What was searched.
        outcome: What came of it.
        document: The Experiment with its status.
        folder: For the report.
        output: table, json or yaml.
        asked: Trials that the command asked for, in place of the manifest's.
    """
    page = build_experiment_page(
        experiment, outcome.trials, out=folder, status=outcome.reason, message=outcome.message, asked=asked,
        optimum=optimum_yaml(experiment, outcome.optimum) if outcome.optimum is not None else "",
    )  # fmt: skip
    if output != "table":
        show(document, output)
        return
    metric = experiment.objective.metric
    sign = 1 if experiment.objective.direction == "minimize" else -1
    good = [trial for trial in outcome.trials if trial.value is not None and trial.status != "Failed"]
    best = sorted(good, key=lambda trial: sign * (trial.value or 0.0))[:SHOWN_TRIALS]
    column = f"metrics_{metric}" if metric in ("trial", "status", "seconds") else metric
    rows = [
        trial_row(
            {"trial": trial.name, "status": trial.status, column: trial.value, "seconds": round(trial.seconds, 1)},
            {name: short(value) for name, value in trial.assignments.items()},
        )
        for trial in best
    ]
    if rows:
        show_rows(f"{experiment.name}: the best of {len(outcome.trials)} trials", rows)
    if outcome.optimum is not None:
        settings = " ".join(f"{name}={value}" for name, value in outcome.optimum.assignments.items())
        click.echo(f"Optimum: {metric}={outcome.optimum.value:.6g} with {settings}")
    click.echo(f"{'Succeeded' if outcome.succeeded else 'Failed'}: {outcome.message} ({outcome.reason})")
    click.echo(f"Report: {page}")
