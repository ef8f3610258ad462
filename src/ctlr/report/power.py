"""What a comparison can show: the gain that it detects, and the seeds and test subjects that a gain needs.

A gain is measured with K seeds on S test subjects. Its variance has three parts: which subjects were tested, which seeds
were trained, and what differs from seed to seed and subject to subject alike. The first falls with S, the second with K,
the third with both, so a spread that was seen at one K and S says what to expect at others. Power is that of Student's
test at the degrees of freedom that the parts leave (Satterthwaite 1946), by the noncentral t distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import special

__all__ = ["POWER", "Design", "Spread", "detectable_gain", "holm_level", "seeds_needed", "subjects_needed"]

POWER = 0.8
"""Chance that a real gain is found."""
_MOST = 1_000_000
"""Seeds or subjects beyond which nobody looks."""
_KNOWN = 1e6
"""Degrees of freedom from which on Student's distribution is normal to all digits that are shown."""


@dataclass(frozen=True)
class Design:
    """How often a gain is measured."""

    seeds: int
    subjects: int
    """Test subjects."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Variance of a gain as it was seen, by what it comes from; the three parts add up to it."""

    design: Design
    """Where it was seen."""
    subjects: float
    """From the choice of test subjects alone."""
    seeds: float
    """From the choice of seeds alone."""
    shared: float
    """From subjects that answer each seed differently."""
    pooled: int = 1
    """Comparisons over which the seeds' variance is taken together when a gain is tested."""

    def at(self, design: Design) -> tuple[float, float]:
        """(standard error, degrees of freedom) to expect of another number of seeds and subjects, at least 2 of each."""
        fewer_subjects, fewer_seeds = self.design.subjects / design.subjects, self.design.seeds / design.seeds
        subjects, seeds = self.subjects * fewer_subjects, self.seeds * fewer_seeds
        shared = self.shared * fewer_subjects * fewer_seeds
        of_seeds, of_subjects = self.pooled * (design.seeds - 1), design.subjects - 1
        total = subjects + seeds + shared
        unsure = (seeds + shared) ** 2 / of_seeds + (subjects + shared) ** 2 / of_subjects
        least = float(min(of_seeds, of_subjects))
        return math.sqrt(total), max(total**2 / unsure, least) if unsure else least


def detectable_gain(se: float, freedom: float, level: float, power: float = POWER) -> float:
    """The true gain that a two-sided test finds with a given power.

    Args:
        se: Standard error of the gain, in its unit.
        freedom: Degrees of freedom of the standard error.
        level: At which the test is made, such as 0.05.
        power: Chance to find it.
    """
    if freedom > _KNOWN:
        return se * float(special.ndtri(1 - level / 2) + special.ndtri(power))
    beyond = float(special.stdtrit(freedom, 1 - level / 2))
    return se * float(special.nctdtrinc(freedom, 1 - power, beyond))


def holm_level(comparisons: int, confidence: float, standing: int = 0) -> float:
    """The level that Holm's way leaves for the next of a table's comparisons, once so many stand."""
    return (1 - confidence) / max(comparisons - standing, 1)


def seeds_needed(spread: Spread, subjects: int, gain: float, level: float) -> int | None:
    """Fewest seeds that detect a gain on so many test subjects; None where no number of seeds does."""
    return _least(lambda seeds: detectable_gain(*spread.at(Design(seeds, subjects)), level), gain)


def subjects_needed(spread: Spread, seeds: int, gain: float, level: float) -> int | None:
    """Fewest test subjects that detect a gain with so many seeds; None where no number of subjects does."""
    return _least(lambda subjects: detectable_gain(*spread.at(Design(seeds, subjects)), level), gain)


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
