"""The claim check in sentences, for the answer at the top of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ctlr.report.numbers.rows import GainRow
from ctlr.report.theme.formats import number
from ctlr.report.wording import chance

__all__ = ["claim_words"]


def claim_words(gains: Sequence[GainRow], digits: int, measure: str, labelled: Callable[[int], str] = str) -> list[str]:
    """How likely the claims are false, and what would have been seen where nothing was.

    Args:
        gains: Of one table.
        digits: After the point of a gain.
        measure: Unit of a gain with a blank before it; empty without one.
        labelled: What a size is called.
    """
    return [*_false(gains, labelled), *_unseen(gains, digits, measure, labelled)]


def _false(gains: Sequence[GainRow], labelled: Callable[[int], str]) -> list[str]:
    claims = [(row.check.false, row) for row in gains if row.stands and row.check is not None]
    if not claims:
        return []
    most, row = max(claims, key=lambda claim: claim[0])
    if len(claims) == 1:
        return [f"The probability that this claim is false is {chance(most)}."]
    which = f"‘{row.method}’ at {labelled(row.n_train)}"
    return [f"Of these {len(claims)} claims the least certain, {which}, is false with a probability of {chance(most)}."]


def _unseen(gains: Sequence[GainRow], digits: int, measure: str, labelled: Callable[[int], str]) -> list[str]:
    """By size, the largest of the gains that the comparisons without a verdict would have shown."""
    limits: dict[int, float] = {}
    for row in gains:
        if row.check is not None and not row.stands:
            limits[row.n_train] = max(limits.get(row.n_train, 0.0), row.check.detectable)
    if not limits:
        return []
    words = [f"{number(limit, digits)}{measure} at {labelled(size)}" for size, limit in sorted(limits.items())]
    return [
        "Where no difference is claimed, a gain would have been seen with a chance of 80\u00a0% from "
        f"{', '.join(words)} on; smaller ones may be there."
    ]
