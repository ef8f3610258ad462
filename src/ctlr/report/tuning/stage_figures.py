"""All that the page shows of one stage of one search: tables and drawings."""

from __future__ import annotations

from dataclasses import dataclass

from ctlr.report.theme.formats import Table
from ctlr.report.theme.svg import Panel
from ctlr.report.tuning import course_plots
from ctlr.report.tuning.importance import importance
from ctlr.report.tuning.parallel import parallel_plot
from ctlr.report.tuning.slices import slice_plot
from ctlr.report.tuning.stages import StageTrials, value_of, window
from ctlr.report.tuning.trial_tables import options_table, trials_table

__all__ = ["StageFigures", "stage_figures"]


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """Tables and drawings of one stage of one search."""

    heading: str
    counts: str
    """Trials by how they ended."""
    options: Table
    """What was searched, what it matters, and what the best trial had."""
    importance: str
    """How far shares of importance are to be trusted, or why there are none."""
    table: Table
    """Trials, best first."""
    trials: Panel
    parallel: Panel | None
    slices: tuple[Panel, ...]
    stopped: bool
    failed: bool
    beyond: bool
    """Whether values lie beyond the edge of the drawings."""


def stage_figures(stage: StageTrials, *, heading: str, colour: str, label: str, name: str) -> StageFigures:
    """Compute and draw a stage.

    Args:
        stage: At least one trial.
        heading: Above it.
        colour: Of the method, as a CSS value.
        label: Of the objective, with its unit.
        name: Tells its tables from others of the page.
    """
    found = importance(stage)
    scored = bool(stage.scored)
    low, high = window([value_of(e) for e in stage.scored], stage.objective.direction == "minimize")
    order = [name for name, _ in found.shares]
    parameters = sorted(stage.parameters, key=lambda p: order.index(p.name) if p.name in order else len(order))
    return StageFigures(
        heading=heading, counts=course_plots.counted(stage), options=options_table(stage, found, name=name),
        importance=found.note or f"No importance: {found.reason}.", table=trials_table(stage, label=label, name=name),
        trials=course_plots.trials_plot(stage, colour=colour, label=label),
        parallel=parallel_plot(stage, label=label, importance=found.shares) if scored else None,
        slices=tuple(slice_plot(stage, parameter, colour=colour, label=label) for parameter in parameters)
        if scored else (),
        stopped=any(each.trial.status == "EarlyStopped" for each in stage.scored),
        failed=any(each.trial.status == "Failed" for each in stage.tried),
        beyond=any(not low <= value_of(each) <= high for each in stage.scored),
    )  # fmt: skip
