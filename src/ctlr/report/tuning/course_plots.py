"""Drawings of a search's course: best so far, history, timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import Style, label_ends
from ctlr.report.theme.svg import FAINT, INK, MUTED, SERIES, SURFACE, Panel, canvas, panel
from ctlr.report.tuning.stages import StageTrials, Tried, best_so_far, value_of, window
from ctlr.specs import TrialStatus

__all__ = [
    "HEIGHT",
    "MANY",
    "MARGINS",
    "STATUS_WORDS",
    "WIDTH",
    "counted",
    "counts",
    "marks",
    "progress_plot",
    "timeline_plot",
    "trials_plot",
]

STATUS_WORDS: Mapping[TrialStatus, str] = {
    "Succeeded": "succeeded", "EarlyStopped": "stopped early", "Failed": "failed", "Killed": "cut off",
    "Running": "running", "Created": "waiting",
}  # fmt: skip
_STATUS_COLOURS: Mapping[TrialStatus, str] = {
    "Succeeded": SERIES[1], "EarlyStopped": SERIES[5], "Failed": SERIES[2], "Killed": FAINT, "Running": FAINT,
    "Created": FAINT,
}  # fmt: skip
_WIDE, _WIDE_HEIGHT = 480, 300
WIDTH, HEIGHT = 300, 230
MANY = 100
"""From so many trials on they are drawn smaller and fainter."""
MARGINS = {"left": 52, "right": 14, "top": 10, "bottom": 44}


# ---------------------------------------------------------------- methods side by side


def progress_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    style: Mapping[str, Style],
    label: str,
    better: str,
    across: str,
    whole: bool,
    name: str,
) -> Panel:
    """Best value so far over what it cost, one line a method.

    Args:
        curves: Method -> (cost, best value) in order; none is empty.
        style: By method.
        label: Of the objective, with its unit.
        better: `lower` or `higher`.
        across: What it cost: the label of the horizontal axis.
        whole: Costs are counts.
        name: Of the drawing on its page.
    """
    lasting = {method: points[-1][0] for method, points in curves.items()}
    end = max(lasting.values()) or 1.0
    with canvas(_WIDE, _WIDE_HEIGHT, left=52, right=112, bottom=46) as axes:
        for method, points in curves.items():
            x, y = zip(*points, strict=True)
            look = style[method]
            axes.step(x, y, where="post", color=look.colour, linewidth=2)
            axes.plot(
                x[-1:], y[-1:], look.marker or "o", color=look.colour, markersize=7.5, markeredgecolor=SURFACE,
                markeredgewidth=1.2,
            )  # fmt: skip
        axes.set_xlim(0, 1.03 * end)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=whole))
        axes.set_ylim(*window([value for points in curves.values() for _, value in points], better == "lower"))
        axes.set_xlabel(across)
        axes.set_ylabel(f"{label}, {better} is better")
        label_ends(axes, [(method, points[-1][1]) for method, points in curves.items()], style, height=_WIDE_HEIGHT)
        return panel(axes, name=name, alt=_progress_in_words(curves, label, across))


def _progress_in_words(curves: Mapping[str, Sequence[tuple[float, float]]], label: str, across: str) -> str:
    digits = decimals(points[-1][1] for points in curves.values())
    found = [
        f"{method}: {number(points[-1][1], digits)}, reached at {number(_reached(points), 0)} of "
        f"{number(points[-1][0], 0)}"
        for method, points in curves.items()
    ]
    return f"Best {label} so far by {across[0].lower()}{across[1:]}. {'; '.join(found)}."


def _reached(points: Sequence[tuple[float, float]]) -> float:
    return next(cost for cost, value in points if value == points[-1][1])


# ---------------------------------------------------------------- values


def trials_plot(stage: StageTrials, *, colour: str, label: str, name: str) -> Panel:
    """Value of each trial in the order of proposal, with the best so far; failed ones stand at the edge."""
    values = [value_of(each) for each in stage.scored]
    minimise = stage.objective.direction == "minimize"
    with canvas(WIDTH, HEIGHT, **MARGINS) as axes:
        low, high = window(values, minimise)
        marks(axes, [(each.order, each) for each in stage.scored], (low, high), colour)
        lost = [each.order for each in stage.tried if each.trial.status == "Failed"]
        axes.plot(lost, [high if minimise else low] * len(lost), "x", color=MUTED, markersize=5.5, clip_on=False)
        best = best_so_far([value_of(e) if e.scored else None for e in stage.tried], stage.objective.direction)
        known = [(each.order, value) for each, value in zip(stage.tried, best, strict=True) if value is not None]
        if known:
            axes.step(*zip(*known, strict=True), where="post", color=INK, linewidth=1.8)
        axes.set_xlim(0, len(stage.tried) + 1)
        axes.set_ylim(low, high)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel("Trial")
        axes.set_ylabel(label)
        return panel(axes, name=name, alt=_trials_in_words(stage, label))


def _trials_in_words(stage: StageTrials, label: str) -> str:
    words = f"{label} of {len(stage.tried)} trials in their order: {counted(stage)}."
    best = stage.best
    if best is None:
        return f"{words} None has a value."
    digits = decimals(value_of(each) for each in stage.scored)
    return f"{words} The best, trial {best.order}, has {number(value_of(best), digits)}."


def counts(stage: StageTrials) -> dict[str, int]:
    """How many trials ended in each way that occurred."""
    found = {words: sum(each.trial.status == status for each in stage.tried) for status, words in STATUS_WORDS.items()}
    return {words: count for words, count in found.items() if count}


def counted(stage: StageTrials) -> str:
    """`18 succeeded, 2 failed`."""
    return ", ".join(f"{count} {words}" for words, count in counts(stage).items()) or "none"


def marks(axes: Axes, points: Sequence[tuple[float, Tried]], limits: tuple[float, float], colour: str) -> None:
    """Points of scored trials: hollow where stopped early, arrows where the value lies beyond the limits."""
    looks = {"Succeeded": (colour, "o"), "EarlyStopped": (SURFACE, "o")}
    size, alpha = (5.4, 0.62) if len(points) <= MANY else (3.8, 0.4)
    for status, (fill, marker) in looks.items():
        own = [
            (x, value_of(e)) for x, e in points if e.trial.status == status and limits[0] <= value_of(e) <= limits[1]
        ]
        axes.plot(
            [x for x, _ in own], [y for _, y in own], marker, color=colour, markerfacecolor=fill, markersize=size,
            alpha=alpha, linestyle="none", markeredgewidth=1.2 if fill == SURFACE else 0,
        )  # fmt: skip
    for marker, limit, off in (
        ("^", limits[1], [x for x, e in points if value_of(e) > limits[1]]),
        ("v", limits[0], [x for x, e in points if value_of(e) < limits[0]]),
    ):
        axes.plot(
            off, [limit] * len(off), marker, color=colour, markersize=6, alpha=alpha, linestyle="none",
            markeredgewidth=0, clip_on=False,
        )  # fmt: skip


# ---------------------------------------------------------------- time


def timeline_plot(stage: StageTrials, *, name: str) -> Panel:
    """When each trial ran and how it ended."""
    count = len(stage.tried)
    height = min(12 * count + 84, HEIGHT)
    with canvas(WIDTH, height, left=52, right=10, top=36, bottom=44) as axes:
        present = [status for status in STATUS_WORDS if any(each.trial.status == status for each in stage.tried)]
        for status in present:
            own = [each for each in stage.tried if each.trial.status == status]
            axes.barh(
                [each.order for each in own], [each.trial.seconds for each in own],
                left=[each.started for each in own], height=0.72, color=_STATUS_COLOURS[status],
                linewidth=0 if count <= MANY else 1.0,
            )  # fmt: skip
            if status in ("Failed", "EarlyStopped") and count <= MANY:
                axes.plot(
                    [each.started + each.trial.seconds for each in own], [each.order for each in own],
                    "x" if status == "Failed" else "|", color=INK, markersize=5, linestyle="none", clip_on=False,
                )  # fmt: skip
        _legend(axes, present, height)
        axes.set_xlim(left=0)
        axes.set_ylim(count + 0.6, 0.4)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("Seconds since the search began")
        axes.set_ylabel("Trial")
        end = max((each.started + each.trial.seconds for each in stage.tried), default=0.0)
        alt = f"When {count} trials ran, one bar each: {counted(stage)}; the last ended after {end:.0f} s."
        return panel(axes, name=name, alt=alt)


def _legend(axes: Axes, present: Sequence[TrialStatus], height: int) -> None:
    place = 0.0
    above = 1 + 18 / (height - 80)
    for status in present[:3]:
        axes.plot([place + 0.015], [above], "s", color=_STATUS_COLOURS[status], markersize=7, markeredgewidth=0,
                  transform=axes.transAxes, clip_on=False)  # fmt: skip
        axes.text(place + 0.05, above, STATUS_WORDS[status], transform=axes.transAxes, va="center_baseline",
                  color=MUTED, fontsize=10.5)  # fmt: skip
        place += 0.1 + 0.026 * len(STATUS_WORDS[status])
