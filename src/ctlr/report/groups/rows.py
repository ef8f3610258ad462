"""The error of a method in each group of test subjects, and whether it differs from that of all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import CtlrError
from ctlr.report.findings import View
from ctlr.report.groups.columns import Grouped, group_columns, grouped_by
from ctlr.report.images import Stock
from ctlr.report.numbers.rows import outcomes_of
from ctlr.report.numbers.tested import tested_rows
from ctlr.report.statistics.estimates import (
    Estimate,
    GroupDifference,
    Outcome,
    group_difference,
    holm,
    mean_score,
)

__all__ = ["FEW", "GroupRow", "Groups", "groups_of"]

FEW = 20
"""Test subjects below which a group's error is hardly known."""


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """One group of test subjects."""

    column: str
    group: str
    n: int
    """Subjects."""
    error: Estimate
    """Mean absolute error, or accuracy."""
    bias: Estimate | None
    """Mean of predicted minus true, of a regression."""
    against: GroupDifference | None
    """Its error less that of all others; of classes, of the share that is wrong."""
    p_holm: float = float("nan")
    """Adjusted for every look of the section."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """All groups of a transfer."""

    method: str
    rows: tuple[GroupRow, ...]
    looks: int
    """Comparisons that p is adjusted for; two groups of a column are one."""
    left_out: int
    """Subjects in groups too small to be listed, of all columns together."""


def groups_of(view: View, stock: Stock | None) -> Groups | None:
    """Of the method that validation chose, at the largest size; None without its images' table or without groups."""
    method = view.best
    if method is None or stock is None:
        return None
    cell = view.contest.cells[method, view.detail_size]
    columns = group_columns(cell[0].result.study, list(stock.store.table.columns))
    if not columns:
        return None
    try:
        rows = [tested_rows(done, stock.store, stock.workspace) for done in cell]
    except CtlrError:
        return None
    outcomes = outcomes_of(cell)
    found: list[GroupRow] = []
    twins: list[int | None] = []
    left_out = 0
    for column in columns:
        sides = [grouped_by(stock, column, each) for each in rows]
        groups = [side for side in sides if side is not None]
        if len(groups) < len(rows) or len({side.names for side in groups}) > 1:
            continue
        left_out += groups[0].left_out
        first = len(found)
        for code in range(len(groups[0].names)):
            found.append(_row(outcomes, groups, code, view.rows.level))
            # Of two groups the second is the first one's difference with the other sign: it is one look.
            twins.append(first if len(groups[0].names) == 2 and code == 1 and not _missing(groups) else None)
    if not found:
        return None
    return Groups(method=method, rows=_adjusted(found, twins), looks=_looks(found, twins), left_out=left_out)


def _missing(groups: Sequence[Grouped]) -> bool:
    return any((side.codes < 0).any() for side in groups)


def _row(outcomes: Sequence[Outcome], groups: Sequence[Grouped], code: int, level: float) -> GroupRow:
    members = [side.codes == code for side in groups]
    known = [side.codes >= 0 for side in groups]
    own = [_part(outcome, inside) for outcome, inside in zip(outcomes, members, strict=True)]
    regression = np.asarray(outcomes[0].predicted).ndim == 1
    error = mean_score(own, "mae" if regression else "accuracy", level=level)
    assert error is not None, "a group has test subjects"
    told = [_part(outcome, there) for outcome, there in zip(outcomes, known, strict=True)]
    inside = [member[there] for member, there in zip(members, known, strict=True)]
    return GroupRow(
        column=groups[0].column, group=groups[0].names[code], n=error.n_subjects, error=error,
        bias=mean_score(own, "bias", level=level) if regression else None,
        against=group_difference(told, inside, level=level),
    )  # fmt: skip


def _part(outcome: Outcome, chosen: NDArray[np.bool_]) -> Outcome:
    return replace(
        outcome,
        subjects=np.asarray(outcome.subjects)[chosen],
        truth=np.asarray(outcome.truth)[chosen],
        predicted=np.asarray(outcome.predicted)[chosen],
    )


def _adjusted(rows: Sequence[GroupRow], twins: Sequence[int | None]) -> tuple[GroupRow, ...]:
    p = [float("nan") if row.against is None or twin is not None else row.against.p
         for row, twin in zip(rows, twins, strict=True)]  # fmt: skip
    adjusted = holm(p)
    whose = [place if twin is None else twin for place, twin in enumerate(twins)]
    return tuple(replace(row, p_holm=adjusted[place]) for row, place in zip(rows, whose, strict=True))


def _looks(rows: Sequence[GroupRow], twins: Sequence[int | None]) -> int:
    return sum(row.against is not None and twin is None for row, twin in zip(rows, twins, strict=True))
