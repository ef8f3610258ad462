"""What lies behind a score, at the largest size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ctlr.report.findings import Findings, View
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GapRow
from ctlr.report.predictions import plots
from ctlr.report.predictions.calibrated import calibration_of, calibration_table
from ctlr.report.predictions.diagnostics import calibration, confusion, roc
from ctlr.report.predictions.extremes import extremes, extremes_table
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, number
from ctlr.report.theme.styles import MethodPanels, Style
from ctlr.report.wording import factors, gap_name, table_name

__all__ = ["gap_table", "predictions"]


def predictions(found: Findings, view: View) -> Section:
    """Nothing on the page where no network finished."""
    regression = view.contest.task.kind == "regression"
    gaps = gap_table(view.contest, view.rows.gaps) if view.rows.gaps else None
    panels = _regression_panels if regression else _classification_panels
    name = gap_name(view.contest)
    rows = calibration_of(view)
    calibrated = calibration_table(view, rows) if rows else None
    extreme = extremes(view, found.stocks.get(view.contest.target.data.name)) if view.drawn else None
    listed = extremes_table(view, extreme) if extreme is not None else None
    return Section(
        anchor=f"{view.slug}-predictions", heading=name if regression else "ROC and calibration",
        title=f"Predictions and {name.lower()}" if regression else "ROC, calibration and confusion",
        template="predictions/predictions.html.j2" if view.drawn else "",
        hint="calibration, best and worst" if listed is not None else "calibration",
        shows={
            "view": view, "gap": name, "gaps": gaps, "methods": panels(view, found.styles) if view.drawn else (),
            "calibrated": calibrated, "extremes": listed, "pictures": extreme.pictures if extreme is not None else (),
            "many_classes": any(len(done.predictions["test"].classes) > 2 for done in view.contest.done),
        },
        tables=tuple(table for table in (gaps, calibrated, listed) if table is not None),
    )  # fmt: skip


def _regression_panels(view: View, style: Mapping[str, Style]) -> list[MethodPanels]:
    gaps = {row.method: row.gap for row in view.rows.gaps if row.n_train == view.detail_size}
    task = view.contest.task
    measure = view.contest.unit
    label = f"{task.name} ({measure})" if measure else task.name
    truths = np.concatenate([gap.truth for gap in gaps.values()])
    both = np.concatenate([truths, *[gap.prediction for gap in gaps.values()]])
    errors = [values for gap in gaps.values() for values in (gap.gap, gap.corrected) if values is not None]
    reach = 1.05 * float(np.abs(np.concatenate(errors)).max()) or 1.0
    found = []
    for index, (method, gap) in enumerate(gaps.items()):
        name, colour = f"{view.slug}-{index}", style[method].colour
        panels = [plots.prediction_plot(gap, colour=colour, limits=_limits(both), label=label, name=f"{name}-p")]
        panels += [
            plots.gap_plot(
                gap, corrected=corrected, colour=colour, limits=_limits(truths), reach=reach, label=label,
                unit=measure, name=f"{name}-{'c' if corrected else 'u'}",
            )
            for corrected in ((False, True) if gap.corrected is not None else (False,))
        ]  # fmt: skip
        found.append(MethodPanels(method, tuple(panels)))
    return found


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _classification_panels(view: View, style: Mapping[str, Style]) -> list[MethodPanels]:
    found = []
    values = {row.method: row.values for row in view.rows.metrics if row.n_train == view.detail_size}
    for index, (method, cell) in enumerate(view.drawn.items()):
        name, colour = f"{view.slug}-{index}", style[method].colour
        scores, curve = values[method], roc(cell)
        panels = [
            plots.calibration_plot(calibration(cell), error=scores.get("ece"), colour=colour, name=f"{name}-c"),
            plots.confusion_plot(confusion(cell), colour=colour, name=f"{name}-m"),
        ]
        if curve is not None:
            auc = scores.get("roc_auc")
            panels.insert(0, plots.roc_plot(curve, auc=auc, colour=colour, name=f"{name}-r"))
        found.append(MethodPanels(method, tuple(panels)))
    return found


def gap_table(contest: Contest, gaps: Sequence[GapRow]) -> Table:
    """Mean and slope of the gap, uncorrected and corrected."""
    target = contest.task.name
    return Table(
        name=table_name("gap", contest),
        caption=f"{gap_name(contest)} (predicted minus true {target}) on the test set, means over the seeds. The "
        f"correction is a line on {target} fitted on the validation subjects.",
        columns=("Method", "n", "Mean", f"Slope on {target}", "Mean, corrected", "Slope, corrected"),
        rows=tuple(
            (Cell(r.method), Cell(contest.labelled(r.n_train)), Cell(number(r.gap.mean, 2, sign=True)),
             Cell(number(r.gap.slope, 2, sign=True)), Cell(number(r.gap.corrected_mean, 2, sign=True)),
             Cell(number(r.gap.corrected_slope, 2, sign=True)))
            for r in gaps
        ),
        records=tuple(
            factors(contest)
            | {"method": r.method, "n_train": r.n_train, "mean": r.gap.mean, "slope": r.gap.slope,
               "mean_corrected": r.gap.corrected_mean, "slope_corrected": r.gap.corrected_slope}
            for r in gaps
        ),
    )  # fmt: skip
