"""The drawing of a learning-rate sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.ticker import FuncFormatter, LogLocator

from ctlr.report.theme.svg import MUTED, SERIES, Panel, canvas, panel

__all__ = ["rate_curve"]

WIDE, HIGH = 560, 340


def rate_curve(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggestions: Mapping[str, float]
) -> Panel:
    """Loss over the rate, each batch and smoothed, with a line for each suggestion.

    Args:
        rates: (N,) rising.
        losses: (N,) of each batch.
        smoothed: (N,) running average.
        suggestions: Rate by the name of the rule.
    """
    words = ", ".join(f"{name} {rate:.2g}" for name, rate in suggestions.items())
    lowest, highest = min(smoothed), max(smoothed[: max(1, len(smoothed) * 9 // 10)])
    room = (highest - lowest) or 1.0
    with canvas(WIDE, HIGH, left=58, top=50) as axes:
        axes.plot(rates, losses, color=MUTED, linewidth=0.8, alpha=0.5)
        axes.plot(rates, smoothed, color=SERIES[1], linewidth=2)
        axes.set(xscale="log", xlabel="Learning rate", ylabel="Loss", xlim=(rates[0], rates[-1]))
        axes.xaxis.set_major_locator(LogLocator(numticks=10))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.0e}" if rate < 1e-3 else f"{rate:g}"))
        axes.xaxis.set_minor_locator(LogLocator(numticks=1))
        axes.set_ylim(lowest - 0.3 * room, highest + 0.5 * room)  # an exploding end would hide the rest
        for index, (name, rate) in enumerate(suggestions.items()):
            axes.axvline(rate, color=SERIES[2 + index], linestyle=":", linewidth=1.5)
            axes.annotate(
                f"{name} {rate:.2g}", (_place(rate, rates), 1.02 + 0.055 * index), xycoords="axes fraction",
                ha="center", fontsize=10, color=SERIES[2 + index], annotation_clip=False,
            )  # fmt: skip
        return panel(axes, name="rates", alt=f"Loss over the learning rate; suggested are {words}.")


def _place(rate: float, rates: Sequence[float]) -> float:
    """Where a rate stands along the axis, kept off its ends."""
    share = math.log(rate / rates[0]) / math.log(rates[-1] / rates[0])
    return min(0.88, max(0.12, share))
