"""What a comparison can show: the gain that it detects, and the seeds and test subjects that a gain needs.

A gain is measured with K seeds on S test subjects. Its variance has three parts: which subjects were tested, which
seeds were trained, and how each subject answers each seed. The first falls with S, the second with K, the third with
both, so a spread that was seen at one K and S says what to expect at others.

A gain is detected where the interval of the report's own test (`variance.half_width`) excludes zero, at the level that
Holm leaves for a table. Intervals are wider or narrower by the luck of the variances that they are made of; the power
is the mean over that luck. Where seeds are all that varies, it is that of Student's test (the noncentral t) at the
degrees of freedom that a table's comparisons have together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from ctlr.report.statistics.variance import VarianceParts, half_width, lone

__all__ = ["POWER", "Design", "Spread", "detectable_gain", "holm_level", "seeds_needed", "subjects_needed"]

Floats = NDArray[np.float64]

POWER = 0.8
"""Chance that a real gain is found."""
_MOST = 100_000
"""Seeds or subjects beyond which nobody looks."""


@dataclass(frozen=True)
class Design:
    """How often a gain is measured."""

    seeds: int
    subjects: int
    """Test subjects."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Variance of a gain by what it comes from, each part as it is with K seeds and S subjects; they add up to it."""

    design: Design
    subjects: float
    """From the choice of test subjects alone."""
    seeds: float
    """From the choice of seeds alone."""
    shared: float
    """From subjects that answer each seed differently."""
    lent: float = 1.0
    """Degrees of freedom of the seeds' variance for each seed after the first: 2 where comparisons lend one another."""

    @classmethod
    def of(cls, parts: VarianceParts) -> Spread:
        """What was seen in one comparison, with two seeds and two subjects at least."""
        seeds = parts.seeds if parts.of_others is None else parts.moderated_seeds
        return cls(
            design=Design(parts.n_seeds, parts.n_subjects), subjects=parts.of_subjects_alone,
            seeds=max(seeds - parts.shared, 0.0), shared=parts.shared,
            lent=parts.seeds_freedom / (parts.n_seeds - 1),
        )  # fmt: skip

    @classmethod
    def mean(cls, spreads: Sequence[Spread]) -> Spread:
        """Of several comparisons, with the first one's number of seeds and subjects: one alone is hardly known."""
        first = spreads[0]
        alike = [spread.at(first.design) for spread in spreads]
        parts = np.mean([(each.subjects, each.seeds, each.shared) for each in alike], axis=0)
        subjects, seeds, shared = map(float, parts)
        return replace(first, subjects=subjects, seeds=seeds, shared=shared)

    def at(self, design: Design) -> Spread:
        """What to expect of another number of seeds and subjects."""
        fewer_subjects, fewer_seeds = self.design.subjects / design.subjects, self.design.seeds / design.seeds
        return replace(
            self, design=design, subjects=self.subjects * fewer_subjects, seeds=self.seeds * fewer_seeds,
            shared=self.shared * fewer_subjects * fewer_seeds,
        )  # fmt: skip


def detectable_gain(spread: Spread, level: float, power: float = POWER) -> float:
    """The true gain that is found with a given power, in the unit of the metric.

    Args:
        spread: With two seeds and two subjects at least.
        level: At which the test is made, two-sided, such as 0.05.
        power: Chance to find it.
    """
    widths, weights = _half_widths(spread, level)
    se = math.sqrt(spread.subjects + spread.seeds + spread.shared)
    if se == 0:
        return 0.0

    def missed(gain: float) -> float:
        found = special.ndtr((gain - widths) / se) + special.ndtr((-gain - widths) / se)
        return power - float((weights * found).sum())

    return float(optimize.brentq(missed, 0.0, float(widths.max()) + 9 * se, rtol=1e-6))


def _half_widths(spread: Spread, level: float) -> tuple[Floats, Floats]:
    """Half-widths of intervals by the luck of their variances, and how often they come; both (V, W)."""
    freedom = round(spread.lent * (spread.design.seeds - 1))
    luck, weights = _luck(freedom)
    of_subjects, often = _luck(spread.design.subjects - 1)
    of_seeds = spread.seeds + spread.shared
    if spread.lent == 1:  # alone, a comparison is tested with more than its own variance
        of_seeds = float(lone(of_seeds, spread.design.seeds))
    widths = half_width(
        of_seeds * luck[:, None], freedom, (spread.subjects + spread.shared) * of_subjects,
        spread.shared, spread.design.subjects, alpha=level,
    )  # fmt: skip
    return widths, weights[:, None] * often


@lru_cache(maxsize=256)
def _luck(freedom: int) -> tuple[Floats, Floats]:
    """A variance's estimate over its true value at Gaussian nodes of its distribution (chi-squared), with weights."""
    nodes, weights = np.polynomial.legendre.leggauss(48)
    return special.gammaincinv(freedom / 2, (nodes + 1) / 2) * 2 / freedom, weights / 2


def holm_level(comparisons: int, confidence: float, standing: int = 0) -> float:
    """The level that Holm's way leaves for the next of a table's comparisons, once so many stand."""
    return (1 - confidence) / max(comparisons - standing, 1)


def seeds_needed(spread: Spread, subjects: int, gain: float, level: float) -> int | None:
    """Fewest seeds that detect a gain on so many test subjects; None where no number of seeds does."""
    return _least(lambda seeds: detectable_gain(spread.at(Design(seeds, subjects)), level), gain)


def subjects_needed(spread: Spread, seeds: int, gain: float, level: float) -> int | None:
    """Fewest test subjects that detect a gain with so many seeds; None where no number of subjects does."""
    return _least(lambda subjects: detectable_gain(spread.at(Design(seeds, subjects)), level), gain)


def _least(detectable: Callable[[int], float], gain: float) -> int | None:
    """The smallest number from 2 on that detects the gain: what is detectable falls with it."""
    low, high = 1, 2
    while detectable(high) > gain:
        if high >= _MOST:
            return None
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if detectable(middle) <= gain else (middle, high)
    return high
