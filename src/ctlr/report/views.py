"""What the page shows of one contest: its answer, tables and drawings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctlr.report import diagnostic_plots, displays
from ctlr.report.contests import Contest, Done
from ctlr.report.diagnostics import calibration, confusion, roc
from ctlr.report.formats import Table
from ctlr.report.headline import Answer, answer
from ctlr.report.layer_curves import LayerView, layer_roles, layer_table, layer_view
from ctlr.report.plots import History, Style, forest, history_plot, learning_curves, styles
from ctlr.report.predictions import read_history
from ctlr.report.svg import Panel
from ctlr.report.sweeps import Sweep, sweeps
from ctlr.report.tables import Rows, compute
from ctlr.report.training import training_notes, training_rows, training_table
from ctlr.specs import METRICS, DataTask

__all__ = ["MethodPanels", "View", "method_styles", "view"]

MANY = 4
"""Methods that differ in their finetuning alone are all drawn up to this number; of more, those that were chosen."""


@dataclass(frozen=True)
class MethodPanels:
    """Drawings of one method, side by side."""

    label: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """A contest, ready for the page."""

    contest: Contest
    rows: Rows
    answer: Answer
    heading: str
    setting: str
    """One sentence: what is predicted, from what, by which encoder."""
    tables: Mapping[str, Table]
    curves: Panel | None
    forest: Panel | None
    layers: LayerView | None
    """None without a layer transfer; with one, its networks stand here, and in no other drawing of scores."""
    sweeps: tuple[Sweep, ...]
    """Groups of methods that differ in their finetuning alone."""
    detail_size: int
    """The size whose predictions are drawn: the largest."""
    methods: tuple[MethodPanels, ...]
    histories: tuple[MethodPanels, ...]

    @property
    def undrawn(self) -> frozenset[str]:
        """Methods of large sweeps that validation chose at no size: they stand in tables only."""
        return _undrawn(self.sweeps)

    @property
    def words(self) -> Mapping[str, str]:
        """Words that the page puts into its sentences."""
        task = self.contest.task
        return {
            "gap": displays.gap_name(self.contest),
            "floor": "mean" if task.kind == "regression" else "class shares",
            "interval": f"{displays.percent(self.rows.level)} interval",
        }

    @property
    def detail(self) -> str:
        """`detail_size` in words."""
        return self.contest.labelled(self.detail_size) if self.detail_size else ""

    @property
    def many_classes(self) -> bool:
        """Whether there are more than two."""
        return any(len(done.predictions["test"].classes) > 2 for done in self.contest.done)

    @property
    def slug(self) -> str:
        """Anchor on the page."""
        return self.contest.slug

    @property
    def contents(self) -> list[tuple[str, str]]:
        """(anchor, words) of the subsections that there are."""
        regression = self.contest.task.kind == "regression"
        found = [("scores", "Scores")]
        if self.contest.baseline:
            found.append(("gains", "Gain over scratch"))
        if self.rows.over_references:
            found.append(("baselines", "Against the best baseline"))
        if self.layers is not None:
            found.append(("layers", "Layer transfer"))
        if self.methods:
            found.append(("predictions", displays.gap_name(self.contest) if regression else "ROC and calibration"))
        return [*found, ("splits", "Train, validation, test")]


def method_styles(contests: Sequence[Contest]) -> dict[str, Style]:
    """One look a method throughout the report."""
    labels = dict.fromkeys(label for contest in contests for label in contest.methods)
    baselines = [label for label in labels if any(contest.baseline == label for contest in contests)]
    floors = [label for label in labels if any(contest.floor == label for contest in contests)]
    references = [label for label in labels if any(label in contest.references for contest in contests)]
    apart = (*baselines, *floors, *references)
    return styles([label for label in labels if label not in apart], baselines, floors, references)


def view(contest: Contest, style: Mapping[str, Style], root: Path, *, level: float, name_encoder: bool) -> View:
    """Compute and draw a contest.

    Args:
        contest: Studies of one transfer.
        style: By method.
        root: Of the workspace, for the histories.
        level: Share of intervals that hold the true value.
        name_encoder: Put the encoder into the heading: there are several.

    Raises:
        DataError: Studies were tested on different subjects, or a history is damaged.
    """
    rows = compute(contest, level=level)
    swept = tuple(sweeps(contest, rows))
    hidden = {*layer_roles(contest), *_undrawn(swept)}
    apart = (contest.floor, *contest.references)
    size = max((n for method, n in contest.cells if method not in apart), default=0)
    cells = {
        method: contest.cells[method, size]
        for method in contest.methods
        if (method, size) in contest.cells and method not in apart and method not in hidden
    }
    panels = _regression_panels if contest.task.kind == "regression" else _classification_panels
    label = displays.metric_label(contest.task)
    trained = training_rows(contest, rows.gaps)
    found = answer(contest, rows)
    tables = _tables(contest, rows) | ({"training": training_table(contest, trained)} if trained else {})
    return View(
        contest=contest, rows=rows, heading=_heading(contest, name_encoder),
        answer=Answer(found.text, (*found.notes, *training_notes(contest, trained))),
        setting=_setting(contest), tables=tables,
        curves=_curves(contest, rows, style, label, hidden) if rows.scores else None,
        forest=_forest(contest, rows, style, label) if rows.gains else None,
        layers=layer_view(contest, rows), sweeps=swept, detail_size=size,
        methods=panels(contest, rows, cells, style) if cells else (),
        histories=_histories(contest, cells, style, root, label),
    )  # fmt: skip


def _undrawn(swept: Sequence[Sweep]) -> frozenset[str]:
    found: set[str] = set()
    for sweep in swept:
        members = {setting.method for setting in sweep.settings}
        if len(members) > MANY:
            found |= members - {sweep.chosen(size).method for size in sweep.sizes}
    return frozenset(found)


def _tables(contest: Contest, rows: Rows) -> dict[str, Table]:
    found = {"data": displays.counts_table(contest, rows.counts)}
    if rows.scores:
        found |= {
            "scores": displays.scores_table(contest, rows), "metrics": displays.metrics_table(contest, rows.metrics),
            "splits": displays.splits_table(contest, rows.splits),
        }  # fmt: skip
    if rows.gains:
        found["gains"] = displays.gains_table(contest, rows)
    if rows.over_references:
        found["references"] = displays.references_table(contest, rows)
    if layer_roles(contest) and rows.scores:
        found["layers"] = layer_table(contest, rows)
    if rows.gaps:
        found["gap"] = displays.gap_table(contest, rows.gaps)
    return found


def _heading(contest: Contest, name_encoder: bool) -> str:
    encoder = f", encoder {contest.encoder.label or contest.encoder.name}" if name_encoder else ""
    return f"{contest.title[0].upper()}{contest.title[1:]}{encoder}"


def _setting(contest: Contest) -> str:
    words = f"Predict {_task(contest.target)}."
    if contest.source is not None:
        words += f" Transfer comes from {_task(contest.source)}."
    encoder = contest.encoder
    named = f"{encoder.label} ({encoder.name})" if encoder.label not in ("", encoder.name) else encoder.name
    return f"{words} Encoder: {named}."


def _task(end: DataTask) -> str:
    return f"‘{end.task.name}’ (column {end.task.target}, {end.task.kind}) of the dataset ‘{end.data.name}’"


# ---------------------------------------------------------------- drawings


def _curves(contest: Contest, rows: Rows, style: Mapping[str, Style], label: str, hidden: Collection[str]) -> Panel:
    better = "lower" if METRICS[contest.task.headline] == "min" else "higher"
    plain = [row for row in rows.scores if row.method not in hidden]
    return learning_curves(
        plain, style=style, label=label, better=better, name=f"{contest.slug}-curves", labelled=contest.labelled
    )


def _forest(contest: Contest, rows: Rows, style: Mapping[str, Style], label: str) -> Panel:
    return forest(
        rows.gains, style=style, label=label, baseline=contest.baseline or "", name=f"{contest.slug}-forest",
        labelled=contest.labelled,
    )  # fmt: skip


Cells = Mapping[str, Sequence[Done]]


def _regression_panels(
    contest: Contest, rows: Rows, cells: Cells, style: Mapping[str, Style]
) -> tuple[MethodPanels, ...]:
    size = next(iter(cells.values()))[0].result.study.n_train
    gaps = {row.method: row.gap for row in rows.gaps if row.n_train == size}
    measure = displays.unit(contest.task)
    label = f"{contest.task.name} ({measure})" if measure else contest.task.name
    truths = np.concatenate([gap.truth for gap in gaps.values()])
    both = np.concatenate([truths, *[gap.prediction for gap in gaps.values()]])
    errors = [values for gap in gaps.values() for values in (gap.gap, gap.corrected) if values is not None]
    reach = 1.05 * float(np.abs(np.concatenate(errors)).max()) or 1.0
    found = []
    for index, (method, gap) in enumerate(gaps.items()):
        name, colour = f"{contest.slug}-{index}", style[method].colour
        panels = [
            diagnostic_plots.prediction_plot(gap, colour=colour, limits=_limits(both), label=label, name=f"{name}-p")
        ]
        panels += [
            diagnostic_plots.gap_plot(
                gap, corrected=corrected, colour=colour, limits=_limits(truths), reach=reach, label=label,
                unit=measure, name=f"{name}-{'c' if corrected else 'u'}",
            )
            for corrected in ((False, True) if gap.corrected is not None else (False,))
        ]  # fmt: skip
        found.append(MethodPanels(method, tuple(panels)))
    return tuple(found)


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _classification_panels(
    contest: Contest, rows: Rows, cells: Cells, style: Mapping[str, Style]
) -> tuple[MethodPanels, ...]:
    found = []
    for index, (method, cell) in enumerate(cells.items()):
        name, colour = f"{contest.slug}-{index}", style[method].colour
        size = cell[0].result.study.n_train
        scores = next(row.values for row in rows.metrics if (row.method, row.n_train) == (method, size))
        curve = roc(cell)
        panels = [
            diagnostic_plots.calibration_plot(
                calibration(cell), error=scores.get("ece"), colour=colour, name=f"{name}-c"
            ),
            diagnostic_plots.confusion_plot(confusion(cell), colour=colour, name=f"{name}-m"),
        ]
        if curve is not None:
            auc = scores.get("roc_auc")
            panels.insert(0, diagnostic_plots.roc_plot(curve, auc=auc, colour=colour, name=f"{name}-r"))
        found.append(MethodPanels(method, tuple(panels)))
    return tuple(found)


def _histories(
    contest: Contest, cells: Cells, style: Mapping[str, Style], root: Path, label: str
) -> tuple[MethodPanels, ...]:
    column = f"validation_{contest.task.headline}"
    found = []
    for index, (method, cell) in enumerate(cells.items()):
        curves: list[History] = []
        for done in cell:
            history = read_history(root / done.result.path / "history.csv")
            if "epoch" in history and column in history:
                curves.append((history["epoch"], history[column], done.result.best_epoch))
        if curves:
            name = f"{contest.slug}-{index}-h"
            panel = history_plot(curves, colour=style[method].colour, label=label, name=name)
            found.append(MethodPanels(method, (panel,)))
    return tuple(found)
