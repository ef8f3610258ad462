"""Generated points whose classes have known densities, so that the least possible error is known too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctlr.data.kinds.points.densities import Blurred, Density, Gaussian, Ring
from ctlr.data.kinds.points.drawings import cat, pinwheel, yin_yang
from ctlr.data.kinds.points.regions import Floats
from ctlr.specs import GENERATORS, GeneratedPointsSpec

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
"""Of the quadrature along each axis, at least."""
_FINE = 7
"""Lines within the narrowest deviation, at least."""
_WIDE = 6.8
"""Standard deviations beyond which a part has less than 1e-10 of its mass."""
_USUAL: Mapping[str, float] = MappingProxyType({})
"""Parameters that leave a generator as it is."""


@dataclass(frozen=True)
class Mixture:
    """Densities with their weights.

    Attributes:
        densities: Of the parts.
        weights: (P,) probability of each part.
        codes: (P,) class of each part.
        reach: Nearly all of it lies within so much of the origin along both axes: but for 1e-9.
        lines: Along each axis, on which it is integrated.
    """

    densities: tuple[Density, ...]
    weights: Floats
    codes: NDArray[np.int64]
    reach: float
    lines: int = _LINES

    def by_class(self, densities: Floats) -> Floats:
        """(P, …) densities of the parts -> (K, …) of the classes, weighted."""
        out = np.zeros((int(self.codes.max()) + 1, *densities.shape[1:]))
        for code, weight, density in zip(self.codes, self.weights, densities, strict=True):
            out[code] += weight * density
        return out


def draw(
    generator: str, side: Side, count: int, seed: int, parameters: Mapping[str, float] = _USUAL
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw points, each a function of seed, side and its number alone: fewer are the first of more.

    Args:
        generator: By name, of `ctlr.specs.GENERATORS`.
        side: Whose points.
        count: How many.
        seed: Another one, other points.
        parameters: Of the generator; what is not named is as usual. Likewise below.

    Returns:
        (count, 2) points and (count,) classes.
    """
    mixture = mixture_of(generator, side, parameters)
    # A stream for each kind of number: one for all would give other numbers with another count.
    parts, uniform, normal = (np.random.default_rng([_STREAM + stream, SIDES.index(side), seed]) for stream in range(3))
    part = np.searchsorted(np.cumsum(mixture.weights)[:-1], parts.random(count), side="right")
    numbers, noise = uniform.random((count, 3)), normal.standard_normal((count, 2))
    points = np.empty((count, 2), np.float32)
    for number, density in enumerate(mixture.densities):
        rows = np.flatnonzero(part == number)
        points[rows] = density.place(numbers[rows], noise[rows])
    return points, mixture.codes[part]


def posterior(
    generator: str, side: Side, points: NDArray[np.floating], parameters: Mapping[str, float] = _USUAL
) -> Floats:
    """(N, K) true probability of each class at (N, 2) points."""
    joint = _joint(mixture_of(generator, side, parameters), points)
    total = joint.sum(axis=0)
    return np.asarray((joint / np.where(total > 0, total, 1)).T)


def _joint(mixture: Mixture, points: NDArray[np.floating]) -> Floats:
    """(K, N) weighted densities of the classes."""
    places = np.asarray(points, np.float64)
    return mixture.by_class(np.stack([density.at(places) for density in mixture.densities]))


def bayes_error(generator: str, side: Side, parameters: Mapping[str, float] = _USUAL) -> float:
    """The least error that any classifier can have: one minus the integral of the largest weighted class density.

    By the trapezoid rule over 600 x 600 lines or more, right to 1e-5.
    """
    return _bayes_error(generator, side, tuple(sorted(parameters.items())))


@cache
def _bayes_error(generator: str, side: Side, parameters: tuple[tuple[str, float], ...]) -> float:
    mixture = _mixture(generator, side, parameters)
    lines = np.linspace(-mixture.reach, mixture.reach, mixture.lines)
    joint = mixture.by_class(np.stack([density.on_lattice(lines, lines) for density in mixture.densities]))
    missed = joint.sum(axis=0) - joint.max(axis=0)
    return float(np.trapezoid(np.trapezoid(missed, lines), lines))


def least_error(data: GeneratedPointsSpec, side: Literal["train", "validation", "test"]) -> float:
    """The Bayes error of a dataset's side."""
    return bayes_error(data.generator, "val" if side == "validation" else side, data.parameters)


def class_densities(
    data: GeneratedPointsSpec, side: Literal["train", "validation", "test"], points: NDArray[np.floating]
) -> Floats:
    """(N, K) how dense points of each class lie at (N, 2) points of a dataset's side."""
    mixture = mixture_of(data.generator, "val" if side == "validation" else side, data.parameters)
    return _joint(mixture, points).T


def mixture_of(generator: str, side: Side, parameters: Mapping[str, float] = _USUAL) -> Mixture:
    """The densities of a generator; only `gaussians` has others on the sides that validate and test."""
    return _mixture(generator, side, tuple(sorted(parameters.items())))


@cache
def _mixture(generator: str, side: Side, parameters: tuple[tuple[str, float], ...]) -> Mixture:
    usual = {name: rule.default for name, rule in GENERATORS[generator].parameters.items()}
    shape = {**usual, **dict(parameters)}
    noise = shape["noise"]
    if generator == "gaussians":
        return _gaussians(side, noise, int(shape["count"]), int(shape["classes"]), int(shape["tested"]))
    parts: tuple[Density, ...]
    narrowest, reach = noise, 1 + _WIDE * noise
    if generator == "toroid":
        core, radius = shape["core"], shape["radius"]
        parts = (Gaussian(0, 0, core), Ring(radius, noise))
        narrowest, reach = min(noise, core), max(radius + _WIDE * noise, _WIDE * core)
    elif generator == "yin_yang":
        parts = tuple(Blurred(region, noise) for region in yin_yang(shape["eye"]))
    elif generator == "pinwheel":
        parts = tuple(Blurred(region, noise) for region in pinwheel(int(shape["classes"]), shape["turn"]))
    else:
        assert generator == "blurred_cat"
        parts, reach = tuple(Blurred(region, noise) for region in cat()), 1.1 + _WIDE * noise
    return _alike(parts, np.full(len(parts), 1 / len(parts)), np.arange(len(parts)), narrowest, max(reach, 2.4))


def _gaussians(side: Side, noise: float, count: int, classes: int, tested: int) -> Mixture:
    """In a row, of the classes in turn, to train on; some of them, from the second on, to validate and test on."""
    centres = (np.arange(count) - (count - 1) / 2) * 0.5**0.5  # 1 apart, along the diagonal: no axis tells them apart
    parts = tuple(Gaussian(float(centre), float(centre), noise) for centre in centres)
    shown = np.ones(count)
    if side != "train" and tested < count:
        shown = ((np.arange(count) >= 1) & (np.arange(count) < 1 + tested)).astype(float)
    reach = max(centres[-1] + _WIDE * noise, 3.0)
    return _alike(parts, shown / shown.sum(), np.arange(count) % classes, noise, reach)


def _alike(
    parts: tuple[Density, ...], weights: Floats, codes: NDArray[np.int64], narrowest: float, reach: float
) -> Mixture:
    """With as many lines as the narrowest part needs."""
    lines = max(_LINES, math.ceil(2 * reach * _FINE / narrowest))
    return Mixture(parts, weights, codes, reach=float(reach), lines=lines)
