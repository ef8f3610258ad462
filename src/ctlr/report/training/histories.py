"""Drawings of training histories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctlr.report.theme.svg import SURFACE, Panel, canvas, panel

__all__ = ["History", "history_plot"]

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
