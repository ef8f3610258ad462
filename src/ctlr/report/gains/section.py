"""Gains over training from scratch."""

from __future__ import annotations

from ctlr.report.findings import Findings, View
from ctlr.report.gains.forest import forest
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GainRow, Rows
from ctlr.report.section import Section
from ctlr.report.statistics.power import POWER
from ctlr.report.theme.formats import Cell, Table, number
from ctlr.report.wording import (
    VERDICTS,
    check_record,
    detectable_cell,
    factors,
    false_cell,
    gain_digits,
    interval,
    interval_words,
    metric_label,
    n_tested,
    p_words,
    percent,
    table_name,
    verdict_cell,
)

__all__ = ["gains", "gains_table"]


def gains(found: Findings, view: View) -> Section:
    """Nothing on the page where nobody was trained from scratch."""
    contest, rows = view.contest, view.rows
    drawing = forest(
        rows.gains, style=found.styles, label=metric_label(contest), baseline=contest.baseline or "",
        name=f"{view.slug}-forest", labelled=contest.labelled, level=rows.level,
    ) if rows.gains else None  # fmt: skip
    return Section(
        anchor=f"{view.slug}-gains", heading="Gain over scratch" if contest.transfers else f"Gain over {contest.rival}",
        title=f"Gain over {contest.rival}", folded=False,
        template="gains/gains.html.j2" if contest.baseline else "", shows={"forest": drawing, "view": view},
        tables=(gains_table(contest, rows),) if rows.gains else (),
    )  # fmt: skip


def gains_table(contest: Contest, rows: Rows) -> Table:
    """Paired difference to the baseline with interval and verdict."""
    digits = gain_digits(rows)
    ordered = sorted(rows.gains, key=lambda row: row.n_train)
    words = VERDICTS if contest.transfers else {**VERDICTS, "negative": "loss"}

    def line(row: GainRow) -> tuple[Cell, ...]:
        return (
            Cell(row.method), Cell(contest.labelled(row.n_train)),
            Cell(number(row.gain.mean, digits, sign=True), interval(row.gain, digits, sign=True)),
            verdict_cell(row.gain, stands=row.stands, words=words), Cell(p_words(row.p_holm)),
            false_cell(row), detectable_cell(row, digits),
        )  # fmt: skip

    return Table(
        name=table_name("gains", contest),
        caption=f"Gain over {contest.baseline} in {metric_label(contest)} with its "
        f"{interval_words([row.gain for row in ordered], rows.level)}, paired by seed and subject; positive is better. "
        f"p is adjusted for {n_tested(rows.gains)} comparisons (Holm). False: probability that the claim is false. "
        f"Would be seen: the gain that these seeds and test subjects show with a chance of {percent(POWER)}, among all "
        "comparisons.",
        columns=("Method", "n", "Gain", "Verdict", "p", "False", "Would be seen"),
        rows=tuple(map(line, ordered)),
        records=tuple(
            factors(contest)
            | {"method": row.method, "baseline": contest.baseline, "n_train": row.n_train,
               "metric": contest.task.headline, "gain": row.gain.mean, "low": row.gain.low, "high": row.gain.high,
               "se": row.gain.se, "freedom": row.gain.freedom,
               "p": row.gain.p, "p_holm": row.p_holm, "verdict": words[row.direction],
               "stands": "yes" if row.stands else "no", "n_seeds": row.gain.n_seeds,
               "n_subjects": row.gain.n_subjects}
            | check_record(row)
            for row in ordered
        ),
    )  # fmt: skip
