"""Train, validation and test side by side; epochs and histories."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.report.findings import Findings, View
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.predictions import read_history
from ctlr.report.numbers.rows import SPLITS, SplitRow
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, decimals, number
from ctlr.report.theme.styles import MethodPanels
from ctlr.report.training.advice import training_rows, training_table
from ctlr.report.training.histories import History, history_plot
from ctlr.report.training.time_to import time_to_rows, time_to_table
from ctlr.report.wording import factors, metric_label, table_name

__all__ = ["splits_table", "training"]


def training(found: Findings, view: View) -> Section:
    """Read the histories.

    Raises:
        DataError: A history is damaged.
    """
    contest = view.contest
    trained = training_rows(contest, view.rows.gaps)
    epochs = training_table(contest, trained) if trained else None
    splits = splits_table(contest, view.rows.splits) if view.rows.scores else None
    target, root = found.finished.config.report.time_to, found.finished.root
    times = None if target is None else time_to_table(contest, time_to_rows(contest, root, target), target)
    return Section(
        anchor=f"{view.slug}-splits", heading="Train, validation, test",
        title="Train, validation and test", template="training/training.html.j2",
        shows={"view": view, "splits": splits, "epochs": epochs, "times": times, "histories": _histories(found, view)},
        tables=tuple(table for table in (splits, epochs, times) if table is not None),
    )  # fmt: skip


def _histories(found: Findings, view: View) -> list[MethodPanels]:
    task = view.contest.task
    column, histories = f"validation_{task.headline}", []
    for index, (method, cell) in enumerate(view.drawn.items()):
        curves: list[History] = []
        for done in cell:
            history = read_history(found.finished.root / done.result.path / "history.csv")
            if "epoch" in history and column in history:
                curves.append((history["epoch"], history[column], done.result.best_epoch))
        if curves:
            panel = history_plot(
                curves,
                colour=found.styles[method].colour,
                label=metric_label(view.contest),
                name=f"{view.slug}-{index}-h",
            )
            histories.append(MethodPanels(method, (panel,)))
    return histories


_BEFORE_REFIT = (
    " A refitted model was trained on its validation subjects too: no score on them is its own. The one given is of "
    "the training before, which chose the epoch."
)


def splits_table(contest: Contest, splits: Sequence[SplitRow]) -> Table:
    """Train, validation and test side by side."""
    digits = decimals(v for row in splits for v in (row.train, row.validation, row.test) if v is not None)
    return Table(
        name=table_name("splits", contest),
        caption=f"{metric_label(contest)} on training, validation and test subjects, means over the seeds. The "
        "gap says how much worse the test set is than the training set."
        + (_BEFORE_REFIT if any(row.refit for row in splits) else ""),
        columns=("Method", "n", "Train", "Validation", "Test", "Gap"),
        rows=tuple(
            (Cell(r.method), Cell(contest.labelled(r.n_train)),
             *(Cell(number(getattr(r, s), digits), "before the refit" if r.refit and s == "validation" else "")
               for s in SPLITS),
             Cell(number(r.gap, digits, sign=True)))
            for r in splits
        ),
        records=tuple(factors(contest) | {"metric": contest.task.headline} | vars(r) for r in splits),
    )  # fmt: skip
