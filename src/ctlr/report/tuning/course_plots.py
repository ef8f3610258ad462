"""Drawings of a search's course: best so far, history, timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import Style, short, spread
from ctlr.report.theme.svg import Panel
from ctlr.report.tuning.drawing import Axis, Drawing, Frame, dots, marks, px, steps
from ctlr.report.tuning.stages import StageTrials, Tried, best_so_far, value_of, window
from ctlr.specs import TrialStatus

__all__ = ["STATUS_WORDS", "counted", "counts", "draw_values", "progress_plot", "small_frame", "timeline_plot",
           "trials_plot"]  # fmt: skip

STATUS_WORDS: Mapping[TrialStatus, str] = {
    "Succeeded": "succeeded", "EarlyStopped": "stopped early", "Failed": "failed", "Killed": "cut off",
    "Running": "running", "Created": "waiting",
}  # fmt: skip
_WIDE, _WIDE_HEIGHT, _NAMES = 540, 300, 132
WIDTH, HEIGHT = 300, 220
_LINE = 2
"""Pixels of a course, in which the lengths of its dashes are counted."""


# ---------------------------------------------------------------- methods side by side


def progress_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    style: Mapping[str, Style],
    label: str,
    better: str,
    across: str,
    whole: bool,
) -> Panel:
    """Best value so far over what it cost, one line a method.

    Args:
        curves: Method -> (cost, best value) in order; none is empty.
        style: By method.
        label: Of the objective, with its unit.
        better: `lower` or `higher`.
        across: What it cost: the label of the horizontal axis.
        whole: Costs are counts.
    """
    end = max(points[-1][0] for points in curves.values()) or 1.0
    levels = {(method, value) for method, points in curves.items() for _, value in points}
    low, high = window([value for _, value in sorted(levels)], better == "lower")
    height = max(_WIDE_HEIGHT, 18 * len(curves) + 84)
    frame = Frame(
        left=56, top=34, right=_WIDE - _NAMES, bottom=height - 46, x=Axis.of(0, 1.02 * end, whole=whole, count=6),
        y=Axis.of(low, high, count=5),
    )  # fmt: skip
    drawing = Drawing(_WIDE, height, name="progress")
    drawing.frame(frame, across=across, up=f"Best {label} so far, {better} is better")
    tips = dict(zip(curves, _reached_words(curves), strict=True))
    for method, points in curves.items():
        places = [frame.at(*point) for point in points]
        with drawing.mark(tips[method], of=method):
            look = style[method]
            drawing.path(steps(places), "course", colour=look.key, dash=[_LINE * length for length in look.dash])
            _end(drawing, places[-1], style[method])
    _name_ends(drawing, frame, curves, style)
    return drawing.panel(_progress_in_words(curves, label, across))


def _end(drawing: Drawing, place: tuple[float, float], style: Style) -> None:
    drawing.path(marks([place], style.marker or "o"), "hollow" if style.hollow else "point", colour=style.key)


def _name_ends(
    drawing: Drawing, frame: Frame, curves: Mapping[str, Sequence[tuple[float, float]]], style: Mapping[str, Style]
) -> None:
    """Each method's name beside its end, moved apart where ends are close, with its mark once more."""
    ends = sorted((frame.at(*points[-1])[1], method) for method, points in curves.items())
    inside = frame.bottom - frame.top
    for (_, method), y in zip(ends, spread([y - frame.top for y, _ in ends], inside), strict=True):
        with drawing.mark("", of=method):
            _end(drawing, (frame.right + 16, frame.top + y), style[method])
            drawing.text(frame.right + 26, frame.top + y + 4, short(method, 16), kind="ink")


def _progress_in_words(curves: Mapping[str, Sequence[tuple[float, float]]], label: str, across: str) -> str:
    return f"Best {label} so far by {across[0].lower()}{across[1:]}. {'; '.join(_reached_words(curves))}."


def _reached_words(curves: Mapping[str, Sequence[tuple[float, float]]]) -> list[str]:
    """`vat: 8.95, reached at 12 of 24`."""
    digits = decimals(points[-1][1] for points in curves.values())
    return [
        f"{method}: {number(points[-1][1], digits)}, reached at {number(_reached(points), 0)} of "
        f"{number(points[-1][0], 0)}"
        for method, points in curves.items()
    ]


def _reached(points: Sequence[tuple[float, float]]) -> float:
    return next(cost for cost, value in points if value == points[-1][1])


# ---------------------------------------------------------------- values


