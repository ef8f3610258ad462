"""What the page of one experiment shows: its optimum, facts, tables and drawings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ctlr.report.theme.formats import Table, decimals, duration, number
from ctlr.report.theme.styles import Style
from ctlr.report.theme.svg import SERIES, Panel, variable
from ctlr.report.tuning.course_plots import counts, progress_plot, timeline_plot
from ctlr.report.tuning.stage_figures import StageFigures, stage_figures
from ctlr.report.tuning.stages import StageTrials, course, experiment_records, experiment_stage, value_of
from ctlr.report.tuning.tables import experiment_failures, value_words
from ctlr.report.wording import capital
from ctlr.specs import AlgorithmSpec, Experiment, Objective, Trial

__all__ = ["ExperimentView", "experiment_view"]

_AIMS = {"minimize": "Minimise", "maximize": "Maximise"}


@dataclass(frozen=True, kw_only=True)
class ExperimentView:
    """One experiment, ready for the page."""

    title: str
    finding: str
    """The optimum in a sentence."""
    searched: str
    facts: tuple[tuple[str, str], ...]
    failed: Table
    figures: StageFigures | None
    """None before the first trial."""
    cost: Panel | None
    """Best so far against device seconds."""
    timeline: Panel | None
    """When each trial ran."""
    records: tuple[Mapping[str, object], ...]
    """One row a trial."""


def experiment_view(experiment: Experiment, trials: Sequence[Trial], *, asked: int | None = None) -> ExperimentView:
    """Compute and draw.

    Args:
        experiment: What was searched.
        trials: All that were proposed; running ones are shown as such.
        asked: Trials that the run was asked for, in place of the manifest's.
    """
    stage = experiment_stage(experiment, trials)
    label = experiment.objective.metric
    return ExperimentView(
        title=experiment.name, finding=_finding(stage), searched=_searched(experiment, len(stage.tried), asked),
        facts=tuple(_facts(stage)), failed=experiment_failures(stage.tried), cost=_cost(stage, label),
        figures=stage_figures(stage, heading="", colour=variable(SERIES[1]), label=label, name="search")
        if stage.tried else None,
        timeline=timeline_plot(stage) if stage.tried else None,
        records=tuple(experiment_records(stage)),
    )  # fmt: skip


def _finding(stage: StageTrials) -> str:
    best, objective = stage.best, stage.objective
    if best is None:
        return "No trial has a value yet." if any(not e.trial.ended for e in stage.tried) else "No trial has a value."
    digits = decimals([value_of(best)])
    extreme = "smallest" if objective.direction == "minimize" else "largest"
    words = ", ".join(f"{name} = {value_words(value)}" for name, value in best.trial.assignments.items())
    return (
        f"The {extreme} {objective.metric} is {number(value_of(best), digits + 1)}, of trial {best.order} of "
        f"{len(stage.tried)} ({best.trial.name}): {words}.{_goal(objective, value_of(best))}"
    )


def _goal(objective: Objective, value: float) -> str:
    if objective.goal is None:
        return ""
    reached = value <= objective.goal if objective.direction == "minimize" else value >= objective.goal
    return f" The goal of {objective.goal:g} was {'reached' if reached else 'not reached'}."


def _searched(experiment: Experiment, made: int, asked: int | None) -> str:
    words = f"{_AIMS[experiment.objective.direction]} {experiment.objective.metric} by "
    words += _named(experiment.algorithm)
    if experiment.early_stopping is not None:
        words += f", trials stopped early by {_named(experiment.early_stopping)}"
    at_once = "one trial" if experiment.parallel == 1 else f"{experiment.parallel} trials"
    return f"{words}; {at_once} at a time. {_amount(experiment.max_trials, made, asked)}"


def _amount(allowed: int | None, made: int, asked: int | None) -> str:
    """How many trials there were, and how many there might have been."""
    ran = f"{made} trial{' was' if made == 1 else 's were'} made"
    manifest = f"the manifest allows {allowed}" if allowed is not None else "the manifest sets no limit"
    if asked is not None and asked != allowed:
        return f"{ran}; this run was asked for {asked}, and {manifest}."
    if made == allowed:
        return f"{ran}, as many as the manifest allows."
    return f"{ran}; {manifest}."


def _named(algorithm: AlgorithmSpec) -> str:
    settings = ", ".join(f"{name} = {value}" for name, value in algorithm.settings.items())
    return f"{algorithm.name} ({settings})" if settings else algorithm.name


def _facts(stage: StageTrials) -> Iterator[tuple[str, str]]:
    yield "Trials", str(len(stage.tried))
    for words, count in counts(stage).items():
        yield capital(words), str(count)
    yield "Device time of trials", duration(sum(each.trial.seconds for each in stage.tried))
    yield "From first start to last end", duration(max((e.started + e.trial.seconds for e in stage.tried), default=0.0))


def _cost(stage: StageTrials, label: str) -> Panel | None:
    """Best so far against device seconds."""
    points = [(seconds, best) for _, seconds, best in course(stage)]
    if not points:
        return None
    return progress_plot(
        {"best": points}, style={"best": Style(SERIES[1], "o")}, label=label, across="Device seconds", whole=False,
        better="lower" if stage.objective.direction == "minimize" else "higher",
    )  # fmt: skip
