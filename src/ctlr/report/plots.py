"""Drawings of scores, gains and histories: computed rows in, a panel out, with words for who cannot see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ctlr.report.formats import decimals, number
from ctlr.report.svg import INK, MUTED, SERIES, SURFACE, Panel, canvas, panel
from ctlr.report.tables import GainRow, ScoreRow

__all__ = ["Style", "forest", "history_plot", "label_ends", "learning_curves", "short", "styles"]

WIDE, CURVE_HEIGHT = 480, 330
LINE = 17
"""Pixels between two lines of labels."""
_MARKERS = "sD^vP*Xo"


@dataclass(frozen=True)
class Style:
    """How a method looks in every drawing of a report."""

    colour: str
    marker: str
    dashed: bool = False
    hollow: bool = False
    quiet: bool = False
    """Drawn thin and grey, without intervals, behind the others."""


def styles(
    contenders: Sequence[str], baselines: Sequence[str], floors: Sequence[str], references: Sequence[str] = ()
) -> dict[str, Style]:
    """Colours and markers by order of appearance; after eight methods colours come again, with other markers."""
    chosen = {label: Style(MUTED, "", dashed=True) for label in floors}
    chosen |= {
        label: Style(MUTED, _MARKERS[index % len(_MARKERS)], hollow=True, quiet=True)
        for index, label in enumerate(references)
    }
    chosen |= {label: Style(SERIES[0], "o") for label in baselines}
    colours = SERIES[1:]
    for index, label in enumerate(contenders):
        marker = _MARKERS[(index + index // len(colours)) % len(_MARKERS)]
        chosen[label] = Style(colours[index % len(colours)], marker)
    return chosen


def short(text: str, limit: int = 16) -> str:
    """Cut the middle out of a label that would run into its neighbours: what tells labels apart is at their ends."""
    head = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:head]}…{text[head + 1 - limit :]}"


# ---------------------------------------------------------------- scores over sizes


def learning_curves(
    rows: Sequence[ScoreRow], *, style: Mapping[str, Style], label: str, better: str, name: str,
    labelled: Callable[[int], str],
) -> Panel:  # fmt: skip
    """Score over the number of labelled subjects, one line a method, with intervals.

    Args:
        rows: Of one contest.
        style: By method.
        label: Of the metric, with its unit.
        better: `lower` or `higher`.
        name: Of the drawing on its page.
        labelled: n_train in words, `20 + 20`.
    """
    sizes = sorted({row.n_train for row in rows})
    methods = list(dict.fromkeys(row.method for row in rows))
    span = math.log2(sizes[-1] / sizes[0]) or 1.0
    first, last = math.log2(sizes[0]) - 0.08 * span, math.log2(sizes[-1]) + 0.08 * span
    with canvas(WIDE, CURVE_HEIGHT, left=52, right=112, bottom=46) as axes:
        ends: list[tuple[str, float]] = []
        for index, method in enumerate(methods):
            own = sorted((row for row in rows if row.method == method), key=lambda row: row.n_train)
            # Side by side, so that intervals do not hide each other.
            dodge = (index - (len(methods) - 1) / 2) * 0.011 * span
            _curve(axes, own, style[method], dodge, (first, last))
            ends.append((method, own[-1].estimate.mean))
        axes.set_xticks([math.log2(size) for size in sizes], [labelled(size) for size in sizes])
        axes.set_xlim(first, last)
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(f"Labelled subjects, n: training + validation{' (log scale)' if len(sizes) > 1 else ''}")
        axes.set_ylabel(f"{label}, {better} is better")
        label_ends(axes, ends, style, height=CURVE_HEIGHT)
        return panel(axes, name=name, alt=_curves_in_words(rows, methods, label, labelled))


def _curve(axes: Axes, rows: Sequence[ScoreRow], style: Style, dodge: float, edges: tuple[float, float]) -> None:
    x = np.array([math.log2(row.n_train) for row in rows])
    y = np.array([row.estimate.mean for row in rows])
    if style.dashed:
        # It needs no size to be drawn at: the line runs from edge to edge.
        x, y = np.array([edges[0], *x, edges[1]]), np.array([y[0], *y, y[-1]])
        axes.plot(x, y, color=style.colour, linestyle=(0, (4, 3)), linewidth=1.4, zorder=1.5)
        return
    if style.quiet:
        axes.plot(
            x + dodge, y, color=style.colour, linewidth=1, alpha=0.8, marker=style.marker, markersize=5,
            markerfacecolor=SURFACE, zorder=1.6,
        )  # fmt: skip
        return
    low, high = [row.estimate.low for row in rows], [row.estimate.high for row in rows]
    axes.vlines(x + dodge, low, high, color=style.colour, linewidth=1.8, alpha=0.5)
    axes.plot(
        x + dodge, y, color=style.colour, linewidth=2, marker=style.marker, markersize=8, markeredgecolor=SURFACE,
        markeredgewidth=1.4,
    )  # fmt: skip


def label_ends(
    axes: Axes, ends: Sequence[tuple[str, float]], style: Mapping[str, Style], *, height: int, limit: int = 13
) -> None:
    """Name each line at its right end, by so many letters; (method, value) each, in a drawing of so many pixels."""
    low, high = axes.get_ylim()
    inside = axes.get_position().height * height
    ordered = sorted(ends, key=lambda end: end[1])
    places = spread([(value - low) / (high - low) * inside for _, value in ordered], inside)
    for (method, _), place in zip(ordered, places, strict=True):
        look, y = style[method], place / inside
        if look.dashed:
            axes.plot(
                [1.015, 1.05], [y, y], color=look.colour, linestyle=(0, (2, 1.5)), linewidth=1.4,
                transform=axes.transAxes, clip_on=False,
            )  # fmt: skip
        else:
            axes.plot(
                [1.033], [y], look.marker, color=look.colour, markersize=7.5,
                markerfacecolor=SURFACE if look.hollow else look.colour, markeredgewidth=1.8 if look.hollow else 0,
                transform=axes.transAxes, clip_on=False,
            )  # fmt: skip
        axes.text(1.07, y, short(method, limit), transform=axes.transAxes, va="center_baseline", color=INK)
    axes.set_ylim(low, high)


def spread(places: Sequence[float], height: float) -> list[float]:
    """Move ascending labels apart to at least `LINE` pixels, as little as may be, inside 0..height if they fit."""
    moved = list(places)
    for _ in range(200):
        for index in range(len(moved) - 1):
            push = (LINE - (moved[index + 1] - moved[index])) / 2
            if push > 0:
                moved[index] -= push
                moved[index + 1] += push
        moved = [min(max(place, 0.0), height) for place in moved]
    return moved


def _curves_in_words(
    rows: Sequence[ScoreRow], methods: Sequence[str], label: str, labelled: Callable[[int], str]
) -> str:
    digits = decimals(row.estimate.mean for row in rows)
    lines = []
    for method in methods:
        values = [f"{number(r.estimate.mean, digits)} at {labelled(r.n_train)}" for r in rows if r.method == method]
        lines.append(f"{method}: {', '.join(values)}")
    return f"{label} on the test set by number of labelled subjects. {'; '.join(lines)}."


# ---------------------------------------------------------------- gains


def forest(
    rows: Sequence[GainRow], *, style: Mapping[str, Style], label: str, baseline: str, name: str,
    labelled: Callable[[int], str],
) -> Panel:  # fmt: skip
    """Gain over the baseline with its interval, grouped by size; hollow points are no verdict.

    Args:
        rows: Of one contest, at least one.
        style: By method.
        label: Of the metric, with its unit.
        baseline: What the gain is over.
        name: Of the drawing on its page.
        labelled: n_train in words, `20 + 20`.
    """
    headings: list[tuple[float, int]] = []
    lines: list[tuple[float, GainRow]] = []
    y = 0.0
    for size in sorted({row.n_train for row in rows}):
        own = [row for row in rows if row.n_train == size]
        headings.append((y, size))
        lines += [(y + 1 + index, row) for index, row in enumerate(own)]
        y += len(own) + 1.4
    with canvas(WIDE, round(24 * y) + 74, left=124, right=10, top=8, bottom=66) as axes:
        axes.axvline(0, color=MUTED, linewidth=1.2)
        for place, row in lines:
            _arm(axes, place, row, style[row.method])
        axes.set_yticks([place for place, _ in lines], [short(row.method) for _, row in lines])
        axes.tick_params(axis="y", labelcolor=INK)
        left = -120 / (WIDE - 134)
        for place, size in headings:
            where = axes.get_yaxis_transform()
            axes.text(
                left, place, f"n = {labelled(size)}", transform=where, color=MUTED, va="center_baseline", weight="bold"
            )
        axes.set_ylim(y - 0.7, -0.6)
        axes.set_xlim(*_reach([row.gain.mean for row in rows] + [e for r in rows for e in (r.gain.low, r.gain.high)]))
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"Gain over {short(baseline)}, {label}", labelpad=24)
        below = -28 / (24 * y)
        for place, side, words in ((0.0, "left", "← worse"), (1.0, "right", "better →")):
            axes.text(place, below, words, transform=axes.transAxes, ha=side, va="top", color=MUTED, fontsize=11)
        return panel(axes, name=name, alt=_forest_in_words(rows, label, baseline, labelled))


def _arm(axes: Axes, place: float, row: GainRow, style: Style) -> None:
    axes.plot([row.gain.low, row.gain.high], [place, place], color=style.colour, linewidth=2.2)
    fill = style.colour if row.stands else SURFACE
    axes.plot(
        [row.gain.mean], [place], style.marker, color=style.colour, markersize=8, markerfacecolor=fill,
        markeredgewidth=2,
    )  # fmt: skip


def _reach(values: Sequence[float]) -> tuple[float, float]:
    """Limits that show every finite value and some of both sides of zero."""
    known = [value for value in values if math.isfinite(value)]
    widest = max(map(abs, known), default=0.0) or 1.0
    return min(*known, 0) - 0.12 * widest, max(*known, 0) + 0.12 * widest


def _forest_in_words(rows: Sequence[GainRow], label: str, baseline: str, labelled: Callable[[int], str]) -> str:
    digits = decimals(row.gain.mean for row in rows)
    lines = [
        f"{row.method} at {labelled(row.n_train)}: {number(row.gain.mean, digits, sign=True)} "
        f"({number(row.gain.low, digits)} to {number(row.gain.high, digits)})"
        for row in rows
    ]
    return f"Gain over {baseline} in {label}, positive is better. {'; '.join(lines)}."


# ---------------------------------------------------------------- histories

History = tuple[NDArray[np.float64], NDArray[np.float64], int]
"""(E,) epochs, (E,) validation scores, best epoch."""


def history_plot(curves: Sequence[History], *, colour: str, label: str, name: str) -> Panel:
    """Validation score by epoch, one line a seed; the point is the epoch whose weights were kept.

    Args:
        curves: One a seed.
        colour: Of the method.
        label: Of the metric, with its unit.
        name: Of the drawing on its page.
    """
    with canvas(300, 210, left=46, right=8, top=8, bottom=44) as axes:
        for epochs, values, best in curves:
            axes.plot(epochs, values, color=colour, linewidth=1.5, alpha=0.7)
            kept = epochs == best
            axes.plot(epochs[kept], values[kept], "o", color=colour, markersize=7.5, markeredgecolor=SURFACE)
        axes.set_xlabel("Epoch")
        axes.set_ylabel(label)
        kept_epochs = ", ".join(str(curve[2]) for curve in curves)
        alt = f"Validation {label} by epoch, one line a seed; kept epochs: {kept_epochs}."
        return panel(axes, name=name, alt=alt)
