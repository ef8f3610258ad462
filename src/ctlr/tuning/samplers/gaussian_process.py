"""Gaussian process regression for search: Matern 5/2 with a length for each parameter, and noise.

Rows are places in the unit cube, (N, D). Columns of categories are told apart only, not measured. Everything is float64
NumPy; a fit draws no random numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

__all__ = ["GaussianProcess", "Kernel", "fit"]

Array = NDArray[np.float64]

_JITTER = 1e-10
_FITTED = 200
"""Rows from which the kernel is learned at most: cubic cost is paid at each step of its search."""
_CONDITIONED = 1000
"""Rows that are conditioned on at most: cubic cost is paid once, and quadratic cost at each look."""
_STEPS = 40
_LENGTHS = (1e-2, 1e2)
_NOISES = (1e-8, 1.0)
_SCALES = (1e-2, 1e2)


@dataclass(frozen=True, eq=False)
class Kernel:
    """k(x, x') = scale * Matern52(r), r^2 = sum of squared differences over squared lengths; plus noise on itself."""

    lengths: Array
    """(D,)"""
    scale: float
    noise: float
    """Variance of the noise, in units of the standardised objective."""
    categories: NDArray[np.bool_]
    """(D,) columns whose difference is 0 or 1."""

    def __call__(self, one: Array, other: Array) -> Array:
        """(N, M) covariances between rows of (N, D) and (M, D)."""
        return self.scale * _matern(_squared(one, other, self.lengths, self.categories))[0]


class GaussianProcess:
    """The posterior given rows and their standardised values."""

    def __init__(self, kernel: Kernel, rows: Array, values: Array) -> None:
        self.kernel, self.rows, self.values = kernel, rows, values
        covariance = kernel(rows, rows)
        covariance[np.diag_indices_from(covariance)] += kernel.noise
        self._factor = _factor(covariance)
        self._weights = cho_solve((self._factor, True), values, check_finite=False)

    def predict(self, places: Array) -> tuple[Array, Array]:
        """(M,) mean and standard deviation, without noise, at (M, D)."""
        cross = self.kernel(places, self.rows)
        half = solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        variance = self.kernel.scale - np.einsum("ij,ij->j", half, half)
        return cross @ self._weights, np.sqrt(np.maximum(variance, 1e-12))

    def gradients(self, place: Array) -> tuple[float, float, Array, Array]:
        """Mean and deviation at one place (D,), and their gradients (D,); those along categories are zero."""
        kernel = self.kernel
        difference = place - self.rows
        difference[:, kernel.categories] = 0.0
        squared = _squared(place[None], self.rows, kernel.lengths, kernel.categories)[0]
        correlation, falling = _matern(squared)
        cross = kernel.scale * correlation
        # d k / d x = scale * f'(r^2) * 2 (x - x') / length^2
        slopes = (2 * kernel.scale * falling)[:, None] * difference / kernel.lengths**2
        solved = cho_solve((self._factor, True), cross, check_finite=False)
        deviation = math.sqrt(max(kernel.scale - float(cross @ solved), 1e-12))
        return float(cross @ self._weights), deviation, slopes.T @ self._weights, -(slopes.T @ solved) / deviation

    def draw(self, places: Array, rng: np.random.Generator) -> Array:
        """(M,) one function drawn from the posterior, at (M, D)."""
        cross = self.kernel(places, self.rows)
        half = solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        covariance = self.kernel(places, places) - half.T @ half
        return np.asarray(cross @ self._weights + _factor(covariance) @ rng.standard_normal(len(places)))

    def believing(self, places: Array) -> GaussianProcess:
        """The process after its own mean was observed at (M, D) (Ginsbourger et al. 2010, kriging believer)."""
        if not len(places):
            return self
        mean, _ = self.predict(places)
        return GaussianProcess(self.kernel, np.concatenate([self.rows, places]), np.concatenate([self.values, mean]))


def fit(rows: Array, values: Array, categories: NDArray[np.bool_]) -> GaussianProcess:
    """Learn the kernel by its largest posterior density, and condition on the rows.

    Of very many rows the best and the latest are taken.

    Priors: log-normal lengths that grow with the root of D (Hvarfner et al. 2024), log-normal noise and scale.

    Args:
        rows: (N, D), N >= 1.
        values: (N,) with mean 0 and deviation 1.
        categories: (D,) columns that are categories.
    """
    chosen, kept = _informative(values, _FITTED), _informative(values, _CONDITIONED)
    loss = _Loss(rows[chosen], values[chosen], categories)
    best = min((loss.minimised(start) for start in loss.starts()), key=lambda found: found[0])[1]
    return GaussianProcess(loss.kernel(best), rows[kept], values[kept])


def _informative(values: Array, most: int) -> NDArray[np.intp]:
    """Half of what may be taken by their values, and the latest of the rest."""
    n = len(values)
    if n <= most:
        return np.arange(n)
    good = np.argsort(values, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(n), good)[-(most - len(good)) :]
    return np.sort(np.concatenate([good, rest]))


class _Loss:
    """Negative log posterior of log(lengths), log(scale), log(noise), with its gradient."""

    def __init__(self, rows: Array, values: Array, categories: NDArray[np.bool_]) -> None:
        self._values, self._categories = values, categories
        self._dimensions = rows.shape[1]
        self._pairs = np.tril_indices(len(values), -1)  # each pair of rows once
        difference = (rows[self._pairs[0]] - rows[self._pairs[1]]).T
        difference[categories] = difference[categories] != 0
        self._squares = difference**2
        # Medians: lengths of a third to half the range in few dimensions, a scale of 1 and some noise, of which little
        # is said beforehand: functions have none, and trainings that are repeated differ by half of the deviation.
        self._mean = np.array(
            [math.log(0.24) + 0.5 * math.log(self._dimensions)] * self._dimensions + [0.0, math.log(1e-3)]
        )
        self._deviation = np.array([0.9] * self._dimensions + [1.0, 3.0])
        self._bounds = np.log([_LENGTHS] * self._dimensions + [_SCALES, _NOISES])

    def starts(self) -> list[Array]:
        """Two readings of the same values: noisy ones of a smooth function, and true ones of a rough one.

        Each is a hill of the posterior, and from one no gradient leads to the other.
        """
        smooth, rough = self._mean.copy(), self._mean.copy()
        rough[: self._dimensions] -= 1.0
        smooth[-1], rough[-1] = math.log(0.1), math.log(1e-3)
        return [smooth, rough]

    def minimised(self, start: Array) -> tuple[float, Array]:
        found = minimize(
            self, start, jac=True, method="L-BFGS-B", bounds=self._bounds, options={"maxiter": _STEPS, "ftol": 1e-6}
        )
        return float(found.fun), np.asarray(found.x)

    def kernel(self, logs: Array) -> Kernel:
        lengths = np.exp(logs[: self._dimensions])
        return Kernel(lengths, math.exp(logs[-2]), math.exp(logs[-1]), self._categories)

    def __call__(self, logs: Array) -> tuple[float, Array]:
        n, kernel = len(self._values), self.kernel(logs)
        correlation, slopes = _matern(kernel.lengths**-2 @ self._squares)
        covariance = np.zeros((n, n))
        covariance[self._pairs] = kernel.scale * correlation
        np.fill_diagonal(covariance, kernel.scale + kernel.noise + _JITTER)
        factor, failed = dpotrf(covariance, lower=1, overwrite_a=1)
        if failed:
            return 1e25, np.zeros_like(logs)
        weights = cho_solve((factor, True), self._values, check_finite=False)
        inverse, _ = dpotri(factor, lower=1)
        # d loss / d K: twice that of an entry of the diagonal, all of that of a pair, which stands there twice
        diagonal = np.diag(inverse) - weights**2
        outer = kernel.scale * (inverse[self._pairs] - weights[self._pairs[0]] * weights[self._pairs[1]])
        gradient = np.concatenate([
            -2 * (self._squares @ (outer * slopes)) / kernel.lengths**2,
            [outer @ correlation + 0.5 * kernel.scale * diagonal.sum(), 0.5 * kernel.noise * diagonal.sum()],
        ])  # fmt: skip
        away = (logs - self._mean) / self._deviation
        fitted = 0.5 * float(self._values @ weights) + float(np.log(np.diag(factor)).sum())
        return fitted + 0.5 * float(away @ away), gradient + away / self._deviation


def _factor(covariance: Array) -> Array:
    """The Cholesky factor, after as little has been added to the diagonal as makes it positive definite."""
    scale = float(covariance.diagonal().max())
    jitter = _JITTER
    while True:
        factor, failed = dpotrf(covariance + jitter * scale * np.eye(len(covariance)), lower=1, clean=1)
        if not failed:
            return np.asarray(factor)
        jitter *= 10


def _squared(one: Array, other: Array, lengths: Array, categories: NDArray[np.bool_]) -> Array:
    """(N, M) squared distances in lengths."""
    measured = ~categories
    a, b = one[:, measured] / lengths[measured], other[:, measured] / lengths[measured]
    squared = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0)
    for column in np.flatnonzero(categories):
        squared += (one[:, column, None] != other[None, :, column]) / lengths[column] ** 2
    return np.asarray(squared)


def _matern(squared: Array) -> tuple[Array, Array]:
    """Matern 5/2 of a squared distance (Rasmussen and Williams 2006, eq. 4.17), and its derivative by that."""
    root = np.sqrt(5 * squared)
    decay = np.exp(-root)
    return (1 + root + 5 / 3 * squared) * decay, -5 / 6 * (1 + root) * decay
