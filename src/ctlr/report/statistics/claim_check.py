"""What stands beside a verdict: how likely a claim is false, and which gain would have been seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from ctlr.report.statistics.claims import Comparison, false_claims
from ctlr.report.statistics.estimates import Gain
from ctlr.report.statistics.power import Spread, detectable_gain, holm_level

__all__ = ["Check", "checks", "comparison"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Of one comparison of a table."""

    false: float
    """Probability that the true difference is zero or of the other sign, by all comparisons of the table (`claims`)."""
    false_alone: float
    """The same of this comparison alone, nothing being known beforehand: half of p."""
    detectable: float
    """True gain that is seen with a chance of 80 % by seeds and subjects that vary as they did here, at the level that
    Holm leaves for the next comparison of the table."""
    detectable_alone: float
    """The same, were it the only comparison."""


def checks(gains: Sequence[Gain], standing: int, level: float) -> list[Check | None]:
    """One a gain; None where nothing was tested.

    Args:
        gains: Of one table.
        standing: How many of them stand after Holm's correction.
        level: Share of intervals that hold the true value.
    """
    tested = [gain for gain in gains if gain.tested]
    varying = [gain for gain in tested if gain.se > 0]
    false = iter(false_claims([comparison(gain, level) for gain in varying]))
    after_holm = holm_level(len(tested), level, standing)

    def check(gain: Gain) -> Check:
        spread = Spread.of(gain.parts)
        return Check(
            false=next(false) if gain.se > 0 else gain.p, false_alone=gain.p / 2,
            detectable=detectable_gain(spread, after_holm), detectable_alone=detectable_gain(spread, 1 - level),
        )  # fmt: skip

    return [check(gain) if gain.tested else None for gain in gains]


def comparison(gain: Gain, level: float) -> Comparison:
    """The gain with the standard error that Student's t makes its interval of: so both say the same."""
    width, freedom = gain.parts.half_width(level), gain.freedom
    return Comparison(gain.mean, width / float(special.stdtrit(freedom, (1 + level) / 2)), freedom)
