"""Parzen estimators over a search space: mixtures of one kernel a trial and of a prior.

Rows are places in the unit cube, (N, D). A kernel is a product: along numbers a normal distribution that ends with the
range, along categories a share for the trial's own and the rest for all alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri

from ctlr.tuning.samplers.space import Space

__all__ = ["Columns", "ParzenEstimator"]

Array = NDArray[np.float64]

_COUNTED = 10_000
"""Numbers that are counted at most; more of them are as good as continuous."""
_NARROWEST = 100
"""No kernel is narrower than the range by this."""
_LEAST = 1e-300
_BLOCK = 4096
"""Places that are held against all kernels at once."""


@dataclass(frozen=True, eq=False)
class Columns:
    """What the columns of the unit cube stand for."""

    sizes: NDArray[np.intp]
    """(D,) how many values of equal shares there are; 0 along continuous columns."""
    categories: NDArray[np.bool_]
    """(D,)"""

    @classmethod
    def of(cls, space: Space) -> Columns:
        """Those of a space."""
        sizes = [
            d.size if d.size is not None and (not d.ordered or (d.even and d.size <= _COUNTED)) else 0
            for d in space.dimensions
        ]
        return cls(np.array(sizes, dtype=np.intp), np.array([not d.ordered for d in space.dimensions]))


class ParzenEstimator:
    """A density over the unit cube, learned from rows that count by their weights.

    Widths are those of Optuna's `TPESampler`: the larger distance to a neighbour along the column, and never less than
    a share of the range that falls with the number of rows. `prior_weight` is that of a kernel over the whole range.
    """

    def __init__(self, columns: Columns, rows: Array, weights: Array, *, prior_weight: float) -> None:
        self._columns = columns
        kernels = len(rows) + 1
        self._weights = np.append(weights, prior_weight) / (weights.sum() + prior_weight)
        self._means = np.concatenate([rows, np.full((1, len(columns.sizes)), 0.5)])
        self._widths = np.ones_like(self._means)
        for i in np.flatnonzero(~columns.categories):
            self._widths[:-1, i] = _widths(rows[:, i])
        # A category's own share of a kernel; the prior has none.
        self._own = 1 / (1 + columns.sizes * prior_weight / kernels) * (np.arange(kernels) < len(rows))[:, None]
        self._low, self._high = ndtr(-self._means / self._widths), ndtr((1 - self._means) / self._widths)

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """(n, D) places: middles of cells along columns that are counted."""
        kernel = rng.choice(len(self._weights), size=n, p=self._weights)
        units = rng.random((n, len(self._columns.sizes)))
        low, high = self._low[kernel], self._high[kernel]
        places = self._means[kernel] + self._widths[kernel] * ndtri(low + units * (high - low))
        kept = rng.random(units.shape) < self._own[kernel]
        categories = np.where(kept, self._means[kernel], units)
        places = np.clip(np.where(self._columns.categories, categories, places), 0.0, 1.0)
        return self._snapped(places)

    def log_density(self, places: Array) -> Array:
        """(M,) at (M, D); along columns that are counted the share of a value takes the place of the density."""
        blocks = np.split(places, range(_BLOCK, len(places), _BLOCK))
        return np.concatenate([self._log_density(block) for block in blocks])

    def _log_density(self, places: Array) -> Array:
        logs = np.broadcast_to(np.log(np.maximum(self._weights, _LEAST)), (len(places), len(self._weights)))
        for i, size in enumerate(self._columns.sizes):
            found, at = np.unique(places[:, i], return_inverse=True)
            logs = logs + np.log(np.maximum(self._along(i, int(size), found), _LEAST))[at]
        return np.asarray(logsumexp(logs, axis=1))

    def _along(self, i: int, size: int, units: Array) -> Array:
        """(M, K) what every kernel gives to units along a column."""
        means, widths = self._means[:, i], self._widths[:, i]
        if self._columns.categories[i]:
            same = np.abs(units[:, None] - means) < 0.5 / size
            return np.asarray(np.where(same, self._own[:, i], 0.0) + (1 - self._own[:, i]) / size)
        whole = self._high[:, i] - self._low[:, i]
        if size:
            low, high = units[:, None] - 0.5 / size, units[:, None] + 0.5 / size
            return np.asarray((ndtr((high - means) / widths) - ndtr((low - means) / widths)) / whole)
        density = np.exp(-0.5 * ((units[:, None] - means) / widths) ** 2) / math.sqrt(2 * math.pi)
        return np.asarray(density / (widths * whole))

    def _snapped(self, places: Array) -> Array:
        sizes = np.maximum(self._columns.sizes, 1)
        cells = (np.minimum(np.floor(places * sizes), sizes - 1) + 0.5) / sizes
        return np.where(self._columns.sizes > 0, cells, places)


def _widths(units: Array) -> Array:
    """(N,) widths of kernels along a column."""
    n = len(units)
    order = np.argsort(units, kind="stable")
    around = np.concatenate([[0.0], units[order], [1.0]])
    gaps = np.diff(around)
    widths = np.empty(n)
    widths[order] = np.maximum(gaps[:-1], gaps[1:])
    if n >= 2:  # a range's end is no neighbour
        widths[order[[0, -1]]] = gaps[[1, -2]]
    return np.clip(widths, 1 / min(_NARROWEST, n + 2), 1.0)
