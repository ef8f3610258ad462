"""Densities of points in the plane: each draws points, and says how dense they lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ctlr.data.kinds.points.regions import Floats, Region

__all__ = ["Blurred", "Density", "Gaussian", "Ring"]

_REACH = 8.0
"""Standard deviations of its blur to which a blurred region is looked at."""
_FINE = 6
"""Lattice points a standard deviation, between which a blurred region's density is interpolated."""


class Density(Protocol):
    """A density p of points in the plane.

    Contract: the point that `place` makes of a row of numbers depends on that row alone.
    """

    def place(self, uniform: Floats, normal: Floats) -> Floats:
        """(N, 2) points from (N, 3) numbers uniform in 0 to 1 and (N, 2) standard normal ones."""
        ...

    def at(self, points: Floats) -> Floats:
        """(N,) density at (N, 2) points."""
        ...

    def on_lattice(self, x: Floats, y: Floats) -> Floats:
        """(Y, X) density where lines cross."""
        ...


class _Pointwise:
    def at(self, points: Floats) -> Floats:
        raise NotImplementedError

    def on_lattice(self, x: Floats, y: Floats) -> Floats:
        return self.at(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)).reshape(len(y), len(x))


@dataclass(frozen=True)
class Gaussian(_Pointwise):
    """Equally wide in all directions."""

    x: float
    y: float
    deviation: float

    def place(self, uniform: Floats, normal: Floats) -> Floats:
        """The noise, moved and scaled."""
        return np.array([self.x, self.y]) + self.deviation * normal

    def at(self, points: Floats) -> Floats:
        """Of the squared distance alone."""
        variance = self.deviation**2
        squares = ((points - [self.x, self.y]) ** 2).sum(axis=1)
        return np.asarray(np.exp(-squares / (2 * variance)) / (2 * np.pi * variance))


@dataclass(frozen=True)
class Ring(_Pointwise):
    """A circle about the origin whose every point is blurred by a Gaussian: the distance is Rice's."""

    radius: float
    deviation: float

    def place(self, uniform: Floats, normal: Floats) -> Floats:
        """Anywhere on the circle, and the noise."""
        angle = 2 * np.pi * uniform[:, 0]
        return self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1) + self.deviation * normal

    def at(self, points: Floats) -> Floats:
        """Rice's density of the distance, spread over all directions."""
        from scipy.special import i0e

        variance, distance = self.deviation**2, np.hypot(*points.T)
        height = i0e(distance * self.radius / variance) / (2 * np.pi * variance)
        return np.asarray(height * np.exp(-((distance - self.radius) ** 2) / (2 * variance)))


@dataclass(frozen=True, eq=False)
class Blurred:
    """Uniform in a region, then moved by white noise."""

    region: Region
    deviation: float

    def place(self, uniform: Floats, normal: Floats) -> Floats:
        """In the region, and the noise."""
        return self.region.place(uniform) + self.deviation * normal

    def at(self, points: Floats) -> Floats:
        """By cubic splines in the density's logarithm; beyond the lattice that of its edge."""
        from scipy.ndimage import map_coordinates

        (x, y), coefficients = self._splines
        places = [(points[:, 1] - y[0]) / (y[1] - y[0]), (points[:, 0] - x[0]) / (x[1] - x[0])]
        return np.asarray(np.exp(map_coordinates(coefficients, places, order=3, mode="nearest", prefilter=False)))

    def on_lattice(self, x: Floats, y: Floats) -> Floats:
        """Along each scan line of the region the integral is known; across them Gauss's rule takes it."""
        from scipy.special import ndtr

        height, left, right, weight = self.region.scan_lines(self.deviation / 4)
        s = self.deviation
        # From the side where both are small, so that their difference keeps its digits.
        sign = np.where((left + right)[:, None] > 2 * x, -1.0, 1.0)
        along = sign * (ndtr(sign * (right[:, None] - x) / s) - ndtr(sign * (left[:, None] - x) / s))
        across = np.exp(-(((y[:, None] - height) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))
        return np.asarray((across * weight) @ along / self.region.area)

    @cached_property
    def _splines(self) -> tuple[tuple[Floats, Floats], Floats]:
        from scipy.ndimage import spline_filter

        height, left, right, _ = self.region.scan_lines(self.deviation)
        axes = [
            np.arange(low - _REACH * self.deviation, high + _REACH * self.deviation, self.deviation / _FINE)
            for low, high in ((left.min(), right.max()), (height.min(), height.max()))
        ]
        logarithm = np.log(np.maximum(self.on_lattice(*axes), np.finfo(float).tiny))
        return (axes[0], axes[1]), spline_filter(logarithm, order=3, mode="nearest")
