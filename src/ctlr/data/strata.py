"""Orders and groups drawn so that every part looks like the whole. N subjects; codes are integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ctlr.data.tsv import is_missing, number

__all__ = ["column_codes", "draw_groups", "is_missing", "linked_groups", "quantile_codes", "stratified_order"]

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CATEGORIES = 20  # codes for sites and the like are numbers too; more different ones than this are measurements
_DRAWS = 64
"""Random choices of groups of which the best is kept."""


def quantile_codes(values: npt.NDArray[np.float64], bins: int) -> Codes:
    """(N,) quantile bin 0..bins-1 of each value; -1 where it is NaN. Equal values share a bin."""
    known = ~np.isnan(values)
    codes = np.full(len(values), -1, np.int64)
    edges = np.quantile(values[known], np.arange(1, bins) / bins) if known.any() else np.empty(0)
    codes[known] = np.digitize(values[known], edges)
    return codes


def column_codes(cells: Sequence[str], bins: int) -> Codes:
    """(N,) stratum of each cell; missing cells are a stratum of their own.

    Numbers of more than 20 different values are cut into quantile bins; all else counts by its text.
    """
    missing = np.array([is_missing(cell) for cell in cells], bool)
    texts = np.array([cell.strip() for cell in cells])
    if len(np.unique(texts[~missing])) > _CATEGORIES:
        try:
            return quantile_codes(np.array([number(cell) for cell in cells]), bins)
        except ValueError:
            pass  # text: each of its values is a stratum
    codes = np.unique(texts, return_inverse=True)[1].astype(np.int64)
    codes[missing] = -1
    return codes


def linked_groups(owners: Codes, values: Codes, n_owners: int) -> Codes:
    """(n_owners,) group of each subject, where any shared value links two of them.

    A subject scanned at two sites makes one group of both: neither may then stand on another side.

    Args:
        owners: (M,) whose image it is.
        values: (M,) the image's value.
        n_owners: Number of subjects.
    """
    group = np.arange(n_owners)
    while True:
        smallest = np.full(int(values.max()) + 1, n_owners)
        np.minimum.at(smallest, values, group[owners])
        linked = group.copy()
        np.minimum.at(linked, owners, smallest[values])
        if np.array_equal(linked, group):
            return np.unique(group, return_inverse=True)[1].astype(np.int64)
        group = linked


def stratified_order(strata: Sequence[Codes], rng: np.random.Generator) -> Codes:
    """Order N subjects at random so that every prefix is close to stratified.

    The k-th subject (k = 0, 1, …) of a stratum that holds n of them is due at (k + u) / n, with one uniform u a
    stratum: systematic sampling, which gives a prefix of m subjects m * n / N of that stratum, give or take about one.
    Strata of the first key are mixed so; within each of them those of the second, and so on. Each stratum of the first
    key has its first subject before any has its second: a prefix as long as there are classes holds them all.

    Args:
        strata: One (N,) array of codes a key, the most important first; at least one.
        rng: Draws the order.

    Returns:
        (N,) permutation.
    """
    cells = [strata[0]]
    for codes in strata[1:]:
        both = np.stack([cells[-1], codes], axis=1)
        cells.append(np.unique(both, axis=0, return_inverse=True)[1].reshape(-1))
    order = rng.permutation(len(strata[0]))
    for depth in reversed(range(len(cells))):
        order = _interleave(order, cells[depth], rng, all_first=depth == 0)
    return order


def _interleave(order: Codes, cells: Codes, rng: np.random.Generator, *, all_first: bool) -> Codes:
    """Mix the cells in proportion to their sizes; within a cell the order stays."""
    _, cell, counts = np.unique(cells[order], return_inverse=True, return_counts=True)
    by_cell = np.argsort(cell, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[by_cell] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    due = (rank + rng.random(len(counts))[cell]) / counts[cell]
    if all_first:
        due[rank == 0] -= 1
    return order[np.argsort(due, kind="stable")]


def draw_groups(groups: Codes, strata: Codes, among: Mask, wanted: int, rng: np.random.Generator) -> Mask:
    """Choose whole groups that together hold at least `wanted` subjects.

    Of 64 random choices the best is kept: least surplus (as a share of `wanted`) plus distance of its strata from those
    of all (rerandomisation; Morgan & Rubin 2012, Annals of Statistics 40, 1263-1282).

    Args:
        groups: (N,) group of each subject.
        strata: (N,) stratum of each subject.
        among: (N,) subjects that count; groups without one are never chosen.
        wanted: Number of counting subjects.
        rng: Draws the choices.

    Returns:
        (N,) members of the chosen groups, counting or not; all that count when they are fewer than `wanted`.
    """
    present, stratum = np.unique(groups[among]), np.unique(strata[among], return_inverse=True)[1]
    counts = np.zeros((len(present), int(stratum.max(initial=0)) + 1))
    np.add.at(counts, (np.searchsorted(present, groups[among]), stratum), 1)
    sizes = counts.sum(axis=1)
    best, least = np.arange(len(present)), math.inf
    for _ in range(_DRAWS):
        chosen = _enough(rng.permutation(len(present)), sizes, wanted)
        share = counts[chosen].sum(axis=0) / max(sizes[chosen].sum(), 1)
        imbalance = np.abs(share - counts.sum(axis=0) / max(sizes.sum(), 1)).sum() / 2
        cost = abs(sizes[chosen].sum() - wanted) / wanted + imbalance
        if cost < least:
            best, least = chosen, cost
    return np.isin(groups, present[best])


def _enough(order: Codes, sizes: npt.NDArray[np.float64], wanted: int) -> Codes:
    """The first groups that together hold `wanted`, without those that are not needed for it."""
    total = np.cumsum(sizes[order])
    order = order[: int(np.searchsorted(total, wanted)) + 1]
    spare = sizes[order].sum() - wanted
    kept = []
    for group in order:
        if sizes[group] <= spare:
            spare -= sizes[group]
        else:
            kept.append(group)
    return np.array(kept, np.int64)
