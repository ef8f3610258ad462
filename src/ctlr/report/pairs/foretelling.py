"""Did a score tell beforehand which transfers would gain? Rank correlations and left-out pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["FEWEST_PAIRS", "LeftOut", "RankCorrelation", "chance_of_perfection", "leave_one_out", "rank_correlation"]

Floats = NDArray[np.float64]

FEWEST_PAIRS = 3
"""With two pairs every correlation is perfect, and nothing is left to fit a line to when one is left out."""
_PERMUTATIONS = 9999
"""Up to seven pairs have fewer orders than this: all of them are looked at."""


@dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """How far two quantities put P pairs into the same order."""

    spearman: float
    kendall: float
    """tau-b."""
    low: float
    """Of the interval of Spearman's coefficient over pairs; NaN where every draw of pairs gives the same one."""
    high: float
    p: float
    """Two-sided, of no association, over the orders that the pairs may have; of this score alone."""
    n_pairs: int


def rank_correlation(
    promise: Sequence[float], gains: Sequence[float], rng: np.random.Generator, *, replicates: int, level: float
) -> RankCorrelation | None:
    """Spearman's and Kendall's rank correlation of what was promised and what was gained.

    The interval is a percentile interval over pairs drawn with replacement; draws in which the coefficient is undefined
    (all of them the same pair) are left out. Of so few pairs that a perfect order may be chance at the level asked for
    (four at 0.95) draws say nothing: the interval is then -1 to 1. The p-value is exact up to seven pairs.

    Args:
        promise: (P,) score of each pair, signed so that larger promises more.
        gains: (P,) measured gain.
        rng: Draws pairs and, above seven pairs, orders.
        replicates: Draws of pairs.
        level: Share of intervals that hold the true value.

    Returns:
        None with fewer than three pairs, or where one of both is the same for all.
    """
    x, y = np.asarray(promise, np.float64), np.asarray(gains, np.float64)
    if len(x) < FEWEST_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    low, high = _interval(x, y, rng, replicates, level)
    return RankCorrelation(
        spearman=float(_spearman(x[None], y[None])[0]),
        kendall=float(stats.kendalltau(x, y).statistic),
        low=low,
        high=high,
        p=_p(x, y, rng),
        n_pairs=len(x),
    )


def _interval(x: Floats, y: Floats, rng: np.random.Generator, replicates: int, level: float) -> tuple[float, float]:
    if chance_of_perfection(len(x)) > 1 - level:
        return -1.0, 1.0
    drawn = rng.integers(len(x), size=(replicates, len(x)))
    values = _spearman(x[drawn], y[drawn])
    values = values[~np.isnan(values)]
    if not len(values) or np.ptp(values) < 1e-9:
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _spearman(x: Floats, y: Floats) -> Floats:
    """(R,) coefficients of the rows of two (R, P) tables; NaN where a row is constant."""
    a, b = (stats.rankdata(values, axis=-1) for values in (x, y))
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    size = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.asarray(np.divide((a * b).sum(-1), size, out=np.full(np.shape(size), np.nan), where=size > 0))


def _p(x: Floats, y: Floats, rng: np.random.Generator) -> float:
    test = stats.permutation_test(
        (x,), lambda values, axis: _spearman(values, np.broadcast_to(y, values.shape)), permutation_type="pairings",
        n_resamples=_PERMUTATIONS, vectorized=True, axis=-1, rng=rng,
    )  # fmt: skip
    return float(test.pvalue)


def chance_of_perfection(n_pairs: int) -> float:
    """Chance that P pairs without any association fall into the same or the opposite order: 2 / P!."""
    return 2 / math.factorial(n_pairs)


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """How well the gain of each pair is foretold from the others. P pairs."""

    predicted: Floats
    """(P,) by a line that rises with what the score promises, or is flat, fitted on the other pairs."""
    mean: Floats
    """(P,) mean gain of the other pairs."""
    gains: Floats
    """(P,) measured."""

    @property
    def error(self) -> float:
        """Mean absolute error of the line."""
        return float(np.abs(self.predicted - self.gains).mean())

    @property
    def error_of_mean(self) -> float:
        """Mean absolute error of saying the others' mean."""
        return float(np.abs(self.mean - self.gains).mean())

    @property
    def better(self) -> bool:
        """Whether the score did better than the mean of the other pairs."""
        return self.error < self.error_of_mean * (1 - 1e-9)


def leave_one_out(promise: ArrayLike, gains: ArrayLike) -> LeftOut | None:
    """Foretell the gain of each pair by a least-squares line through the others that does not fall.

    A score that runs against its promise on the other pairs, or is the same for all of them, foretells their mean.

    Args:
        promise: (P,) score of each pair, signed so that larger promises more.
        gains: (P,) measured gain.

    Returns:
        None with fewer than three pairs.
    """
    x, y = np.asarray(promise, np.float64), np.asarray(gains, np.float64)
    if len(x) < FEWEST_PAIRS:
        return None
    others = [np.delete(np.arange(len(x)), index) for index in range(len(x))]
    means = np.array([y[rest].mean() for rest in others])
    slopes = np.array([_slope(x[rest], y[rest]) for rest in others])
    centres = np.array([x[rest].mean() for rest in others])
    return LeftOut(predicted=means + slopes * (x - centres), mean=means, gains=y)


def _slope(x: Floats, y: Floats) -> float:
    spread = float(((x - x.mean()) ** 2).sum())
    return max(0.0, float(((x - x.mean()) * (y - y.mean())).sum()) / spread) if spread > 0 else 0.0
