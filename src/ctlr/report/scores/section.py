"""Scores on the test set by number of labelled subjects."""

from __future__ import annotations

from ctlr.report.findings import Findings, View
from ctlr.report.scores.curves import learning_curves
from ctlr.report.scores.tables import also_tables, metrics_table, scores_table
from ctlr.report.section import Section
from ctlr.report.wording import metric_label
from ctlr.specs import METRICS

__all__ = ["scores"]


def scores(found: Findings, view: View) -> Section | None:
    """None where no study has a score."""
    contest, rows = view.contest, view.rows
    if not rows.scores:
        return None
    tables = scores_table(contest, rows), metrics_table(contest, rows.metrics), *also_tables(contest, rows.metrics)
    curves = learning_curves(
        [row for row in rows.scores if row.method not in view.hidden], style=found.styles,
        label=metric_label(contest), better="lower" if METRICS[contest.task.headline] == "min" else "higher",
        name=f"{view.slug}-curves", labelled=contest.labelled,
    )  # fmt: skip
    return Section(
        anchor=f"{view.slug}-scores", heading="Scores", template="scores/scores.html.j2", folded=False,
        tables=tables,
        shows={
            "curves": curves, "view": view, "floor": "mean" if contest.task.kind == "regression" else "class shares",
        },
    )  # fmt: skip
