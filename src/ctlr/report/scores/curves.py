"""Drawings of scores: learning curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ctlr.report.numbers.rows import ScoreRow
from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import WIDE, Style, label_ends
from ctlr.report.theme.svg import SURFACE, Panel, canvas, panel

__all__ = ["learning_curves"]

HEIGHT = 330


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
    with canvas(WIDE, HEIGHT, left=52, right=112, bottom=46) as axes:
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
        label_ends(axes, ends, style, height=HEIGHT)
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


def _curves_in_words(
    rows: Sequence[ScoreRow], methods: Sequence[str], label: str, labelled: Callable[[int], str]
) -> str:
    digits = decimals(row.estimate.mean for row in rows)
    lines = []
    for method in methods:
        values = [f"{number(r.estimate.mean, digits)} at {labelled(r.n_train)}" for r in rows if r.method == method]
        lines.append(f"{method}: {', '.join(values)}")
    return f"{label} on the test set by number of labelled subjects. {'; '.join(lines)}."
