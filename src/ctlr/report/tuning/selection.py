"""How sure the choice of a search is: rows of best against runner-up, and of validation against test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctlr.errors import DataError
from ctlr.report.numbers.contests import Contest, Done
from ctlr.report.numbers.gaps import known_mean
from ctlr.report.numbers.predictions import Predictions, read_predictions
from ctlr.report.numbers.rows import bin_edges
from ctlr.report.statistics.estimates import Gain, Outcome, paired_gain
from ctlr.report.tuning.rows import by_line
from ctlr.report.tuning.stages import Line, Tried, join_rounds, metric_of, value_of
from ctlr.specs import METRICS, SearchResult

__all__ = ["SelectionRow", "selection_rows"]


@dataclass(frozen=True, kw_only=True)
class SelectionRow:
    """How sure a choice is, and what of it was left on the test set."""

    line: Line
    n_train: int
    metric: str | None
    """None where trials were compared by something that the test set has no score of."""
    best: float | None
    runner_up: float | None
    gain: Gain | None
    """Of the best over the runner-up, paired over validation subjects; None where predictions are missing."""
    test: float | None
    """Mean over the seeds of the studies that were trained anew."""
    seeds: int
    gap: float | None
    """How much worse the test set is than the best trial's validation; negative where it is better."""


def selection_rows(
    searches: Sequence[SearchResult], contests: Sequence[Contest], root: Path, *, level: float
) -> list[SelectionRow]:
    """Best against runner-up on validation, and best against the test set, by line and size.

    Args:
        searches: By method and size; those that tried nothing have no row.
        contests: Of the studies that were trained anew with what was chosen.
        root: Of the workspace, for the trials' validation predictions.
        level: Share of intervals that hold the true value.
    """
    return [
        _selection(search, contests, root, level=level)
        for group in by_line(searches).values()
        for search in group
        if search.stages
    ]


def _selection(search: SearchResult, contests: Sequence[Contest], root: Path, *, level: float) -> SelectionRow:
    last = join_rounds(search.stages)[-1]
    metric = metric_of(last.objective) if last.stage != "pretrain" else None
    best, runner_up = [*last.ranked[:2], None, None][:2]
    contest, cell = _retrained(search, contests)
    gain = None
    if metric is not None and best is not None and runner_up is not None:
        sides = [_outcome(search, tried, root) for tried in (best, runner_up)]
        edges = bin_edges(contest, search.study.n_train) if contest is not None and metric == "f1_bins" else None
        gain = _gain(*sides, metric=metric, bins=edges, level=level)
    test = known_mean([done.result.scores.get("test", {}).get(metric or "") for done in cell])
    value = None if best is None else value_of(best)
    sign = 1 if metric is not None and METRICS[metric] == "min" else -1
    return SelectionRow(
        line=Line.of(search.study), n_train=search.study.n_train, metric=metric, best=value,
        runner_up=None if runner_up is None else value_of(runner_up), gain=gain, test=test, seeds=len(cell),
        gap=None if test is None or value is None else sign * (test - value),
    )  # fmt: skip


def _retrained(search: SearchResult, contests: Sequence[Contest]) -> tuple[Contest | None, Sequence[Done]]:
    """The studies that were trained with what a search chose: equal but for seeds and options."""
    for contest in contests:
        for done in contest.cells.get((search.study.method.label, search.study.n_train), ()):
            if Line.of(done.result.study) == Line.of(search.study):
                return contest, contest.cells[search.study.method.label, search.study.n_train]
    return None, ()


def _outcome(search: SearchResult, tried: Tried, root: Path) -> Outcome | None:
    """A trial's predictions on validation subjects; None where they cannot be read."""
    file = root / search.path / tried.trial.name / "validation.csv"
    try:
        found: Predictions = read_predictions(file, search.study.target.task.kind, needed="validation")["validation"]
    except DataError:
        return None
    classes = found.probabilities is not None
    return Outcome(
        seed=search.study.seed, subjects=found.subjects, truth=found.codes if classes else found.truth,
        predicted=found.probabilities if found.probabilities is not None else found.prediction,
    )  # fmt: skip


def _gain(
    best: Outcome | None,
    runner_up: Outcome | None,
    *,
    metric: str,
    bins: np.ndarray | None,
    level: float,
) -> Gain | None:
    if best is None or runner_up is None or (metric == "f1_bins" and bins is None):
        return None
    try:
        return paired_gain([best], [runner_up], metric, bins=bins, level=level)
    except DataError:  # the two were validated on different subjects
        return None
