"""All drawings of one stage of one search."""

from __future__ import annotations

from dataclasses import dataclass

from ctlr.report.theme.svg import Panel
from ctlr.report.tuning import course_plots, parameter_plots
from ctlr.report.tuning.importance import importance
from ctlr.report.tuning.stages import StageTrials, value_of, window

__all__ = ["StageFigures", "stage_figures"]


@dataclass(frozen=True, kw_only=True)
class StageFigures:
    """Drawings of one stage of one search."""

    heading: str
    trials: Panel
    timeline: Panel
    importance: Panel | None
    importance_words: str
    """Why there is no drawing of it."""
    parallel: Panel | None
    slices: tuple[Panel, ...]
    counts: str
    """Trials by how they ended."""
    stopped: bool
    failed: bool
    beyond: bool
    """Whether values lie beyond the edge of the drawings."""


def stage_figures(stage: StageTrials, *, heading: str, colour: str, label: str, name: str) -> StageFigures:
    """Draw a stage.

    Args:
        stage: At least one trial.
        heading: Above the drawings.
        colour: Of the method.
        label: Of the objective, with its unit.
        name: Of the drawings on their page.
    """
    found = importance(stage)
    scored = bool(stage.scored)
    low, high = window([value_of(e) for e in stage.scored], stage.objective.direction == "minimize")
    return StageFigures(
        heading=heading, trials=course_plots.trials_plot(stage, colour=colour, label=label, name=f"{name}-h"),
        timeline=course_plots.timeline_plot(stage, name=f"{name}-t"),
        importance=parameter_plots.importance_plot(found, names=stage.names, colour=colour, name=f"{name}-i")
        if found.shares else None,
        importance_words=found.reason,
        counts=course_plots.counted(stage),
        stopped=any(each.trial.status == "EarlyStopped" for each in stage.scored),
        failed=any(each.trial.status == "Failed" for each in stage.tried),
        beyond=any(not low <= value_of(each) <= high for each in stage.scored),
        parallel=parameter_plots.parallel_plot(stage, colour=colour, label=label, name=f"{name}-p") if scored else None,
        slices=tuple(
            parameter_plots.slice_plot(stage, parameter, colour=colour, label=label, name=f"{name}-{place}")
            for place, parameter in enumerate(stage.parameters)
        ) if scored else (),
    )  # fmt: skip
