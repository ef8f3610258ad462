"""The model card: what the best model of each transfer is for, how good it is, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctlr.report.displays import (
    METRIC_WORDS,
    VERDICTS,
    gain_digits,
    gap_name,
    interval,
    interval_words,
    metric_label,
    score_digits,
)
from ctlr.report.formats import decimals, markdown, number
from ctlr.report.sections import Done
from ctlr.report.tables import SplitRow
from ctlr.report.views import View
from ctlr.specs import METRICS

__all__ = ["best_method", "model_card"]

_USES: Mapping[str, str] = {
    "bids": "research on brain images preprocessed the same way, of people like those it was trained on",
    "cohort": "trying CTLR out: the images are synthetic, and nothing follows for real brains",
    "images": "pictures like those it was trained on",
    "digits": "trying CTLR out: the set is small and its pictures are much alike",
    "torchvision": "comparing methods: the pictures are small, and much alike inside a class",
}


def model_card(views: Sequence[View], *, title: str) -> str:
    """Markdown with one part a transfer.

    The best method is the one with the best mean validation score at the largest size: choosing by the test set
    would flatter it.
    """
    cards = [card for view in views if (card := _card(view))]
    return "\n".join([f"# Model card: {markdown(title)}", "", *(cards or ["No model finished training."])]) + "\n"


def best_method(view: View) -> str | None:
    """Label of the trained method with the best validation score at the largest size."""
    rows = [row for row in view.rows.splits if row.n_train == view.detail_size and row.method != view.section.floor]
    scored = [row for row in rows if row.validation is not None]
    if not scored:
        return rows[0].method if rows else None
    pick = min if METRICS[view.section.task.headline] == "min" else max
    return pick(scored, key=_validation).method


def _validation(row: SplitRow) -> float:
    assert row.validation is not None
    return row.validation


def _card(view: View) -> str:
    method = best_method(view)
    if method is None:
        return ""
    section, size = view.section, view.detail_size
    cell = section.cells[method, size]
    lines = [
        f"## {markdown(view.heading)}", "",
        f"- **Method:** {markdown(method)}, chosen by its validation score at {size} labelled subjects",
        f"- **Encoder:** {markdown(section.encoder.name)}, {cell[0].result.parameters:,} trained parameters",
        f"- **Weights:** `{_best_seed(view, cell).result.path}/model.safetensors` in the workspace, the best of "
        f"{len(cell)} by validation",
        f"- **Trained on:** {size} labelled subjects of '{markdown(section.target.data.name)}'"
        + (f", after '{markdown(section.source.task.name)}' of '{markdown(section.source.data.name)}'"
           if section.source and cell[0].result.study.source else ""),
        "", "### Intended use", "",
        f"Predicting {markdown(section.task.name)} (column {markdown(section.task.target)}); meant for "
        f"{_USES[section.target.data.kind]}. It is no medical device: no decision about a person may rest on it.",
        "", "### Performance on the test set", "", *_performance(view, method), "",
        "### Limits", "", *_limits(view, method), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _best_seed(view: View, cell: Sequence[Done]) -> Done:
    metric = view.section.task.headline
    sign = 1 if METRICS[metric] == "max" else -1
    return max(cell, key=lambda done: sign * done.result.scores.get("validation", {}).get(metric, float("-inf") * sign))


def _performance(view: View, method: str) -> list[str]:
    rows, here = view.rows, (method, view.detail_size)
    digits = score_digits(rows.scores)
    lines = [
        f"- **{metric_label(view.section.task)}:** {number(row.estimate.mean, digits)} ("
        f"{interval_words([row.estimate], rows.level)} {interval(row.estimate, digits)}); "
        f"{row.estimate.n_subjects} test subjects, {row.estimate.n_seeds} seeds"
        for row in rows.scores
        if (row.method, row.n_train) == here
    ]
    digits = gain_digits(rows)
    lines += [
        f"- **Gain over {markdown(view.section.baseline or '')}:** {number(row.gain.mean, digits, sign=True)} "
        f"({interval(row.gain, digits, sign=True)}); verdict: {VERDICTS[row.direction]}"
        for row in rows.gains
        if (row.method, row.n_train) == here
    ]
    others = [
        f"{METRIC_WORDS[name]} {number(value, decimals([value]))}"
        for row in rows.metrics
        if (row.method, row.n_train) == here
        for name, value in row.values.items()
        if name != view.section.task.headline
    ]
    return [*lines, f"- **Other metrics:** {', '.join(others)}"] if others else lines


def _limits(view: View, method: str) -> list[str]:
    lines, name = [f"- {note}" for note in view.answer.notes], markdown(view.section.task.name)
    lines += [
        f"- {gap_name(view.section)}: slope {number(row.gap.slope, 2, sign=True)} on {name}; "
        "where it is negative, predictions lean towards the middle. Correct gaps before comparing people."
        for row in view.rows.gaps
        if (row.method, row.n_train) == (method, view.detail_size) and row.gap.slope is not None
    ]
    return [*lines, "- Not examined: subgroups, other scanners or sites, images prepared differently."]
