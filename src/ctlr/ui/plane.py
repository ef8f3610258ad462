"""The plane as inline SVG, with colours from the page's style sheet: regions of classes, a boundary, points, axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

__all__ = ["SIDE", "axes", "boundary", "dots", "regions"]

SIDE = 480
"""Of the drawing, in its own units; the same number stands in `points.js`."""

View = tuple[float, float, float, float]
"""Least and greatest x, then y."""


def regions(codes: NDArray[np.uint8]) -> Markup:
    """A path for each class: level runs of cells.

    Args:
        codes: (G, G) class of each cell, rows from below.
    """
    count = len(codes)
    runs: dict[int, list[str]] = {}
    for row, line in enumerate(codes[::-1]):
        ends = [0, *(np.flatnonzero(np.diff(line)) + 1).tolist(), count]
        for start, end in pairwise(ends):
            runs.setdefault(int(line[start]), []).append(f"M{start} {row}h{end - start}v1h-{end - start}z")
    paths = "".join(f'<path class="c{code}" d="{"".join(parts)}"/>' for code, parts in sorted(runs.items()))
    return Markup(f'<g transform="scale({SIDE / count:g})" shape-rendering="crispEdges">{paths}</g>')


def boundary(joint: NDArray[np.float64]) -> Markup:
    """Where the most likely class changes, dashed.

    Args:
        joint: (G, G, K) how dense the classes lie on a lattice over the view, edges included, rows from below.
    """
    from contourpy import contour_generator  # which matplotlib brings

    total, place = joint.sum(axis=-1), np.linspace(0, SIDE, len(joint))
    parts = []
    first = np.sort(np.argsort(joint, axis=-1)[..., -2:], axis=-1)[..., 0]
    for code in range(joint.shape[-1]):
        others = np.delete(joint, code, axis=-1).max(axis=-1)
        lead = (joint[..., code] - others) / np.where(total > 0, total, 1)
        shown = np.where((total > 1e-4 * total.max()) & (first == code), lead, np.nan)
        lines = contour_generator(place, SIDE - place, np.ma.masked_invalid(shown)).lines(0)
        parts += ["M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in np.asarray(line).tolist()) for line in lines]
    return Markup(f'<path class="truth" d="{"".join(parts)}"/>')


def dots(points: NDArray[np.float64], codes: NDArray[np.int64], sides: NDArray[np.int64], view: View) -> Markup:
    """A path for each class and side: discs train, squares validate, crosses test."""
    left, right, low, high = view
    x = (points[:, 0] - left) / (right - left) * SIDE
    y = (high - points[:, 1]) / (high - low) * SIDE
    drawn = []
    for code, side in sorted(set(zip(codes.tolist(), sides.tolist(), strict=True))):
        chosen = (codes == code) & (sides == side)
        mark = "m-3-3l6 6m-6 0l6-6" if side == 2 else "h0"
        path = "".join(f"M{a:.1f} {b:.1f}{mark}" for a, b in zip(x[chosen].tolist(), y[chosen].tolist(), strict=True))
        drawn.append(f'<path class="dots c{code} s{side}" d="{path}"/>')
    return Markup("".join(drawn))


def axes(view: View) -> Markup:
    """Grid lines at round numbers, and the numbers."""
    parts = []
    for axis, (low, high) in enumerate((view[:2], view[2:])):
        for value in _ticks(low, high):
            place = (value - low) / (high - low) * SIDE
            if axis == 0:
                parts.append(f'<path class="grid" d="M{place:.1f} 0V{SIDE}"/>')
                parts.append(f'<text x="{place + 3:.1f}" y="{SIDE - 4}">{value:g}</text>')
            else:
                place = SIDE - place
                parts.append(f'<path class="grid" d="M0 {place:.1f}H{SIDE}"/>')
                parts.append(f'<text x="3" y="{place - 3:.1f}">{value:g}</text>')
    return Markup("".join(parts))


def _ticks(low: float, high: float) -> Sequence[float]:
    """Four to ten round numbers between two."""
    rough = (high - low) / 5
    step = 10 ** math.floor(math.log10(rough))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= rough)
    start = math.ceil(low / step)
    return [round(number * step, 12) for number in range(start, math.floor(high / step) + 1)]
