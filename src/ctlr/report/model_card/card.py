"""The model card: what the best model of each transfer is for, how good it is, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctlr.report.answer.section import answer_of
from ctlr.report.findings import View
from ctlr.report.numbers.contests import Done
from ctlr.report.theme.formats import decimals, listed, markdown, number
from ctlr.report.wording import (
    METRIC_WORDS,
    VERDICTS,
    gain_digits,
    gap_name,
    interval,
    interval_words,
    metric_label,
    score_digits,
)
from ctlr.specs import METRICS, DataTask, InputColumn, ModelCard, TaskSpec, images_of

__all__ = ["model_card", "model_records"]


def model_card(views: Sequence[View], *, title: str, root: Path) -> str:
    """Markdown with one part a transfer.

    The best method is the one with the best mean validation score at the largest size: choosing by the test set
    would flatter it.

    Args:
        views: The transfers.
        title: Of the benchmark.
        root: Of the workspace, where a model says how its images were prepared.
    """
    cards = [card for view in views if (card := _card(view, root))]
    return "\n".join([f"# Model card: {markdown(title)}", "", *(cards or ["No model finished training."])]) + "\n"


def model_records(views: Sequence[View]) -> list[dict[str, Any]]:
    """The best seed of every trained method at the largest size, by validation; one of each transfer is `best`."""
    return [
        {
            "source": _name(view.contest.source) if cell[0].result.study.source else "",
            "target": _name(view.contest.target), "encoder": view.contest.encoder.label, "method": method,
            "n_train": size, "seed": done.result.study.seed, "metric": view.contest.task.headline,
            "direction": view.contest.task.direction,
            "validation": done.result.scores.get("validation", {}).get(view.contest.task.headline),
            "best": method == view.best, "path": done.result.path,
        }
        for view in views
        for (method, size), cell in view.contest.cells.items()
        if size == view.detail_size and method != view.contest.floor
        for done in [_best_seed(view, cell)]
    ]  # fmt: skip


def _name(end: DataTask | None) -> str:
    return f"{end.data.name}.{end.task.name}" if end else ""


def _card(view: View, root: Path) -> str:
    method = view.best
    if method is None:
        return ""
    contest, size = view.contest, view.detail_size
    cell = contest.cells[method, size]
    chosen = _best_seed(view, cell).result
    lines = [
        f"## {markdown(view.heading)}", "",
        f"- **Method:** {markdown(method)}, chosen by its validation score at {view.detail} labelled subjects "
        "(training + validation)",
        f"- **Encoder:** {markdown(contest.encoder.name)}, {cell[0].result.parameters:,} trained parameters",
        f"- **Weights:** `{chosen.path}/model.safetensors` in the workspace, the best of "
        f"{len(cell)} by validation",
        f"- **Trained on:** {_learned_from(view, method)} labelled subjects of '{markdown(contest.target.data.name)}'"
        + (f", after '{markdown(contest.source.task.name)}' of '{markdown(contest.source.data.name)}'"
           if contest.source and cell[0].result.study.source else ""),
        "", "### Intended use", "",
        f"Predicting {markdown(contest.task.name)} ({_columns_asked(contest.task)}); meant for "
        f"{contest.target.data.meant_for}. It is no medical device: no decision about a person may rest on it.",
        "", "### Preparation of images", "", *_preparation(root / chosen.path / "model.json"),
        "", "### Performance on the test set", "", *_performance(view, method), "",
        "### Limits", "", *_limits(view, method), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _columns_asked(task: TaskSpec) -> str:
    others = [markdown(other.target) for other in task.also]
    return f"column {markdown(task.target)}" + (f", and beside it {listed(others)}" if others else "")


def _learned_from(view: View, method: str) -> str:
    """Training subjects and those who chose the epoch; after a refit, both train."""
    result = view.contest.cells[method, view.detail_size][0].result
    if result.study.method.refits:
        return f"{result.labelled} (training + validation, both trained on after the refit)"
    return f"{result.study.n_train} (and {result.labelled_validation} chose the epoch)"


def _best_seed(view: View, cell: Sequence[Done]) -> Done:
    metric = view.contest.task.headline
    sign = 1 if METRICS[metric] == "max" else -1
    return max(cell, key=lambda done: sign * done.result.chosen_by.get(metric, float("-inf") * sign))


def _preparation(card: Path) -> list[str]:
    """What stands between a file and the network."""
    try:
        model = ModelCard.model_validate_json(card.read_text())
    except (OSError, ValueError):
        return ["- The model does not say how its images were prepared."]
    found = model.preparation
    beside = [f"- **Read beside the image:** {_column(column)}" for column in model.inputs]
    if found is None and model.ndim < 2:
        shape = ", ".join(map(str, model.shape))
        return [
            *beside,
            f"- **Input:** {images_of(model.ndim)}, an array (N, {shape}) of float32, prepared as the benchmark's "
            "`preprocess` says; `load_model(...).predict` takes it, and files are not read",
        ]
    if found is None:
        return ["- The model does not say how its images were prepared."]
    options, side = found.preprocess, " x ".join(map(str, found.preprocess.shape))
    if found.kind == "volume":
        where = {"all": "inside a mask of the brain", "some": "inside a mask of the brain, where there was one",
                 "none": "on the foreground; masks are not used"}[found.masks]  # fmt: skip
        lines = [f"- **Images:** NIfTI volumes, axes to {found.orientation}, voxels of {options.spacing:g} mm, "
                 f"{side} of them around the centre of the field of view, cropped and padded"]  # fmt: skip
    else:
        where, lines = "", [f"- **Images:** pictures, upright, the middle cut to the proportions of {side} (height x "
                            f"width) pixels and resized, channels {found.channels}"]  # fmt: skip
    scale = f"`normalise: {options.normalise}`, image by image{f', {where}' if where else ''}"
    lines += [
        f"- **Values:** {scale}; kept as {options.dtype}, from {found.low:g} to {found.high:g}",
        "- **Random views:** none when predicting",
    ]
    if (coverage := found.coverage) is not None:
        lines.append(
            f"- **Training images:** filled at least {coverage.filled:.0%} of that box, with at least "
            f"{coverage.kept:.0%} of what they show inside it; files that fall short by a tenth more are refused"
        )
    units = [f"- **Units of the target:** {markdown(found.units)}"] if found.units else []
    return [
        *lines,
        *beside,
        *units,
        f"- **Prepared by:** CTLR {found.ctlr}, rules {found.rules}; `ctlr.serving.predict_files`",
    ]


def _column(column: InputColumn) -> str:
    """What a model reads beside the image, and what it does where that is missing."""
    if column.kind == "category":
        met = ", ".join(map(markdown, column.categories))
        return f"{markdown(column.name)}, one of {met}; any other, and a missing one, counts as none of them"
    missing = "has a sign of its own" if column.flagged else "counts as the mean"
    return (
        f"{markdown(column.name)}, a number (mean {column.mean:.4g}, standard deviation {column.std:.4g} where it was "
        f"trained); a missing one {missing}"
    )


def _performance(view: View, method: str) -> list[str]:
    rows, here = view.rows, (method, view.detail_size)
    digits = score_digits(rows.scores)
    lines = [
        f"- **{metric_label(view.contest)}:** {number(row.estimate.mean, digits)} ("
        f"{interval_words([row.estimate], rows.level)} {interval(row.estimate, digits)}); "
        f"{row.estimate.n_subjects} test subjects, {row.estimate.n_seeds} seeds"
        for row in rows.scores
        if (row.method, row.n_train) == here
    ]
    digits = gain_digits(rows)
    lines += [
        f"- **Gain over {markdown(view.contest.baseline or '')}:** {number(row.gain.mean, digits, sign=True)} "
        f"({interval(row.gain, digits, sign=True)}); verdict: {VERDICTS[row.direction]}"
        for row in rows.gains
        if (row.method, row.n_train) == here
    ]
    lines += [
        f"- **Difference to the best baseline, {markdown(rows.references[row.n_train])}:** "
        f"{number(row.gain.mean, digits, sign=True)} ({interval(row.gain, digits, sign=True)}); "
        f"{'it stands' if row.stands else 'none was shown'} among {len(rows.over_references)} comparisons"
        for row in rows.over_references
        if (row.method, row.n_train) == here
    ]
    others = [
        f"{METRIC_WORDS[name]} {number(value, decimals([value]))}"
        for row in rows.metrics
        if (row.method, row.n_train) == here
        for name, value in row.values.items()
        if name != view.contest.task.headline
    ]
    lines += [f"- **Other metrics:** {', '.join(others)}"] if others else []
    return [
        *lines,
        *(
            f"- **Also {markdown(target)}:** "
            + ", ".join(f"{METRIC_WORDS[name]} {number(value, decimals([value]))}" for name, value in values.items())
            for row in rows.metrics
            if (row.method, row.n_train) == here
            for target, values in row.also.items()
            if values
        ),
    ]


def _limits(view: View, method: str) -> list[str]:
    lines, name = [f"- {note}" for note in answer_of(view).notes], markdown(view.contest.task.name)
    lines += [
        f"- {gap_name(view.contest)}: slope {number(row.gap.slope, 2, sign=True)} on {name}; "
        "where it is negative, predictions lean towards the middle. Correct gaps before comparing people."
        for row in view.rows.gaps
        if (row.method, row.n_train) == (method, view.detail_size) and row.gap.slope is not None
    ]
    return [*lines, "- Not examined: subgroups, other scanners or sites, images prepared differently."]
