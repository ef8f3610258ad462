"""Each method against the best of what trains no network on the target."""

from __future__ import annotations

from ctlr.report.findings import Findings, View
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import Direction, GainRow, Rows
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, number
from ctlr.report.wording import (
    factors,
    gain_digits,
    interval,
    metric_label,
    n_tested,
    p_words,
    percent,
    table_name,
    verdict_cell,
)

__all__ = ["baselines", "references_table"]


def baselines(found: Findings, view: View) -> Section:
    """Nothing on the page where no baseline finished."""
    there = bool(view.rows.over_references)
    return Section(
        anchor=f"{view.slug}-baselines", heading="Against the best baseline",
        template="baselines/baselines.html.j2" if there else "",
        tables=(references_table(view.contest, view.rows),) if there else (),
    )  # fmt: skip


def references_table(contest: Contest, rows: Rows) -> Table:
    """Paired difference of each method to the best baseline of its size."""
    digits = gain_digits(rows)
    ordered = sorted(rows.over_references, key=lambda row: row.n_train)
    words: dict[Direction, str] = {
        "gain": "better", "none": "no difference shown", "negative": "worse", "untested": "not tested",
    }  # fmt: skip

    def line(row: GainRow) -> tuple[Cell, ...]:
        return (
            Cell(row.method), Cell(contest.labelled(row.n_train)), Cell(rows.references[row.n_train]),
            Cell(number(row.gain.mean, digits, sign=True), interval(row.gain, digits, sign=True)),
            verdict_cell(row.gain, stands=row.stands, words=words), Cell(p_words(row.p_holm)),
        )  # fmt: skip

    return Table(
        name=table_name("baselines", contest),
        caption=f"Difference to the best baseline of each size (by its mean on the test set) in "
        f"{metric_label(contest)} with its {percent(rows.level)} interval, paired by seed and subject; positive "
        f"means that the method is better. p is adjusted for these {n_tested(ordered)} comparisons (Holm).",
        columns=("Method", "n", "Best baseline", "Difference", "Verdict", "p"),
        rows=tuple(map(line, ordered)),
        records=tuple(
            factors(contest)
            | {"method": row.method, "baseline": rows.references[row.n_train], "n_train": row.n_train,
               "metric": contest.task.headline, "gain": row.gain.mean, "low": row.gain.low, "high": row.gain.high,
               "p": row.gain.p, "p_holm": row.p_holm, "verdict": words[row.direction],
               "stands": "yes" if row.stands else "no", "n_seeds": row.gain.n_seeds,
               "n_subjects": row.gain.n_subjects}
            for row in ordered
        ),
    )  # fmt: skip
