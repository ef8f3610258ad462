"""Drawings of scores: learning curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from ctlr.report.numbers.rows import ScoreRow
from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import WIDE, Style, label_ends
from ctlr.report.theme.svg import MUTED, SURFACE, Panel, canvas, mark, panel
from ctlr.report.wording import tip_words

__all__ = ["Curves", "learning_curves", "one_by_one", "small_curves"]

HEIGHT = 330
SMALL_WIDTH, SMALL_HEIGHT = 320, 230


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What the learning curves of a contest have in common, whichever way they are drawn."""

    rows: Sequence[ScoreRow]
    """Of one contest."""
    style: Mapping[str, Style]
    """By method."""
    label: str
    """Of the metric, with its unit."""
    better: str
    """`lower` or `higher`."""
    name: str
    """Of the drawing on its page."""
    labelled: Callable[[int], str]
    """n_train in words, `20 + 20`."""
    level: float = 0.95
    """Share of intervals that hold the true value."""

    @property
    def sizes(self) -> list[int]:
        """Every n_train, ascending."""
        return sorted({row.n_train for row in self.rows})

    @property
    def methods(self) -> list[str]:
        """In the order of the rows."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def digits(self) -> int:
        """After the point of every score."""
        return decimals(row.estimate.mean for row in self.rows)

    @property
    def span(self) -> float:
        """Between the smallest and the largest size on the axis; 1 where there is one size."""
        return math.log2(self.sizes[-1] / self.sizes[0]) or 1.0

    @property
    def edges(self) -> tuple[float, float]:
        """Limits of the axis."""
        return math.log2(self.sizes[0]) - 0.08 * self.span, math.log2(self.sizes[-1]) + 0.08 * self.span

    def of(self, method: str) -> list[ScoreRow]:
        """Its rows by size."""
        return sorted((row for row in self.rows if row.method == method), key=lambda row: row.n_train)


def learning_curves(curves: Curves) -> Panel:
    """Score over the number of labelled subjects, one line a method, named at its end, with intervals."""
    with canvas(WIDE, HEIGHT, left=52, right=112, bottom=46) as axes:
        _all(axes, curves)
        axes.set_xlabel(f"Labelled subjects, n: training + validation{' (log scale)' if len(curves.sizes) > 1 else ''}")
        axes.set_ylabel(f"{curves.label}, {curves.better} is better")
        ends = [(method, curves.of(method)[-1].estimate.mean) for method in curves.methods]
        label_ends(axes, ends, curves.style, height=HEIGHT)
        return panel(axes, name=curves.name, alt=_in_words(curves, curves.methods))


def small_curves(curves: Curves) -> Panel:
    """The same without names, which stand once above several such drawings."""
    with canvas(SMALL_WIDTH, SMALL_HEIGHT, left=46, right=10, bottom=28) as axes:
        _all(axes, curves, scale=0.8)
        axes.set_ylabel(curves.label)
        return panel(axes, name=curves.name, alt=_in_words(curves, curves.methods))


def one_by_one(curves: Curves, methods: Sequence[str], beside: Sequence[str]) -> list[tuple[str, Panel]]:
    """A drawing a method before all others in grey: so many can be told apart. `beside` are drawn with each."""
    drawn = []
    for index, method in enumerate(methods):
        with canvas(SMALL_WIDTH, SMALL_HEIGHT, left=46, right=10, bottom=28) as axes:
            _behind(axes, curves)
            for other in (*beside, method):
                if curves.of(other):
                    _curve(axes, curves, other, 0.0, 0.8)
            _axes(axes, curves)
            axes.set_ylabel(curves.label)
            alt = _in_words(curves, [method])
            drawn.append((method, panel(axes, name=f"{curves.name}-{index}", alt=alt)))
    return drawn


def _all(axes: Axes, curves: Curves, scale: float = 1.0) -> None:
    methods = curves.methods
    for index, method in enumerate(methods):
        # Side by side, so that intervals do not hide each other.
        _curve(axes, curves, method, (index - (len(methods) - 1) / 2) * 0.011 * curves.span, scale)
    _axes(axes, curves)


def _axes(axes: Axes, curves: Curves) -> None:
    sizes = curves.sizes
    axes.set_xticks([math.log2(size) for size in sizes], [curves.labelled(size) for size in sizes])
    axes.set_xlim(*curves.edges)
    axes.grid(axis="x", visible=False)


def _behind(axes: Axes, curves: Curves) -> None:
    """Every line in one path."""
    x, y = list[float](), list[float]()
    for method in curves.methods:
        own = curves.of(method)
        x += [*(math.log2(row.n_train) for row in own), math.nan]
        y += [*(row.estimate.mean for row in own), math.nan]
    axes.plot(x, y, color=MUTED, linewidth=0.9, alpha=0.35, zorder=1.4)


def _curve(axes: Axes, curves: Curves, method: str, dodge: float, scale: float) -> None:
    rows, style = curves.of(method), curves.style[method]
    x = np.array([math.log2(row.n_train) for row in rows])
    y = np.array([row.estimate.mean for row in rows])
    if style.dashed:
        # It needs no size to be drawn at: the line runs from edge to edge.
        first, last = curves.edges
        x, y = np.array([first, *x, last]), np.array([y[0], *y, y[-1]])
        (line,) = axes.plot(x, y, color=style.colour, linestyle=(0, (4, 3)), linewidth=1.4, zorder=1.5)
        mark(line, of=method)
        return
    x = x + dodge
    if style.quiet:
        (line,) = axes.plot(x, y, color=style.colour, linewidth=1, alpha=0.8, zorder=1.6)
    else:
        low, high = [row.estimate.low for row in rows], [row.estimate.high for row in rows]
        bars = axes.vlines(x, low, high, color=style.colour, linewidth=1.8 * scale, alpha=0.5)
        mark(bars, of=method)
        (line,) = axes.plot(x, y, color=style.colour, linewidth=2 * scale, linestyle=style.line)
    mark(line, of=method)
    look = (
        {"markersize": 5 * scale, "markerfacecolor": SURFACE, "alpha": 0.8, "zorder": 1.7}
        if style.quiet
        else {"markersize": 8 * scale, "markeredgecolor": SURFACE, "markeredgewidth": 1.4 * scale, "zorder": 2.1}
    )
    for row, place in zip(rows, x, strict=True):
        (point,) = axes.plot([place], [row.estimate.mean], style.marker, color=style.colour, **look)  # type: ignore[arg-type]
        said = f"{curves.label} {number(row.estimate.mean, curves.digits)}"
        size = curves.labelled(row.n_train)
        mark(point, tip_words(method, size, said, row.estimate, curves.level, curves.digits), of=method)


def _in_words(curves: Curves, methods: Sequence[str]) -> str:
    lines = []
    for method in methods:
        values = [
            f"{number(row.estimate.mean, curves.digits)} at {curves.labelled(row.n_train)}"
            for row in curves.rows
            if row.method == method
        ]
        lines.append(f"{method}: {', '.join(values)}")
    return f"{curves.label} on the test set by number of labelled subjects. {'; '.join(lines)}."
