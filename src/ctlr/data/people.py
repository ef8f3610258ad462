"""Whether equal subject ids of two datasets are the same people, and whether one column tells another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctlr.data.strata import is_missing
from ctlr.data.table import ImageRecord, Table
from ctlr.data.targets import Targets
from ctlr.data.tsv import number

__all__ = ["copied", "same_people"]

_FEWEST = 3
"""Values that say anything about two columns."""
_ONE_PERSON = 0.5
"""Mean agreement of columns, corrected for chance, above which equal ids are one person."""
_COPY = 0.999


def same_people(one: Sequence[ImageRecord], other: Sequence[ImageRecord]) -> bool:
    """Whether `sub-` ids that two tables share are the same people, by what both say of them.

    `sub-01` stands in most BIDS datasets. Of a raw dataset and a derivative, or of two visits, ages and sexes of equal
    ids go together; of two studies they agree by chance. Each column that both tables have counts with its
    correlation, or, where it is no number, with Cohen's kappa (1960). Where no column tells, they are the same.

    Args:
        one, other: Tables; a subject's first line speaks for it.
    """
    first, second = _people(one), _people(other)
    shared = sorted(first.keys() & second.keys())
    columns = sorted({name for subject in shared for name in first[subject].keys() & second[subject].keys()})
    told = []
    for column in columns:
        cells = [(first[who].get(column, "").strip(), second[who].get(column, "").strip()) for who in shared]
        agreement = _agreement([pair for pair in cells if not any(map(is_missing, pair))])
        if agreement is not None:
            told.append(agreement)
    return bool(shared) and (not told or float(np.mean(told)) > _ONE_PERSON)


def copied(source: Targets, target: Targets) -> tuple[float, int] | None:
    """How nearly a source's column of the same table repeats the target, where it does.

    Of two numbers the absolute correlation of values or of ranks counts; of two classes the share of images whose
    class is told by the other one, under the best renaming, in both directions.

    Returns:
        The measure, above 0.999, and on how many images; None where the column is another one.
    """
    known = source.known & target.known
    count = int(known.sum())
    if count < _FEWEST or bool(source.classes) != bool(target.classes):
        return None
    from scipy.stats import rankdata  # slow to load, and asked of sources within the target's dataset alone

    a, b = source.values[known], target.values[known]
    alike = min(_told(a, b), _told(b, a)) if source.classes else max(_r(a, b), _r(rankdata(a), rankdata(b)))
    return (alike, count) if alike > _COPY else None


def _people(table: Sequence[ImageRecord]) -> dict[str, dict[str, str]]:
    kept = Table.of(table)
    names, codes = kept.subject.values, kept.subject.codes
    met, first = np.unique(codes, return_index=True)
    return {
        names[code]: kept[row].columns
        for code, row in zip(met.tolist(), first.tolist(), strict=True)
        if names[code].startswith("sub-")
    }


def _agreement(cells: Sequence[tuple[str, str]]) -> float | None:
    """Of a column's pairs of cells, corrected for chance; None where it tells nothing."""
    if len(cells) < _FEWEST:
        return None
    try:
        numbers = np.array([(number(a), number(b)) for a, b in cells])
    except ValueError:
        return _kappa(cells)
    return _r(numbers[:, 0], numbers[:, 1]) if np.ptp(numbers, axis=0).all() else None


def _kappa(cells: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two readings; None where chance alone makes them agree."""
    pairs = [(a.lower(), b.lower()) for a, b in cells]
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(left[name] * right[name] for name in left) / len(pairs) ** 2
    return None if chance == 1 else (sum(a == b for a, b in pairs) / len(pairs) - chance) / (1 - chance)


def _r(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if not (np.ptp(a) and np.ptp(b)):
        return 0.0
    return float(abs(np.corrcoef(a, b)[0, 1]))


def _told(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Share of b that the majority of its fellows with the same a foretells."""
    return sum(int(np.bincount(b[a == code]).max()) for code in np.unique(a)) / len(b)
