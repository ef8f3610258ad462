"""One side's points on the regions that a classifier gives to each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from ctlr.report.numbers.truth import Densities
from ctlr.report.surfaces.rows import Surface
from ctlr.report.theme.svg import INK, MUTED, SERIES, Panel, canvas, panel

__all__ = ["colours", "surface_plot", "true_boundary"]

SIDE = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 26, 30
_FINE = 240
"""Lines along each axis on which the true boundary is looked for."""
_NOBODY = 1e-4
"""Share of the largest density below which no point is to be expected, and no boundary drawn."""

Boundary = tuple[NDArray[np.float64], NDArray[np.float64], list[NDArray[np.float64]]]
"""x (G,), y (G,), and for each class (G, G) how much denser it lies than the densest other one; NaN where no point
is to be expected, or where it is not the first in the order of the codes of the two densest classes."""


def colours(count: int) -> list[str]:
    """A colour a class."""
    return [SERIES[1 + code % (len(SERIES) - 1)] for code in range(count)]


def true_boundary(surface: Surface, densities: Densities, side: str) -> Boundary:
    """Where the most likely class changes, on a side."""
    x, y = (np.linspace(axis[0], axis[-1], _FINE) for axis in (surface.x, surface.y))
    found = densities(side, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))  # (N, K)
    total, first = found.sum(axis=1), np.sort(np.argsort(found, axis=1)[:, -2:], axis=1)[:, 0]
    lead = []
    for code in range(found.shape[1]):
        others = np.delete(found, code, axis=1).max(axis=1)
        share = (found[:, code] - others) / np.where(total > 0, total, 1)
        # A line between two classes is the first one's: drawn twice, its dashes would fill each other's gaps.
        drawn = (total > _NOBODY * total.max()) & (first == code)
        lead.append(np.where(drawn, share, np.nan).reshape(_FINE, _FINE))
    return x, y, lead


def surface_plot(
    surface: Surface, side: str, *, classes: Sequence[str], boundary: Boundary | None, error: float | None, name: str
) -> Panel:
    """Regions, points and, where it is known, the true boundary.

    Args:
        surface: Of one study.
        side: Whose points are drawn.
        classes: In the order of the codes.
        boundary: The true one.
        error: Of the study on that side, 0 to 1.
        name: Of the drawing on its page.
    """
    points, codes = surface.points[side]
    with canvas(SIDE, SIDE - 4, left=_LEFT, right=_RIGHT, top=_TOP, bottom=_BOTTOM) as axes:
        axes.set_xlim(surface.x[0], surface.x[-1])
        axes.set_ylim(surface.y[0], surface.y[-1])
        axes.grid(visible=False)
        for code, colour in enumerate(colours(len(classes))):
            own = (surface.codes == code).astype(np.float64)
            if own.any():
                axes.contourf(surface.x, surface.y, own, levels=[0.5, 1.5], colors=[colour], alpha=0.22)
            _dots(axes, points[codes == code], colour)
        if boundary is not None:
            x, y, lead = boundary
            for each in lead:
                if (each < 0).any() and (each > 0).any():
                    axes.contour(x, y, each, levels=[0], colors=[INK], linewidths=1.4, linestyles=[(0, (4, 3))])
        told = f"{side}, {100 * error:.1f} % errors" if error is not None else side
        axes.set_title(told, loc="left", fontsize=12, color=MUTED, pad=6)
        return panel(axes, name=name, alt=_in_words(surface, side, classes, told, known=boundary is not None))


def _dots(axes: Axes, points: NDArray[np.float32], colour: str) -> None:
    """As one path of lines without length and with round ends: a mark of its own for each weighs five times as much."""
    low, high = (np.array([limits[end] for limits in (axes.get_xlim(), axes.get_ylim())]) for end in (0, 1))
    inside = points[((points >= low) & (points <= high)).all(axis=1)]
    if len(inside):
        steps = np.tile(np.array([Path.MOVETO, Path.LINETO], np.uint8), len(inside))
        path = Path(np.repeat(inside, 2, axis=0), steps)
        path.should_simplify = False  # which would leave nothing of lines without length
        axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=3.4, capstyle="round", alpha=0.75))


def _in_words(surface: Surface, side: str, classes: Sequence[str], told: str, *, known: bool) -> str:
    shares = [f"{name} {100 * np.mean(surface.codes == code):.0f} %" for code, name in enumerate(classes)]
    line = " with the true boundary" if known else ""
    return f"{told}: {len(surface.points[side][0])} points on the regions of the plane{line}: {', '.join(shares)}."
