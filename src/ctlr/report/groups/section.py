"""Error by group: age, sex, site and the columns that the benchmark names, of the method that validation chose."""

from __future__ import annotations

from ctlr.report.findings import Findings, View
from ctlr.report.groups.rows import FEW, Groups, groups_of
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, decimals, listed, number
from ctlr.report.wording import factors, interval, interval_words, p_words, table_name

__all__ = ["groups", "groups_table", "groups_words"]


def groups(found: Findings, view: View) -> Section | None:
    """None where no column of the table groups the test subjects, or the table is no longer in the workspace."""
    known = groups_of(view, found.stocks.get(view.contest.target.data.name))
    if known is None:
        return None
    table = groups_table(view, known)
    return Section(
        anchor=f"{view.slug}-groups", heading="Error by group", template="groups/groups.html.j2",
        hint=", ".join(dict.fromkeys(row.column for row in known.rows)),
        shows={"view": view, "groups": known, "table": table, "words": groups_words(view, known)}, tables=(table,),
    )  # fmt: skip


def groups_words(view: View, found: Groups) -> str:
    """What can be said of the differences, and what cannot."""
    alpha = 1 - view.rows.level
    sure = [row for row in found.rows if row.p_holm < alpha and row.against is not None and row.against.mean > 0]
    looks = "1 look" if found.looks == 1 else f"{found.looks} looks"
    if sure:
        named = listed([f"{row.column} {row.group}" for row in sure])
        told = f"Errors are larger than others' for {named}, with all {looks} taken together."
    else:
        told = (
            f"No group's error is measurably larger than the others', with all {looks} taken together. That does not "
            "show that they are equal: see the intervals."
        )
    few = [f"{row.column} {row.group} ({row.n})" for row in found.rows if row.n < FEW]
    if len(few) == len(found.rows):
        told += f" No group has {FEW} test subjects: little is known of any."
    elif few:
        told += f" Little is known of groups with fewer than {FEW} test subjects: {', '.join(few)}."
    if found.left_out:
        told += f" {found.left_out} subjects stand in groups too small to be listed."
    return told


def groups_table(view: View, found: Groups) -> Table:
    """One row a group."""
    contest, regression = view.contest, view.contest.task.kind == "regression"
    unit = f" ({contest.unit})" if contest.unit else ""
    digits = decimals(row.error.mean for row in found.rows)
    error = f"MAE{unit}" if regression else "Accuracy"
    against = f"MAE against the others{unit}" if regression else "Share wrong against the others"
    told = [row.error for row in found.rows]
    return Table(
        name=table_name("groups", contest),
        caption=f"‘{found.method}’, chosen by validation, at n = {view.detail}: test subjects by group, with the "
        f"{interval_words(told, view.rows.level)}. p is adjusted for all {found.looks} comparisons (Holm).",
        columns=("Column", "Group", "Test subjects", error, *((f"Bias{unit}",) if regression else ()), against, "p"),
        headers=2,
        rows=tuple(
            (Cell(row.column), Cell(row.group), Cell(str(row.n), "few" if row.n < FEW else ""),
             Cell(number(row.error.mean, digits), interval(row.error, digits)),
             *((Cell(number(row.bias.mean, digits, sign=True), interval(row.bias, digits, sign=True)),)
               if row.bias is not None else ()),
             *((Cell("–"), Cell("–")) if row.against is None else
               (Cell(number(row.against.mean, digits, sign=True), interval(row.against, digits, sign=True)),
                Cell(p_words(row.p_holm)))))
            for row in found.rows
        ),
        records=tuple(
            factors(contest)
            | {"method": found.method, "n_train": view.detail_size, "column": row.column, "group": row.group,
               "n": row.n, "metric": "mae" if regression else "accuracy", "value": row.error.mean, "low": row.error.low,
               "high": row.error.high, "bias": row.bias.mean if row.bias else None}
            | ({} if row.against is None else
               {"against": row.against.mean, "against_low": row.against.low, "against_high": row.against.high,
                "p": row.against.p, "p_holm": row.p_holm})
            for row in found.rows
        ),
    )  # fmt: skip
