"""Tuning's share: what a method gains by being tuned, beside what it gains over training from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ctlr.report.numbers.contests import Contest, Done
from ctlr.report.numbers.rows import GainRow, gains_of, verdicts
from ctlr.report.statistics.estimates import Gain
from ctlr.report.theme.formats import Cell, Table, decimals, listed, number
from ctlr.report.tuning.stages import Line
from ctlr.report.tuning.tables import Naming
from ctlr.report.wording import (
    METRIC_WORDS,
    VERDICTS,
    check_record,
    false_cell,
    interval,
    p_words,
    percent,
    verdict_cell,
)
from ctlr.specs import StudyResult

__all__ = ["ShareRow", "share_rows", "share_table", "share_words"]

Cells = Mapping[tuple[Line, int], Sequence[Done]]

_VERDICTS = {**VERDICTS, "negative": "loss"}


@dataclass(frozen=True, kw_only=True)
class ShareRow:
    """A method at one size: tuned against the options in the file, and both ways against scratch."""

    line: Line
    metric: str
    tuning: GainRow
    """Of the tuned method over the same one with the options in the file; adjusted for all rows."""
    over_scratch: Gain | None
    """Both tuned; None for scratch itself."""
    over_scratch_before: Gain | None
    """Both with the options in the file."""


def share_rows(
    contests: Sequence[Contest], at_defaults: Sequence[StudyResult | Done], *, level: float
) -> list[ShareRow]:
    """One row a method and size of which both ways have finished; a method without a source has one for all contests.

    Args:
        contests: Of tuned studies.
        at_defaults: The same studies with the options in the file.
        level: Share of intervals that hold the true value.
    """
    before: dict[tuple[Line, int], list[Done]] = {}
    for item in at_defaults:
        if isinstance(item, Done):
            before.setdefault((Line.of(item.result.study), item.result.study.n_train), []).append(item)
    found: dict[tuple[Line, int], ShareRow] = {}
    for contest in contests:
        for row in _rows(contest, before, level):
            found.setdefault((row.line, row.tuning.n_train), row)
    adjusted = verdicts([(row.tuning.method, row.tuning.n_train, row.tuning.gain) for row in found.values()], level)
    return [replace(row, tuning=tuning) for row, tuning in zip(found.values(), adjusted, strict=True)]


def _rows(contest: Contest, before: Cells, level: float) -> list[ShareRow]:
    def untuned(cell: Sequence[Done], size: int) -> Sequence[Done]:
        return before.get((Line.of(cell[0].result.study), size), ()) if cell else ()

    tunable = (contest.baseline, *contest.contenders)
    cells = [(key, cell) for key, cell in contest.cells.items() if key[0] in tunable]
    at_scratch = {size: cell for (method, size), cell in cells if method == contest.baseline}
    rivals = [(each, () if each[0][0] == contest.baseline else at_scratch.get(each[0][1], ())) for each in cells]
    tuning = _gains(contest, [(cell, untuned(cell, n), n) for (_, n), cell in cells], level)
    over = _gains(contest, [(cell, other, n) for ((_, n), cell), other in rivals], level)
    over_before = _gains(contest, [(untuned(cell, n), untuned(other, n), n) for ((_, n), cell), other in rivals], level)
    return [
        ShareRow(
            line=Line.of(cell[0].result.study), metric=contest.task.headline,
            tuning=GainRow(method=method, n_train=size, gain=gain, p_holm=gain.p, stands=False),
            over_scratch=over_scratch, over_scratch_before=over_scratch_before,
        )
        for ((method, size), cell), gain, over_scratch, over_scratch_before in zip(
            cells, tuning, over, over_before, strict=True
        )
        if gain is not None
    ]  # fmt: skip


def _gains(
    contest: Contest, pairs: Sequence[tuple[Sequence[Done], Sequence[Done], int]], level: float
) -> list[Gain | None]:
    """One a pair; None where a side has no study."""
    found = iter(gains_of(contest, [pair for pair in pairs if pair[0] and pair[1]], level))
    return [next(found) if own and other else None for own, other, _ in pairs]


def share_table(rows: Sequence[ShareRow], *, level: float, labelled: Mapping[int, str] = MappingProxyType({})) -> Table:
    """The gain of tuning with its verdict, beside the gain over scratch with and without tuning."""
    naming = Naming([row.line for row in rows])
    digits = decimals(
        g.mean for r in rows for g in (r.tuning.gain, r.over_scratch, r.over_scratch_before) if g is not None
    )
    metrics = sorted({row.metric for row in rows})
    named = METRIC_WORDS[metrics[0]] if len(metrics) == 1 else "each headline metric"

    def cell(gain: Gain | None) -> Cell:
        if gain is None:
            return Cell("–", tone="muted")
        return Cell(number(gain.mean, digits, sign=True), interval(gain, digits, sign=True))

    def line(row: ShareRow) -> tuple[Cell, ...]:
        tuning = row.tuning
        return (
            *naming.cells(row.line), Cell(labelled.get(tuning.n_train, str(tuning.n_train))), cell(tuning.gain),
            verdict_cell(tuning.gain, stands=tuning.stands, words=_VERDICTS), Cell(p_words(tuning.p_holm)),
            false_cell(tuning), cell(row.over_scratch), cell(row.over_scratch_before),
        )  # fmt: skip

    return Table(
        name="tuning-share",
        caption=f"Tuning’s share: gain in {named} of each tuned method over itself with the options in the file, "
        "beside its gain over scratch where both are tuned and where neither is. On test subjects, paired by seed and "
        f"subject, with {percent(level)} intervals; positive is better. p is adjusted for {len(rows)} comparisons "
        "(Holm).",
        columns=(
            *naming.columns, "n", "Gain of tuning", "Verdict", "p", "False", "Over scratch, both tuned",
            "Over scratch, neither tuned",
        ),
        headers=len(naming.columns), rows=tuple(map(line, rows)), records=tuple(map(_record, rows)),
    )  # fmt: skip


def _record(row: ShareRow) -> dict[str, object]:
    tuning = row.tuning
    gains = {"tuning": tuning.gain, "over_scratch": row.over_scratch, "over_scratch_untuned": row.over_scratch_before}
    ends = {
        name + suffix: getattr(gain, source, None)
        for name, gain in gains.items()
        for suffix, source in (("", "mean"), ("_low", "low"), ("_high", "high"))
    }
    return (
        row.line._asdict() | {"n_train": tuning.n_train, "metric": row.metric} | ends
        | {"p": tuning.gain.p, "p_holm": tuning.p_holm, "verdict": _VERDICTS[tuning.direction],
           "stands": "yes" if tuning.stands else "no", "n_seeds": tuning.gain.n_seeds,
           "n_subjects": tuning.gain.n_subjects}
        | check_record(tuning)
    )  # fmt: skip


def share_words(rows: Sequence[ShareRow]) -> str:
    """What tuning itself gained, in one sentence or two."""
    standing = [row for row in rows if row.tuning.stands]
    words = []
    for direction, verb in (("gain", "gains"), ("negative", "loses")):
        named = [f"‘{r.line.method}’ at {r.tuning.n_train}" for r in standing if r.tuning.direction == direction]
        if named:
            words.append(f"{verb} with {listed(named)}")
    if not words:
        return "Tuning differs measurably from the options in the file with no method, at no size."
    rest = len(rows) - len(standing)
    others = f" With the other {rest} of {len(rows)} no difference was shown." if rest else ""
    return f"Over the options in the file, tuning {' and '.join(words)}.{others}"
