"""Transfers by methods: who gains where, at one look."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from ctlr.report.findings import View
from ctlr.report.gains.forest import gain_tip
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GainRow
from ctlr.report.statistics.estimates import holm
from ctlr.report.theme.formats import Cell, Table, Tone, decimals, number
from ctlr.report.wording import (
    METRIC_WORDS,
    VERDICTS,
    factors,
    measure,
    metric_label,
    p_words,
    percent,
)

__all__ = ["SIGNS", "gain_matrix", "transfer_names"]

SIGNS: Mapping[tuple[str, bool], str] = {
    ("gain", True): "▲", ("gain", False): "△", ("negative", True): "▼", ("negative", False): "▽",
}  # fmt: skip
"""By direction, and whether it holds with all cells of the matrix taken together."""


def gain_matrix(views: Sequence[View]) -> Table | None:
    """A row a transfer and size, a column a method; None unless two transfers have gains.

    Colour says how large a gain is beside the largest one in its metric and unit; the sign says the same in ink, and
    whether it is sure: with all cells taken together, with this one taken alone, or not at all.
    """
    found = [view for view in views if view.rows.gains]
    if len(found) < 2:
        return None
    level = found[0].rows.level
    cells = [(view, row) for view in found for row in view.rows.gains]
    adjusted = dict(zip(((id(view), row.method, row.n_train) for view, row in cells),
                        holm([row.gain.p for _, row in cells]), strict=True))  # fmt: skip
    methods = list(dict.fromkeys(label for view in found for label in view.contest.contenders))
    methods = [label for label in methods if any(row.method == label for _, row in cells)]
    most = _most(found)
    names = transfer_names(views)

    def cell(view: View, method: str, size: int) -> Cell:
        row = next((row for row in view.rows.gains if (row.method, row.n_train) == (method, size)), None)
        if row is None:
            return Cell("", tone="muted")
        p = adjusted[id(view), method, size]
        return _cell(names[view.slug], view, row, p, stands=row.gain.shown and p < 1 - level, most=most[_scale(view)])

    lines = [(view, size) for view in found for size in sorted({row.n_train for row in view.rows.gains})]
    tested = sum(row.gain.tested for _, row in cells)
    metrics = " or ".join(dict.fromkeys(metric_label(view.contest) for view in found))
    return Table(
        name="matrix",
        caption=f"Gain over training from scratch in {metrics}; positive is better. ▲ a gain and ▼ a loss that hold "
        f"with all {tested} comparisons taken together (Holm, {percent(level)}), △ ▽ taken alone, no sign: none shown.",
        columns=("Transfer", "n", *methods),
        rows=tuple(
            (Cell(names[view.slug], link=view.slug), Cell(view.contest.labelled(size)),
             *(cell(view, method, size) for method in methods))
            for view, size in lines
        ),
        records=tuple(
            factors(view.contest)
            | {"n_train": row.n_train, "method": row.method, "metric": view.contest.task.headline,
               "gain": row.gain.mean, "low": row.gain.low, "high": row.gain.high, "p": row.gain.p,
               "p_holm": (p := adjusted[id(view), row.method, row.n_train]), "verdict": VERDICTS[row.direction],
               "stands": "yes" if row.gain.shown and p < 1 - level else "no", "n_seeds": row.gain.n_seeds,
               "n_subjects": row.gain.n_subjects}
            for view, row in cells
        ),
    )  # fmt: skip


def transfer_names(views: Sequence[View]) -> dict[str, str]:
    """What transfers are called where there is little room, by slug: `age (biobank) → age (clinic)`.

    Datasets are named where a transfer is between two, or its name would be another one's too; encoders where there are
    several.
    """
    contests = [view.contest for view in views]
    encoders = len({contest.encoder.label for contest in contests}) > 1
    short = Counter((_ends(contest, data=False), contest.encoder.label) for contest in contests)

    def name(contest: Contest) -> str:
        own, source = _ends(contest, data=False), contest.source
        between = source is not None and source.data.name != contest.target.data.name
        words = _ends(contest, data=True) if between or short[own, contest.encoder.label] > 1 else own
        return f"{words}, {contest.encoder.label}" if encoders else words

    return {contest.slug: name(contest) for contest in contests}


def _ends(contest: Contest, *, data: bool) -> str:
    ends = [end for end in (contest.source, contest.target) if end is not None]
    return " → ".join(f"{end.task.name} ({end.data.name})" if data else end.task.name for end in ends)


def _scale(view: View) -> tuple[str, str]:
    """What gains can be set beside each other: one metric in one unit."""
    return METRIC_WORDS[view.contest.task.headline], measure(view.contest)


def _most(views: Sequence[View]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for view in views:
        known = [abs(row.gain.mean) for row in view.rows.gains if math.isfinite(row.gain.mean)]
        found[_scale(view)] = max([found.get(_scale(view), 0.0), *known])
    return found


def _cell(name: str, view: View, row: GainRow, p: float, *, stands: bool, most: float) -> Cell:
    contest = view.contest
    digits = decimals([most])
    sign = SIGNS.get((row.direction, stands), "") if row.gain.shown else ""
    tone: Tone = "gain" if row.gain.mean > 0 else "negative" if row.gain.mean < 0 else "none"
    tip = gain_tip(row, contest.labelled(row.n_train), metric_label(contest), contest.baseline or "", view.rows.level,
                   view.rows.gains)  # fmt: skip
    return Cell(
        f"{sign} {number(row.gain.mean, digits, sign=True)}".strip(), tone=tone,
        heat=abs(row.gain.mean) / most if most else 0.0, link=f"{view.slug}-gains",
        tip=f"{name}\n{tip}\np = {p_words(p)}, all cells together",
    )  # fmt: skip
