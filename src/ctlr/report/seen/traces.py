"""Signals as curves: a mean by class, and a few single ones behind it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctlr.report.images import Stock
from ctlr.report.seen.groups import Groups
from ctlr.report.theme.svg import INK, MUTED, SERIES, Panel, canvas, panel

__all__ = ["traces"]

Floats = NDArray[np.float32]

_CLASSES = 4
_AVERAGED = 100
_SINGLE = 2
_POINTS = 160
"""Along the curve; of more samples, means."""


def traces(stock: Stock, groups: Groups | None, *, name: str) -> list[Panel]:
    """One drawing a class, of the first channel.

    Args:
        stock: Of signals.
        groups: Their classes; all together where there are none.
        name: Of the drawings on their page.

    Raises:
        WorkspaceError: The file with the signals is damaged.
    """
    if groups is None:
        parts = [("All", stock.rows(_AVERAGED))]
    else:
        wanted = [stock.rows(_AVERAGED, groups.rows(code)) for code in range(len(groups.names[:_CLASSES]))]
        parts = list(zip(groups.names, wanted, strict=False))
    shown = [(label, stock.store.read(rows)[:, 0], rows) for label, rows in parts if stock.enough(rows)]
    reach = max((float(np.quantile(np.abs(values), 0.999)) for _, values, _ in shown), default=1.0) or 1.0
    return [
        _panel(label, values, reach, stock, colour=SERIES[1 + number % (len(SERIES) - 1)], name=f"{name}-{number}")
        for number, (label, values, _) in enumerate(shown)
    ]


def _panel(label: str, values: Floats, reach: float, stock: Stock, *, colour: str, name: str) -> Panel:
    samples, channels = stock.arrays.shape[-1], stock.arrays.shape[0]
    places = _shorter(np.arange(samples, dtype=np.float32))
    with canvas(300, 190, left=40, right=8, top=24, bottom=40) as axes:
        if stock.single:
            for row in np.linspace(0, len(values) - 1, min(_SINGLE, len(values))).astype(int):
                axes.plot(places, _shorter(values[row]), color=MUTED, linewidth=0.9, alpha=0.55)
        axes.plot(places, _shorter(values.mean(axis=0)), color=colour, linewidth=2)
        axes.set_ylim(-1.05 * reach, 1.05 * reach)
        axes.set_xlabel(f"Sample (channel 1 of {channels})")
        axes.set_title(f"{label}, n = {len(values)}", loc="left", fontsize=12, color=INK, pad=6)
        single = f", and {min(_SINGLE, len(values))} single ones" if stock.single else ""
        return panel(axes, name=name, alt=f"Signals of {label}: the mean of {len(values)}{single}, channel 1.")


def _shorter(values: Floats) -> Floats:
    step = max(1, len(values) // _POINTS)
    kept = values[: len(values) // step * step]
    return np.asarray(kept.reshape(-1, step).mean(axis=1))
