"""Tuning's share: what a method gains by being tuned, beside what it gains over training from scratch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ctlr.report.displays import METRIC_WORDS, interval, p_words, percent
from ctlr.report.formats import Cell, Table, decimals, number
from ctlr.report.headline import listed
from ctlr.report.search_stages import Line
from ctlr.report.sections import Done, Section
from ctlr.report.statistics import Gain
from ctlr.report.tables import GainRow, gain_of, together
from ctlr.report.tuning_tables import Naming
from ctlr.specs import StudyResult

__all__ = ["ShareRow", "share_rows", "share_table", "share_words"]

Cells = Mapping[tuple[Line, int], Sequence[Done]]

_VERDICTS = {"gain": "gain", "none": "none", "negative": "loss"}


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
    sections: Sequence[Section], at_defaults: Sequence[StudyResult | Done], *, bootstrap: int, level: float
) -> list[ShareRow]:
    """One row a method and size of which both ways have finished; a method without a source has one for all sections.

    Args:
        sections: Of tuned studies.
        at_defaults: The same studies with the options in the file.
        bootstrap: Replicates of an interval.
        level: Share of intervals that hold the true value.
    """
    before: dict[tuple[Line, int], list[Done]] = {}
    for item in at_defaults:
        if isinstance(item, Done):
            before.setdefault((Line.of(item.result.study), item.result.study.n_train), []).append(item)
    found: dict[tuple[Line, int], ShareRow] = {}
    for section in sections:
        for row in _rows(section, before, bootstrap=bootstrap, level=level):
            found.setdefault((row.line, row.tuning.n_train), row)
    adjusted = together([row.tuning for row in found.values()], level)
    return [replace(row, tuning=tuning) for row, tuning in zip(found.values(), adjusted, strict=True)]


def _rows(section: Section, before: Cells, *, bootstrap: int, level: float) -> Iterator[ShareRow]:
    def gain(method: Sequence[Done], other: Sequence[Done], size: int) -> Gain | None:
        return gain_of(section, method, other, size, replicates=bootstrap, level=level) if method and other else None

    for (method, size), tuned in section.cells.items():
        line = Line.of(tuned[0].result.study)
        tuning = gain(tuned, before.get((line, size), ()), size)
        if tuning is None:
            continue
        scratch = () if method == section.baseline else section.cells.get((section.baseline or "", size), ())
        scratch_before = before.get((Line.of(scratch[0].result.study), size), ()) if scratch else ()
        yield ShareRow(
            line=line, metric=section.task.headline,
            tuning=GainRow(method=method, n_train=size, gain=tuning, p_holm=1.0, stands=False),
            over_scratch=gain(tuned, scratch, size),
            over_scratch_before=gain(before[line, size], scratch_before, size),
        )  # fmt: skip


def share_table(rows: Sequence[ShareRow], *, level: float) -> Table:
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
        alone = "" if tuning.stands or tuning.direction == "none" else "taken alone"
        return (
            *naming.cells(row.line), Cell(str(tuning.n_train)), cell(tuning.gain),
            Cell(_VERDICTS[tuning.direction], alone, tuning.direction), Cell(p_words(tuning.p_holm)),
            cell(row.over_scratch), cell(row.over_scratch_before),
        )  # fmt: skip

    return Table(
        name="tuning-share",
        caption=f"Tuning’s share: gain in {named} of each tuned method over itself with the options in the file, "
        "beside its gain over scratch where both are tuned and where neither is. On test subjects, paired by seed and "
        f"subject, with {percent(level)} intervals; positive is better. p is adjusted for {len(rows)} comparisons "
        "(Holm).",
        columns=(
            *naming.columns, "n", "Gain of tuning", "Verdict", "p", "Over scratch, both tuned",
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
