"""Who was compared, and how."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import CountRow
from ctlr.report.theme.formats import Cell, Table
from ctlr.report.wording import factors, table_name
from ctlr.specs import StudyResult, TargetSummary

__all__ = ["counts_table", "methods_table", "targets_table"]


def counts_table(contest: Contest, counts: Sequence[CountRow]) -> Table:
    """Subjects, seeds and studies by size."""
    return Table(
        name=table_name("data", contest), caption=f"Subjects and studies: {contest.title}.",
        columns=("Labelled subjects, n (training + validation)", "Test", "Seeds", "Studies finished", "Studies failed"),
        rows=tuple(
            (Cell(contest.labelled(r.n_train)), Cell(_count(r.test)), Cell(f"{r.seeds}"),
             Cell(f"{r.finished}"), Cell(f"{r.failed}", tone="negative" if r.failed else ""))
            for r in counts
        ),
        records=tuple(factors(contest) | vars(r) for r in counts),
    )  # fmt: skip


def _count(value: int) -> str:
    return str(value) if value else "–"


def methods_table(results: Sequence[StudyResult], order: Sequence[str]) -> Table:
    """Every method in words, in the given order of labels."""
    methods = {result.study.method.label: result.study.method for result in results}
    ndim = {result.study.method.label: result.study.target.data.ndim for result in results}
    words = {label: methods[label].about() for label in order}
    views = {label: methods[label].views_words(ndim[label]) for label in order}
    refits = {label: "yes" if methods[label].refits else "no" for label in order}
    return Table(
        name="methods",
        caption="The methods, the random views through which their stages see images, and whether they were trained "
        "again on training and validation subjects together once the epoch was chosen.",
        columns=("Method", "What it does", "Views", "Refit"), headers=4,
        rows=tuple((Cell(m), Cell(does), Cell(views[m]), Cell(refits[m])) for m, does in words.items()),
        records=tuple(
            {"method": m, "kind": methods[m].method, "does": does, "views": views[m], "refit": refits[m]}
            for m, does in words.items()
        ),
    )  # fmt: skip


def targets_table(targets: Sequence[TargetSummary]) -> Table:
    """What the datasets hold of each target, and what in it may not be meant."""
    return Table(
        name="targets",
        caption="What the datasets hold of each target: range of a number, count of each class. The last column names "
        "what may not be meant.",
        columns=("Dataset", "Task", "Column", "With a target", "Holds", "To look at"), headers=6,
        rows=tuple(
            (Cell(each.data), Cell(each.task), Cell(each.column), Cell(f"{each.known} of {each.images}"),
             Cell(each.words), Cell(" ".join(each.warnings) or "–", tone="negative" if each.warnings else "muted"))
            for each in targets
        ),
        records=tuple(
            {"data": each.data, "task": each.task, "column": each.column, "images": each.images, "known": each.known,
             "unit": each.unit, "low": each.low, "median": each.median, "high": each.high, "holds": each.words,
             "warnings": " ".join(each.warnings)}
            for each in targets
        ),
    )  # fmt: skip
