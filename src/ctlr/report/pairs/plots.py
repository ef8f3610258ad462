"""Drawings of pairs of source and target: a score against the gain that it promised."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ctlr.report.pairs.rows import Foretold, Pair
from ctlr.report.pairs.tables import SCORE_WORDS
from ctlr.report.theme.formats import number
from ctlr.report.theme.styles import short
from ctlr.report.theme.svg import INK, MUTED, SERIES, SURFACE, Panel, canvas, panel
from ctlr.specs import TRANSFER_SCORES

__all__ = ["score_plot"]

WIDTH, HEIGHT = 300, 250


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
            axes.plot([place], [value], "o", color=SERIES[1], markersize=8, markeredgecolor=SURFACE)
            right = place <= x.mean()
            axes.annotate(
                short(names[pair], 22), (place, value), xytext=(7 if right else -7, 5), textcoords="offset points",
                ha="left" if right else "right", fontsize=11, color=INK,
            )  # fmt: skip
        axes.set_xlim(x.min() - room, x.max() + room)
        axes.set_xlabel(f"{SCORE_WORDS[row.score]}, {side} promises more")
        axes.set_ylabel(label)
        return panel(axes, name=name, alt=_in_words(row, names, x, y))


def _in_words(row: Foretold, names: Mapping[Pair, str], x: np.ndarray, y: np.ndarray) -> str:
    points = "; ".join(
        f"{names[pair]}: score {number(float(a), 3)}, gain {number(float(b), 3, sign=True)}"
        for pair, a, b in zip(row.pairs, x, y, strict=True)
    )
    return f"Gain over scratch against {SCORE_WORDS[row.score]} at n = {row.race.labelled}. {points}."
