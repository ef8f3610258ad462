"""Generated points whose classes have known densities, so that the least possible error is known too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctlr.data.kinds.points.densities import Blurred, Density, Gaussian, Ring
from ctlr.data.kinds.points.drawings import cat, pinwheel, yin_yang
from ctlr.data.kinds.points.regions import Floats
from ctlr.specs import GeneratedPointsSpec

__all__ = [
    "SIDES",
    "Mixture",
    "Side",
    "bayes_error",
    "class_densities",
    "draw",
    "least_error",
    "mixture_of",
    "posterior",
]

Side = Literal["train", "val", "test"]
SIDES: tuple[Side, ...] = ("train", "val", "test")

_STREAM = 1_000_003
"""Of points: whoever else draws with the same seed has other numbers."""
_LINES = 600
"""Of the quadrature along each axis: a seventh of the narrowest deviation apart, at most."""


@dataclass(frozen=True)
class Mixture:
    """Densities with their weights.

    Attributes:
        densities: Of the parts.
        weights: (P,) probability of each part.
        codes: (P,) class of each part.
        reach: Nearly all of it lies within so much of the origin along both axes: but for 1e-9.
    """

    densities: tuple[Density, ...]
    weights: Floats
    codes: NDArray[np.int64]
    reach: float

    def by_class(self, densities: Floats) -> Floats:
        """(P, …) densities of the parts -> (K, …) of the classes, weighted."""
        out = np.zeros((int(self.codes.max()) + 1, *densities.shape[1:]))
        for code, weight, density in zip(self.codes, self.weights, densities, strict=True):
            out[code] += weight * density
        return out


def draw(generator: str, side: Side, count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw points, each a function of seed, side and its number alone: fewer are the first of more.

    Returns:
        (count, 2) points and (count,) classes.
    """
    mixture = mixture_of(generator, side)
    # A stream for each kind of number: one for all would give other numbers with another count.
    parts, uniform, normal = (np.random.default_rng([_STREAM + stream, SIDES.index(side), seed]) for stream in range(3))
    part = np.searchsorted(np.cumsum(mixture.weights)[:-1], parts.random(count), side="right")
    numbers, noise = uniform.random((count, 3)), normal.standard_normal((count, 2))
    points = np.empty((count, 2), np.float32)
    for number, density in enumerate(mixture.densities):
        rows = np.flatnonzero(part == number)
        points[rows] = density.place(numbers[rows], noise[rows])
    return points, mixture.codes[part]


def posterior(generator: str, side: Side, points: NDArray[np.floating]) -> Floats:
    """(N, K) true probability of each class at (N, 2) points."""
    joint = _joint(generator, side, points)
    total = joint.sum(axis=0)
    return np.asarray((joint / np.where(total > 0, total, 1)).T)


def _joint(generator: str, side: Side, points: NDArray[np.floating]) -> Floats:
    """(K, N) weighted densities of the classes."""
    mixture, places = mixture_of(generator, side), np.asarray(points, np.float64)
    return mixture.by_class(np.stack([density.at(places) for density in mixture.densities]))


@cache
def bayes_error(generator: str, side: Side) -> float:
    """The least error that any classifier can have: one minus the integral of the largest weighted class density.

    By the trapezoid rule over 600 x 600 lines, right to 1e-5.
    """
    mixture = mixture_of(generator, side)
    lines = np.linspace(-mixture.reach, mixture.reach, _LINES)
    joint = mixture.by_class(np.stack([density.on_lattice(lines, lines) for density in mixture.densities]))
    missed = joint.sum(axis=0) - joint.max(axis=0)
    return float(np.trapezoid(np.trapezoid(missed, lines), lines))


def least_error(data: GeneratedPointsSpec, side: Literal["train", "validation", "test"]) -> float:
    """The Bayes error of a dataset's side."""
    return bayes_error(data.generator, "val" if side == "validation" else side)


def class_densities(
    data: GeneratedPointsSpec, side: Literal["train", "validation", "test"], points: NDArray[np.floating]
) -> Floats:
    """(N, K) how dense points of each class lie at (N, 2) points of a dataset's side."""
    return _joint(data.generator, "val" if side == "validation" else side, points).T


@cache
def mixture_of(generator: str, side: Side) -> Mixture:
    """The densities of a generator; only `gaussians` has others on the sides that validate and test."""
    if generator == "gaussians":
        return _gaussians(side)
    parts: tuple[Density, ...]
    if generator == "toroid":
        parts = (Gaussian(0, 0, 0.35), Ring(1, 0.2))
    elif generator == "yin_yang":
        parts = tuple(Blurred(region, 0.06) for region in yin_yang())
    elif generator == "pinwheel":
        parts = tuple(Blurred(region, 0.06) for region in pinwheel())
    else:
        assert generator == "blurred_cat"
        parts = tuple(Blurred(region, 0.12) for region in cat())
    return Mixture(parts, np.full(len(parts), 1 / len(parts)), np.arange(len(parts)), reach=2.4)


def _gaussians(side: Side) -> Mixture:
    """Five in a row, of the two classes in turn, to train on; the second and the third to validate and test on."""
    centres = np.arange(-2, 3) * 0.5**0.5  # 1 apart, along the diagonal: no axis alone tells them apart
    parts = tuple(Gaussian(float(centre), float(centre), 0.22) for centre in centres)
    weights = np.full(5, 1 / 5) if side == "train" else np.array([0, 0.5, 0.5, 0, 0])
    return Mixture(parts, weights, np.arange(5) % 2, reach=3.0)
