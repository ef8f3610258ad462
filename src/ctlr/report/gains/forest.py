"""The drawing of gains: a forest of intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes

from ctlr.report.numbers.rows import GainRow
from ctlr.report.theme.formats import decimals, number
from ctlr.report.theme.styles import WIDE, Style, short
from ctlr.report.theme.svg import INK, MUTED, SURFACE, Panel, canvas, mark, panel
from ctlr.report.wording import tip_words

__all__ = ["arm", "forest", "gain_tip", "reach"]


def forest(
    rows: Sequence[GainRow], *, style: Mapping[str, Style], label: str, baseline: str, name: str,
    labelled: Callable[[int], str], level: float = 0.95,
) -> Panel:  # fmt: skip
    """Gain over the baseline with its interval, grouped by size; hollow points are no verdict.

    Args:
        rows: Of one contest, at least one.
        style: By method.
        label: Of the metric, with its unit.
        baseline: What the gain is over.
        name: Of the drawing on its page.
        labelled: n_train in words, `20 + 20`.
        level: Share of intervals that hold the true value.
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
            tip = gain_tip(row, labelled(row.n_train), label, baseline, level, rows)
            arm(axes, place, row, style[row.method], tip)
        axes.set_yticks([place for place, _ in lines], [short(row.method) for _, row in lines])
        axes.tick_params(axis="y", labelcolor=INK)
        left = -120 / (WIDE - 134)
        for place, size in headings:
            where = axes.get_yaxis_transform()
            axes.text(
                left, place, f"n = {labelled(size)}", transform=where, color=MUTED, va="center_baseline", weight="bold"
            )
        axes.set_ylim(y - 0.7, -0.6)
        axes.set_xlim(*reach([row.gain.mean for row in rows] + [e for r in rows for e in (r.gain.low, r.gain.high)]))
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"Gain over {short(baseline)}, {label}", labelpad=24)
        below = -28 / (24 * y)
        for place, side, words in ((0.0, "left", "← worse"), (1.0, "right", "better →")):
            axes.text(place, below, words, transform=axes.transAxes, ha=side, va="top", color=MUTED, fontsize=11)
        return panel(axes, name=name, alt=_forest_in_words(rows, label, baseline, labelled))


def gain_tip(row: GainRow, size: str, label: str, baseline: str, level: float, beside: Sequence[GainRow]) -> str:
    """What a gain tells of itself; with as many digits as those beside it have."""
    digits = decimals(each.gain.mean for each in beside)
    said = f"{label}: {number(row.gain.mean, digits, sign=True)} against {baseline}"
    return tip_words(row.method, size, said, row.gain, level, digits)


def arm(axes: Axes, place: float, row: GainRow, style: Style, tip: str) -> None:
    """Draw a gain with its interval at a height; hollow where no verdict stands."""
    (line,) = axes.plot([row.gain.low, row.gain.high], [place, place], color=style.colour, linewidth=2.2)
    fill = style.colour if row.stands else SURFACE
    (point,) = axes.plot(
        [row.gain.mean], [place], style.marker, color=style.colour, markersize=8, markerfacecolor=fill,
        markeredgewidth=2,
    )  # fmt: skip
    mark(line, of=row.method)
    mark(point, tip, of=row.method)


def reach(values: Sequence[float]) -> tuple[float, float]:
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
