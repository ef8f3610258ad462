"""Scores on the test set by number of labelled subjects."""

from __future__ import annotations

from ctlr.report.findings import Findings, View
from ctlr.report.scores.curves import Curves, learning_curves, one_by_one
from ctlr.report.scores.tables import also_tables, metrics_table, scores_table
from ctlr.report.section import Section
from ctlr.report.wording import metric_label
from ctlr.specs import METRICS

__all__ = ["curves_of", "scores"]

MOST_LINES, MOST_NAMES = 10, 16
"""Up to so many coloured lines are told apart in one drawing, and so many names find room beside it; of more, each
method has a drawing of its own."""


def scores(found: Findings, view: View) -> Section | None:
    """None where no study has a score."""
    contest, rows = view.contest, view.rows
    if not rows.scores:
        return None
    tables = scores_table(contest, rows), metrics_table(contest, rows.metrics), *also_tables(contest, rows.metrics)
    curves = curves_of(found, view, name=f"{view.slug}-curves")
    coloured = [label for label in curves.methods if label not in (contest.floor, *contest.references)]
    many = len(coloured) > MOST_LINES or len(curves.methods) > MOST_NAMES
    beside = [label for label in (contest.floor, contest.baseline) if label is not None]
    alone = [label for label in coloured if label != contest.baseline]
    return Section(
        anchor=f"{view.slug}-scores", heading="Scores", template="scores/scores.html.j2", folded=False,
        tables=tables,
        shows={
            "curves": None if many else learning_curves(curves),
            "each": one_by_one(curves, alone, beside) if many else (), "view": view,
            "floor": "mean" if contest.task.kind == "regression" else "class shares",
        },
    )  # fmt: skip


def curves_of(found: Findings, view: View, *, name: str) -> Curves:
    """What is drawn of a contest's scores; `name` is the drawing's on its page."""
    contest, rows = view.contest, view.rows
    return Curves(
        rows=[row for row in rows.scores if row.method not in view.hidden], style=found.styles,
        label=metric_label(contest), better="lower" if METRICS[contest.task.headline] == "min" else "higher",
        name=name, labelled=contest.labelled, level=rows.level,
    )  # fmt: skip
