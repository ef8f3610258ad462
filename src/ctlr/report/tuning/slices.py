"""Slices: the value of every trial against one option."""

from __future__ import annotations

from ctlr.report.theme.styles import short
from ctlr.report.theme.svg import Panel
from ctlr.report.tuning.course_plots import HEIGHT, WIDTH, draw_values, small_frame
from ctlr.report.tuning.drawing import Axis, Drawing, px
from ctlr.report.tuning.scales import Scale
from ctlr.report.tuning.stages import StageTrials, Tried, value_of, window
from ctlr.specs import Parameter

__all__ = ["slice_plot"]


def slice_plot(stage: StageTrials, parameter: Parameter, *, colour: str, label: str) -> Panel:
    """Value against one parameter; on a logarithmic axis where it was searched on one. The best trial has a ring."""
    scored = [each for each in stage.scored if parameter.name in each.trial.assignments]
    scale = Scale(parameter, [each.trial.assignments[parameter.name] for each in scored])
    limits = window([value_of(each) for each in scored], stage.objective.direction == "minimize")
    axis = scale.axis(room=0.04)
    if not scale.numeric:  # as many letters as fit side by side
        limit = max(3, 34 // max(len(scale.listed), 1))
        axis = Axis(low=axis.low, high=axis.high, ticks=tuple((at, short(text, limit)) for at, text in axis.ticks))
    frame = small_frame(axis, Axis.of(*limits))
    drawing = Drawing(WIDTH, HEIGHT)
    option = stage.names.get(parameter.name, parameter.name)
    drawing.frame(frame, across=f"{short(option, 30)}{' (log scale)' if scale.logarithmic else ''}", up=label)
    points = [(scale.place(each.trial.assignments[parameter.name]) + _aside(scale, each), each) for each in scored]
    draw_values(drawing, frame, points, colour)
    best = stage.best
    for x, each in points:
        if best is not None and each.order == best.order:
            at, y = frame.at(x, value_of(each))
            drawing.path(f"M{px(at - 6)} {px(y)}a6 6 0 1 0 12 0a6 6 0 1 0-12 0", "ring")
    has = f"; the best trial has {option} = {best.trial.assignments[parameter.name]}" if best else ""
    return drawing.panel(f"{label} of {len(scored)} trials against {option}{has}.")


def _aside(scale: Scale, tried: Tried) -> float:
    """Points of one category side by side, so that they do not hide each other."""
    return 0.0 if scale.numeric else 0.5 * ((tried.order * 0.618) % 1 - 0.5)
