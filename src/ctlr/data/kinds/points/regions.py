"""Regions of the plane with straight edges: their scan lines, and points drawn uniformly from them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Region"]

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(2)


class Region:
    """What lies inside an odd number of closed outlines, cut into trapezoids with level sides.

    Args:
        outlines: (V, 2) corners each, in order around; no two edges cross. Curves come as many short edges.
    """

    def __init__(self, outlines: Sequence[Floats]) -> None:
        edges = np.concatenate([np.hstack([outline, np.roll(outline, -1, axis=0)]) for outline in outlines])
        edges = edges[edges[:, 1] != edges[:, 3]]
        falling = edges[:, 1] > edges[:, 3]
        edges[falling] = edges[falling][:, [2, 3, 0, 1]]
        levels = np.unique(edges[:, [1, 3]])
        found = [self._between(edges, *pair) for pair in pairwise(levels)]
        self._low, self._high, self._corners = (np.concatenate(part) for part in zip(*found, strict=True))

    @staticmethod
    def _between(edges: Floats, low: float, high: float) -> tuple[Floats, Floats, Floats]:
        """Trapezoids of a slab that no corner lies in: low, high, and their x at (left low, left high, right …)."""
        x0, y0, x1, y1 = edges[(edges[:, 1] <= low) & (edges[:, 3] >= high)].T
        slope = (x1 - x0) / (y1 - y0)
        ends = np.stack([x0 + slope * (low - y0), x0 + slope * (high - y0)], axis=1)
        ends = ends[np.argsort(ends.sum(axis=1))]
        corners = np.hstack([ends[::2], ends[1::2]])
        return np.full(len(corners), low), np.full(len(corners), high), corners

    @cached_property
    def _areas(self) -> Floats:
        left_low, left_high, right_low, right_high = self._corners.T
        return np.asarray((self._high - self._low) * (right_low - left_low + right_high - left_high) / 2)

    @property
    def area(self) -> float:
        """Of the whole region."""
        return float(self._areas.sum())

    def place(self, uniform: Floats) -> Floats:
        """(N, 2) points, uniform in the region, from (N, 3) numbers uniform in 0 to 1."""
        bounds = np.cumsum(self._areas) / self._areas.sum()
        index = np.minimum(np.searchsorted(bounds, uniform[:, 0], side="right"), len(bounds) - 1)
        left_low, left_high, right_low, right_high = self._corners[index].T
        low, high = right_low - left_low, right_high - left_high  # widths
        # The share of the area below a height t is t (2 low + (high - low) t) / (low + high), solved for t.
        root = low + np.sqrt(low**2 + uniform[:, 1] * (high**2 - low**2))
        t = np.divide(uniform[:, 1] * (low + high), root, out=np.zeros_like(root), where=root > 0)
        x = left_low + t * (left_high - left_low) + uniform[:, 2] * (low + t * (high - low))
        return np.stack([x, self._low[index] + t * (self._high - self._low)[index]], axis=1)

    def scan_lines(self, step: float) -> tuple[Floats, Floats, Floats, Floats]:
        """Level lines through the region, by Gauss's rule in strips of at most `step`.

        Returns:
            (L,) height, left end, right end and weight of each: a function's integral over the region is the sum of
            its integrals along the lines, times their weights.
        """
        strips = np.ceil((self._high - self._low) / step).astype(np.int64)
        owner = np.repeat(np.arange(len(strips)), strips)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(strips) - strips, strips)
        t = ((number[:, None] + (_NODES + 1) / 2) / strips[owner, None]).reshape(-1)
        weight = ((self._high - self._low) / strips)[owner, None] * _WEIGHTS / 2
        owner = np.repeat(owner, len(_NODES))
        left_low, left_high, right_low, right_high = self._corners[owner].T
        return (
            self._low[owner] + t * (self._high - self._low)[owner],
            left_low + t * (left_high - left_low),
            right_low + t * (right_high - right_low),
            weight.reshape(-1),
        )
