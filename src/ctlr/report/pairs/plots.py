"""Drawings of pairs of source and target: a score against the gain that it promised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ctlr.report.pairs.rows import Foretold, Pair
from ctlr.report.pairs.tables import SCORE_WORDS
from ctlr.report.theme.formats import number
from ctlr.report.theme.styles import short
from ctlr.report.theme.svg import INK, MUTED, SERIES, SURFACE, Panel, canvas, mark, panel
from ctlr.specs import TRANSFER_SCORES

__all__ = ["score_plot"]

WIDTH, HEIGHT = 300, 250
LETTER, LINE = 6.2, 13
"""Pixels of a label's letter, and of its height."""


def score_plot(row: Foretold, names: Mapping[Pair, str], *, label: str, name: str) -> Panel:
    """Gain over scratch against one score: a point with its interval for each pair, and the line through all.

    Args:
        row: The score in one race.
        names: Of the pairs.
        label: Of the gain, with its unit.
        name: Of the drawing on its page.
    """
    gains = {each.pair: each.row.gain for each in row.race.gains}
    x = np.array([row.race.scores[pair][row.score] for pair in row.pairs])
    y = np.array([gains[pair].mean for pair in row.pairs])
    side = "larger" if TRANSFER_SCORES[row.score] == "max" else "smaller"
    with canvas(WIDTH, HEIGHT, left=52, right=12, bottom=46) as axes:
        axes.axhline(0, color=MUTED, linewidth=1.2)
        room = 0.22 * float(np.ptp(x)) or max(0.1 * abs(float(x[0])), 0.1)
        if np.ptp(x) > 0:
            ends = np.array([x.min() - room / 2, x.max() + room / 2])
            axes.plot(ends, np.polyval(np.polyfit(x, y, 1), ends), color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        for place, value, pair in zip(x, y, row.pairs, strict=True):
            low, high = gains[pair].low, gains[pair].high
            if math.isfinite(low) and math.isfinite(high):
                axes.plot([place, place], [low, high], color=SERIES[1], linewidth=2, alpha=0.55)
            (point,) = axes.plot([place], [value], "o", color=SERIES[1], markersize=8, markeredgecolor=SURFACE)
            said = f"{SCORE_WORDS[row.score]} {number(float(place), 3)}, gain {number(float(value), 3, sign=True)}"
            mark(point, f"{names[pair]}\n{said}", of=names[pair])
        axes.set_xlim(x.min() - room, x.max() + room)
        _name(axes, x, y, [names[pair] for pair in row.pairs])
        axes.set_xlabel(f"{SCORE_WORDS[row.score]}, {side} promises more")
        axes.set_ylabel(label)
        return panel(axes, name=name, alt=_in_words(row, names, x, y))


Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right and top, in pixels of the page."""


def _name(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str]) -> None:
    """Write each name where there is room for it; one without room is told by its point alone."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    points = 72 / figure.dpi  # a pixel of the page
    places = axes.transData.transform(np.column_stack([x, y])) * points
    low, high = axes.transAxes.transform([(0, 0), (1, 1)]) * points
    taken: list[Box] = [(a - 4.0, b - 4.0, a + 4.0, b + 4.0) for a, b in places]
    for (a, b), at, name in zip(places, zip(x, y, strict=True), names, strict=True):
        label = short(name, 22)
        width = LETTER * len(label)
        inner = a <= places[:, 0].mean()  # towards the middle first
        for up, right in product((6.0, -LINE - 4.0, -LINE / 2), (inner, not inner)):
            left = a + 7 if right else a - 7 - width
            box = (left, b + up, left + width, b + up + LINE)
            within = low[0] <= box[0] and box[2] <= high[0] and low[1] <= box[1] and box[3] <= high[1]
            if within and not any(_overlap(box, other) for other in taken):
                word = axes.annotate(
                    label, at, xytext=(7 if right else -7, up + 3), textcoords="offset points",
                    ha="left" if right else "right", fontsize=11, color=INK,
                )  # fmt: skip
                mark(word, of=name)
                taken.append(box)
                break


def _overlap(first: Box, second: Box) -> bool:
    return not (
        first[2] < second[0] or second[2] < first[0] or first[3] < second[1] or second[3] < first[1]
    )  # fmt: skip


def _in_words(row: Foretold, names: Mapping[Pair, str], x: np.ndarray, y: np.ndarray) -> str:
    points = "; ".join(
        f"{names[pair]}: score {number(float(a), 3)}, gain {number(float(b), 3, sign=True)}"
        for pair, a, b in zip(row.pairs, x, y, strict=True)
    )
    return f"Gain over scratch against {SCORE_WORDS[row.score]} at n = {row.race.labelled}. {points}."
