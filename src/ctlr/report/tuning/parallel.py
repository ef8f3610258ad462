"""Parallel coordinates: one line a trial through its options to its value, coloured by the value."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import short
from ctlr.report.theme.svg import Panel
from ctlr.report.tuning.drawing import Axis, Drawing, px
from ctlr.report.tuning.scales import Scale
from ctlr.report.tuning.stages import StageTrials, Tried, value_of, window
from ctlr.report.tuning.tables import value_words

__all__ = ["SHADES", "parallel_plot", "shade", "thinned"]

SHADES = 6
"""Steps of the colour scale, from the best value (0) on; `tuning.css` sets them, light on dark and dark on light."""
MOST = 120
"""Lines that a reader can tell apart, and a page carry: of more trials the best half of them, and every k-th other."""
MANY = 60
"""Trials up to which a line tells its options to a pointer, and not its value alone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 74, 40, 280


def parallel_plot(stage: StageTrials, *, label: str, importance: Sequence[tuple[str, float]] = ()) -> Panel:
    """One line a trial; the best in ink. Options stand in the order of their importance, where it is known.

    Args:
        stage: With at least one scored trial.
        label: Of the objective, with its unit.
        importance: (parameter, share), the largest first.
    """
    order = [name for name, _ in importance]
    parameters = sorted(stage.parameters, key=lambda p: order.index(p.name) if p.name in order else len(order))
    names = [parameter.name for parameter in parameters]
    ranked = [each for each in stage.ranked if set(names) <= set(each.trial.assignments)]
    axes = []
    for parameter in parameters:
        scale = Scale(parameter, [each.trial.assignments[parameter.name] for each in ranked])
        axes.append((scale, scale.axis()))
    limits = window([value_of(each) for each in ranked], stage.objective.direction == "minimize")
    values = Axis.of(*limits)
    step = min(max(640 // max(len(names), 1), 104), 170)  # the fewer options, the more room for each
    drawing = Drawing(_LEFT + step * len(names) + _RIGHT, _BOTTOM + 30, name="parallel")
    for rank, each in reversed(thinned(ranked)):
        heights = [
            axis.share(scale.place(each.trial.assignments[n])) for n, (scale, axis) in zip(names, axes, strict=True)
        ]
        heights.append(values.share(value_of(each)))
        line = "L".join(f"{px(_LEFT + step * n)} {px(_y(height))}" for n, height in enumerate(heights))
        kind = "best" if rank == 0 else f"v{shade(value_of(each), limits, stage.objective.direction)}"
        kind += " stopped" * (each.trial.status == "EarlyStopped")
        with drawing.mark(_title(stage, each, label, len(ranked) <= MANY), of=str(each.order)):
            drawing.path(f"M{line}", kind)
    for place, (name, (scale, axis)) in enumerate(zip(names, axes, strict=True)):
        _rail(drawing, _LEFT + step * place, axis, stage.names.get(name, name), "log" if scale.logarithmic else "")
    _value_rail(drawing, _LEFT + step * len(names), values, label, stage.objective.direction)
    return drawing.panel(_in_words(stage, ranked, label))


def thinned(ranked: Sequence[Tried]) -> list[tuple[int, Tried]]:
    """(rank from 0, trial) of those that are drawn."""
    every = list(enumerate(ranked))
    if len(every) <= MOST:
        return every
    best, rest = every[: MOST // 2], every[MOST // 2 :]
    return best + rest[:: -(-len(rest) // (MOST - len(best)))]


def shade(value: float, limits: tuple[float, float], direction: str) -> int:
    """Step of the colour scale, 0 for the best."""
    share = min(max((value - limits[0]) / (limits[1] - limits[0]), 0.0), 1.0)
    return min(int((share if direction == "minimize" else 1 - share) * SHADES), SHADES - 1)


def _y(height: float) -> float:
    return _BOTTOM - height * (_BOTTOM - _TOP)


def _rail(drawing: Drawing, x: int, axis: Axis, name: str, note: str) -> None:
    drawing.path(f"M{x} {_TOP}V{_BOTTOM}", "rail")
    for value, words in axis.ticks:
        y = _y(axis.share(value))
        drawing.text(x + 5, y + 4, short(words, 12), kind="on")
    stage, _, leaf = name.rpartition(".")
    drawing.text(x, _TOP - 14, short(leaf, 15), anchor="middle", kind="ink")
    if words := ", ".join(each for each in (short(stage, 12), note) if each):
        drawing.text(x, _BOTTOM + 20, words, anchor="middle")


def _value_rail(drawing: Drawing, x: int, axis: Axis, label: str, direction: str) -> None:
    """The axis of values is the key of the colours too."""
    for step in range(SHADES):
        share = step if direction == "minimize" else SHADES - 1 - step
        low, high = (_y(each / SHADES) for each in (share, share + 1))
        drawing.path(f"M{x} {px(low)}V{px(high)}", f"v{step} wide")
    for value, words in axis.ticks:
        drawing.text(x + 9, _y(axis.share(value)) + 4, words)
    drawing.text(x, _TOP - 14, label, anchor="middle", kind="ink")
    drawing.text(x, _BOTTOM + 20, f"{'lower' if direction == 'minimize' else 'higher'} is better", anchor="middle")


def _title(stage: StageTrials, tried: Tried, label: str, options: bool) -> str:
    value = value_of(tried)
    told = f"Trial {tried.order}: {label} {number(value, decimals([value]))}"
    if not options:
        return told
    return "\n".join([told, *(f"{stage.names.get(k, k)} {value_words(v)}" for k, v in tried.trial.assignments.items())])


def _in_words(stage: StageTrials, ranked: Sequence[Tried], label: str) -> str:
    drawn = len(thinned(ranked))
    words = f"Options and {label} of {len(ranked)} trials, one line each."
    if drawn < len(ranked):
        words = f"Options and {label} of the best {MOST // 2} of {len(ranked)} trials and {drawn - MOST // 2} others."
    if not ranked:
        return words
    best = ", ".join(f"{stage.names.get(k, k)} = {v}" for k, v in ranked[0].trial.assignments.items())
    return f"{words} The best has {best}."