def small_frame(x: Axis, y: Axis) -> Frame:
    """Of a drawing that stands beside others."""
    return Frame(left=46, top=26, right=WIDTH - 10, bottom=HEIGHT - 40, x=x, y=y)


def trials_plot(stage: StageTrials, *, colour: str, label: str) -> Panel:
    """Value of each trial in the order of proposal, with the best so far; failed ones stand at the edge."""
    minimise = stage.objective.direction == "minimize"
    low, high = window([value_of(each) for each in stage.scored], minimise)
    frame = small_frame(Axis.of(0, len(stage.tried) + 1, whole=True), Axis.of(low, high))
    drawing = Drawing(WIDTH, HEIGHT)
    drawing.frame(frame, across="Trial", up=label)
    draw_values(drawing, frame, [(each.order, each) for each in stage.scored], colour)
    edge = high if minimise else low
    lost = [frame.at(each.order, edge) for each in stage.tried if each.trial.status == "Failed"]
    drawing.path("".join(f"M{px(x - 3)} {px(y - 3)}l6 6m0-6l-6 6" for x, y in lost), "cross")
    best = best_so_far([value_of(e) if e.scored else None for e in stage.tried], stage.objective.direction)
    known = [frame.at(each.order, value) for each, value in zip(stage.tried, best, strict=True) if value is not None]
    if known:
        drawing.path(steps(known), "so-far")
    return drawing.panel(_trials_in_words(stage, label))


def draw_values(drawing: Drawing, frame: Frame, points: Sequence[tuple[float, Tried]], colour: str) -> None:
    """Points of scored trials: hollow where stopped early, arrows where the value lies beyond the frame."""
    low, high = frame.y.low, frame.y.high
    inside = [(frame.at(x, value_of(e)), e.trial.status) for x, e in points if low <= value_of(e) <= high]
    drawing.path(dots([place for place, status in inside if status == "Succeeded"]), "dots", colour=colour)
    hollow = "".join(f"M{px(x - 2.6)} {px(y)}a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0" for (x, y), status in inside
                     if status == "EarlyStopped")  # fmt: skip
    drawing.path(hollow, "rings", colour=colour)
    drawing.path(marks([frame.at(x, high) for x, e in points if value_of(e) > high], "^"), "beyond", colour=colour)
    drawing.path(marks([frame.at(x, low) for x, e in points if value_of(e) < low], "v"), "beyond", colour=colour)


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


# ---------------------------------------------------------------- time


def timeline_plot(stage: StageTrials) -> Panel:
    """When each trial ran and how it ended."""
    count = len(stage.tried)
    end = max((each.started + each.trial.seconds for each in stage.tried), default=0.0)
    height = min(10 * count + 92, 340)
    frame = Frame(
        left=46, top=34, right=WIDTH - 10, bottom=height - 46, x=Axis.of(0, end or 1.0),
        y=Axis.of(0.4, count + 0.6, whole=True, count=5),
    )  # fmt: skip
    drawing = Drawing(WIDTH, height, name="timeline")
    drawing.frame(frame, across="Seconds since the search began", up="")
    thick = min(0.72 * (frame.bottom - frame.top) / max(count, 1), 8)
    for status in STATUS_WORDS:
        spans = [(frame.at(e.started, e.order), frame.at(e.started + e.trial.seconds, e.order))
                 for e in stage.tried if e.trial.status == status]  # fmt: skip
        bars = "".join(f"M{px(x)} {px(y - thick / 2)}H{px(to)}v{px(thick)}H{px(x)}z" for (x, y), (to, _) in spans)
        drawing.path(bars, f"bar {status}")
        if status in ("Failed", "EarlyStopped"):  # not by colour alone
            ends = "".join(f"M{px(to - 3)} {px(y - 3)}l6 6m0-6l-6 6" if status == "Failed" else
                           f"M{px(to)} {px(y - 4)}v8" for _, (to, y) in spans)  # fmt: skip
            drawing.path(ends, "cross")
    place = 2.0
    drawing.text(place, 16, "Trial", kind="ink")
    place += 46
    for status, words in STATUS_WORDS.items():
        if any(each.trial.status == status for each in stage.tried) and place < WIDTH - 60:
            drawing.path(f"M{px(place)} 7h9v9h-9z", f"bar {status}")
            drawing.text(place + 13, 16, words)
            place += 22 + 6.4 * len(words)
    return drawing.panel(f"When {count} trials ran, one bar each: {counted(stage)}; the last ended after {end:.0f} s.")
