"""What a further trial at a place promises, by the posterior there, and the search for the best place.

Objectives are minimised and standardised. A score is large where a trial promises much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

from ctlr.tuning.samplers.gaussian_process import GaussianProcess
from ctlr.tuning.samplers.space import Space

__all__ = ["ACQUISITIONS", "Acquisition", "Lattice", "best_places"]

Array = NDArray[np.float64]
Acquisition = Callable[[Array, Array, float], tuple[Array, Array, Array]]
"""(mean (M,), deviation (M,), best value) -> score (M,) and its derivatives by mean and by deviation."""

_XI = 0.01
"""How much better than the best counts as an improvement for PI, in deviations of the objective, as in skopt."""
_KAPPA = 1.96
"""Deviations below the mean at which LCB looks, as in skopt."""
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> tuple[Array, Array, Array]:
    """Log EI, which has slopes where EI itself is flat zero (Ament et al. 2023, eq. 9)."""
    z = (best - mean) / deviation
    log_h = _log_h(z)
    log_density = -0.5 * z**2 - _HALF_LOG_TWO_PI
    return (
        np.log(deviation) + log_h,
        -np.exp(log_ndtr(z) - log_h) / deviation,
        np.exp(log_density - log_h) / deviation,
    )


def log_probability_of_improvement(mean: Array, deviation: Array, best: float) -> tuple[Array, Array, Array]:
    """Log of the chance to be better than the best (Kushner 1964)."""
    z = (best - _XI - mean) / deviation
    log_share = log_ndtr(z)
    hazard = np.exp(-0.5 * z**2 - _HALF_LOG_TWO_PI - log_share)
    return log_share, -hazard / deviation, -hazard * z / deviation


def lower_confidence_bound(mean: Array, deviation: Array, best: float) -> tuple[Array, Array, Array]:
    """How low the objective may well be (Srinivas et al. 2010)."""
    return _KAPPA * deviation - mean, np.full_like(mean, -1.0), np.full_like(mean, _KAPPA)


ACQUISITIONS: Mapping[str, Acquisition] = {
    "EI": log_expected_improvement,
    "LCB": lower_confidence_bound,
    "PI": log_probability_of_improvement,
}


def _log_h(z: Array) -> Array:
    """log(phi(z) + z Phi(z)), to full precision in the left tail."""
    high = np.maximum(z, -1.0)
    near = np.log(np.exp(-0.5 * high**2 - _HALF_LOG_TWO_PI) + high * np.exp(log_ndtr(high)))
    low = np.clip(z, -1e6, -1.0)
    mills = math.sqrt(math.pi / 2) * erfcx(-low / math.sqrt(2)) * -low
    # 1 - mills cancels below -1e3, where it tends to z^-2.
    tail = np.where(low > -1e3, np.log(np.maximum(1 - mills, 1e-300)), -2 * np.log(-low))
    return np.asarray(np.where(z > -1.0, near, tail - 0.5 * z**2 - _HALF_LOG_TWO_PI))


class Lattice:
    """Which rows of the unit cube stand for values: all along continuous columns, cells' middles along the others."""

    _LISTED = 1000
    """Values of uneven shares that are listed at most; along longer columns rows are as good as continuous."""

    def __init__(self, space: Space) -> None:
        self._dimensions = space.dimensions
        self.categories = np.array([not d.ordered for d in space.dimensions])
        self.free = np.array([d.size is None or (not d.even and d.size > self._LISTED) for d in space.dimensions])
        """(D,) columns along which an optimiser may glide."""
        self._middles = {
            i: np.array([d.unit(k) for k in range(d.size)])
            for i, d in enumerate(space.dimensions)
            if d.size is not None and not d.even and d.size <= self._LISTED
        }

    def snap(self, rows: Array) -> Array:
        """(M, D) nearest rows that stand for values."""
        rows = np.clip(rows, 0.0, 1.0)
        for i, dimension in enumerate(self._dimensions):
            if i in self._middles:
                middles = self._middles[i]
                rows[:, i] = middles[np.searchsorted((middles[1:] + middles[:-1]) / 2, rows[:, i])]
            elif dimension.even and dimension.size is not None:
                rows[:, i] = (
                    np.minimum(np.floor(rows[:, i] * dimension.size), dimension.size - 1) + 0.5
                ) / dimension.size
        return rows

    def neighbours(self, row: Array) -> Array:
        """(M, D) rows that differ in one counted column: every category, the next values on either side."""
        found = [row]
        for i in np.flatnonzero(~self.free):
            size = self._dimensions[i].size
            assert size is not None
            here = int(self._dimensions[i].at(float(row[i])))
            near = range(size) if self.categories[i] else (here + step for step in (-3, -2, -1, 1, 2, 3))
            for other in near:
                if 0 <= other < size and other != here:
                    moved = row.copy()
                    moved[i] = self._dimensions[i].unit(other)
                    found.append(moved)
        return np.array(found)


def best_places(
    process: GaussianProcess,
    acquisition: Acquisition,
    best: float,
    candidates: Array,
    lattice: Lattice,
    *,
    polished: int,
) -> Array:
    """(M, D) places that promise most, the best one first.

    Candidates are scored; the `polished` best are moved uphill, by L-BFGS-B along free columns and from neighbour to
    neighbour along the others, in turns.
    """
    scores = acquisition(*process.predict(candidates), best)[0]
    order = np.argsort(-scores, kind="stable")
    climbed = [_climbed(process, acquisition, best, candidates[i], lattice) for i in order[:polished]]
    places = np.array([place for place, _ in climbed] + list(candidates[order]))
    scores = np.concatenate([[score for _, score in climbed], scores[order]])
    return np.asarray(places[np.argsort(-scores, kind="stable")])


def _climbed(
    process: GaussianProcess, acquisition: Acquisition, best: float, place: Array, lattice: Lattice
) -> tuple[Array, float]:
    score = -math.inf
    for _ in range(3):
        place = _glided(process, acquisition, best, place, lattice.free)
        around = lattice.neighbours(place)
        scores = acquisition(*process.predict(around), best)[0]
        top = int(np.argmax(scores))
        stays = top == 0 or scores[top] <= score
        place, score = (place, float(scores[0])) if stays else (around[top], float(scores[top]))
        if stays:
            break
    return place, score


def _glided(
    process: GaussianProcess, acquisition: Acquisition, best: float, place: Array, free: NDArray[np.bool_]
) -> Array:
    if not free.any():
        return place

    def falling(moved: Array) -> tuple[float, Array]:
        here = place.copy()
        here[free] = moved
        mean, deviation, by_mean, by_deviation = process.gradients(here)
        score, d_mean, d_deviation = acquisition(np.array([mean]), np.array([deviation]), best)
        slope = d_mean[0] * by_mean + d_deviation[0] * by_deviation
        return -float(score[0]), -slope[free]

    found: Any = minimize(
        falling,
        place[free],
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * int(free.sum()),
        options={"maxiter": 30},
    )
    glided = place.copy()
    glided[free] = found.x
    return glided
