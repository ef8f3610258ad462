"""Drawings of one method at one size: predictions and gaps of a regression; ROC, calibration, confusion of classes."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ctlr.report.numbers.gaps import Gap
from ctlr.report.predictions.calibrated import tenths
from ctlr.report.predictions.diagnostics import Calibration, Confusion, Roc
from ctlr.report.theme.formats import number
from ctlr.report.theme.styles import short
from ctlr.report.theme.svg import INK, MUTED, SURFACE, Panel, canvas, panel

__all__ = ["calibration_plot", "confusion_plot", "gap_plot", "prediction_plot", "roc_plot"]

DENSE = 4000
"""From this many points on a scatter is embedded as an image: as vectors it would weigh a megabyte."""
SIDE = 300
_MARGINS = {"left": 46, "right": 8, "top": 8, "bottom": 44}
_DASHES = (0, (4, 3))


def prediction_plot(gap: Gap, *, colour: str, limits: tuple[float, float], label: str, name: str) -> Panel:
    """Predicted against true values with the line of perfect prediction, and the means of tenths of the predictions.

    Args:
        gap: Of one cell.
        colour: Of the method.
        limits: Of both axes.
        label: Of the target, with its unit.
        name: Of the drawing on its page.
    """
    with canvas(SIDE, SIDE, **_MARGINS) as axes:
        axes.plot(limits, limits, color=MUTED, linewidth=1.2, linestyle=_DASHES)
        _points(axes, gap.truth, gap.prediction, colour)
        if (parts := tenths(gap.truth, gap.prediction)) is not None:
            axes.plot(*parts, "o", color=INK, markersize=6.5, markeredgecolor=SURFACE, markeredgewidth=1.2)
        axes.set_xlim(*limits)
        axes.set_ylim(*limits)
        axes.set_xlabel(f"True {label}")
        axes.set_ylabel(f"Predicted {label}")
        return panel(
            axes, name=name, alt=f"Predicted against true {label}: {len(gap.truth)} test predictions, all seeds."
        )


def gap_plot(
    gap: Gap,
    *,
    corrected: bool,
    colour: str,
    limits: tuple[float, float],
    reach: float,
    label: str,
    unit: str,
    name: str,
) -> Panel:
    """The gap on the truth with its line: flat means that the model draws nobody towards the middle.

    Args:
        gap: Of one cell.
        corrected: Draw the corrected gap.
        colour: Of the method.
        limits: Of the truth.
        reach: Largest absolute gap, the same in every panel.
        label: Of the target, with its unit.
        unit: Of the gap; may be empty.
        name: Of the drawing on its page.
    """
    kind = "Corrected" if corrected else "Uncorrected"
    values, mean, slope = gap.gap, gap.mean, gap.slope
    if corrected:
        assert gap.corrected is not None
        assert gap.corrected_mean is not None
        values, mean, slope = gap.corrected, gap.corrected_mean, gap.corrected_slope
    with canvas(SIDE, SIDE, **_MARGINS) as axes:
        axes.axhline(0, color=MUTED, linewidth=1.2, linestyle=_DASHES)
        _points(axes, gap.truth, values, colour)
        if slope is not None:
            ends = np.array([gap.truth.min(), gap.truth.max()])
            axes.plot(ends, mean + slope * (ends - gap.truth.mean()), color=INK, linewidth=2)
        axes.set_xlim(*limits)
        axes.set_ylim(-reach, reach)
        axes.set_xlabel(f"True {label}")
        axes.set_ylabel(f"{kind} gap{f' ({unit})' if unit else ''}")
        text = f"slope {number(slope, 2, sign=True)}"
        axes.text(0.97, 0.95, text, transform=axes.transAxes, ha="right", va="top", color=INK, weight="bold")
        return panel(axes, name=name, alt=f"{kind} gap on true {label}: {text}, mean {number(mean, 2, sign=True)}.")


def _points(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str) -> None:
    dense = len(x) > DENSE
    # An embedded image cannot follow the page's colours: a middle grey is readable on light and dark.
    axes.plot(
        x, y, "o", color="#7f8b99" if dense else colour, markersize=4.4, alpha=0.15 if dense else 0.42,
        markeredgewidth=0, rasterized=dense,
    )  # fmt: skip


def roc_plot(curve: Roc, *, auc: float | None, colour: str, name: str) -> Panel:
    """Mean ROC curve with the range of the seeds."""
    with canvas(SIDE, SIDE, **_MARGINS) as axes:
        _unit_square(axes, "False positive rate", "True positive rate")
        axes.fill_between(curve.false_positive, curve.lowest, curve.highest, color=colour, alpha=0.18, linewidth=0)
        axes.plot(curve.false_positive, curve.true_positive, color=colour, linewidth=2.2)
        text = _corner(axes, "AUC", auc)
        return panel(axes, name=name, alt=f"ROC curve, mean of the seeds with their range: {text}.")


def calibration_plot(bins: Calibration, *, error: float | None, colour: str, name: str) -> Panel:
    """Share of right predictions by confidence; larger points hold more predictions."""
    with canvas(SIDE, SIDE, **_MARGINS) as axes:
        _unit_square(axes, "Confidence of the prediction", "Share that is right")
        for x, y, count in zip(bins.confidence, bins.accuracy, bins.count, strict=True):
            size = 4 + 9 * math.sqrt(count / bins.count.max())
            axes.plot([x], [y], "o", color=colour, markersize=size, markeredgecolor=SURFACE, markeredgewidth=1.2)
        text = _corner(axes, "ECE", error)
        return panel(axes, name=name, alt=f"Share of right predictions by confidence, all seeds: {text}.")


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=_DASHES)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _corner(axes: Axes, what: str, value: float | None) -> str:
    if value is None:
        return f"no {what}"
    text = f"{what} {number(value, 3)}"
    axes.text(0.97, 0.05, text, transform=axes.transAxes, ha="right", color=INK, weight="bold")
    return text


def confusion_plot(matrix: Confusion, *, colour: str, name: str) -> Panel:
    """Percent of each true class by predicted class, darker is more; numbers stand in up to ten classes."""
    k, shares = len(matrix.classes), matrix.shares
    labels = [short(label, 8) for label in matrix.classes]
    tilted = max(map(len, labels)) * k > 34
    with canvas(SIDE, SIDE, left=68, right=8, top=8, bottom=76 if tilted else 44) as axes:
        for row, column in np.ndindex(k, k):
            share = float(shares[row, column])
            box = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, alpha=0.07 + 0.6 * share, linewidth=0)
            axes.add_patch(box)
            if k <= 10:
                size = 12 if k <= 6 else 9
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=INK, fontsize=size)
        if tilted:
            axes.set_xticks(range(k), labels, rotation=50, ha="right", rotation_mode="anchor")
        else:
            axes.set_xticks(range(k), labels)
        axes.set_yticks(range(k), labels)
        axes.set_xlim(-0.5, k - 0.5)
        axes.set_ylim(k - 0.5, -0.5)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel("Predicted, % of the true class")
        axes.set_ylabel("True class")
        right = ", ".join(f"{label} {100 * shares[i, i]:.0f} %" for i, label in enumerate(matrix.classes))
        return panel(axes, name=name, alt=f"Confusion matrix, all seeds; share that is right: {right}.")
