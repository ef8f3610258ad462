"""Rows of systems that an expert and searches have set: nothing formatted yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ctlr.report.numbers.contests import Contest, Done
from ctlr.report.numbers.gaps import known_mean
from ctlr.report.numbers.rows import GainRow, outcomes_of
from ctlr.report.statistics.estimates import Estimate, Gain, mean_score, paired_gain
from ctlr.specs import SearchResult, Study

__all__ = ["Decision", "SystemRow", "decision", "system_rows"]

Chosen = Literal["baseline", "by hand", "search"]


@dataclass(frozen=True, kw_only=True)
class SystemRow:
    """Who made how many errors on each side; shares, means over the seeds."""

    system: str
    chosen: Chosen
    """What set its options."""
    algorithm: str
    """Of the search; empty for all others."""
    n_train: int
    train: float | None
    validation: float | None
    """None where it has learned from those subjects too."""
    test: Estimate
    """Of the error on the test set."""
    gap: float | None
    """Test error less validation error."""
    overfit: bool
    """Of a search: whether that gap exceeds the expert's by more than what drawing other subjects would make of it."""
    one_class: int
    """Seeds in which one class was predicted for every test image, although there are several."""
    seeds: int
    trials: int
    failed: int
    """Of the trials of its search."""
    parameters: int
    options: Mapping[str, object]
    """Of the encoder."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Manual or auto at one size: who did best on validation subjects among the searches, held against the expert."""

    n_train: int
    manual: SystemRow
    auto: SystemRow
    gain: Gain
    """Of accuracy by searching."""


def system_rows(
    contest: Contest, searches: Sequence[SearchResult], by_hand: Sequence[str], *, level: float
) -> list[SystemRow]:
    """One row a system and size, sizes ascending; nothing for what has no error (a regression).

    Args:
        contest: Studies of one transfer.
        searches: All of the benchmark.
        by_hand: Labels of what an expert has set.
        level: Share of intervals that hold the true value.
    """
    found = {_line(search.study): search for search in searches}
    rows = []
    for size in contest.sizes:
        cells = {method: cell for method in contest.methods if (cell := contest.cells.get((method, size)))}
        expert = next((cells[method] for method in cells if method in by_hand), ())
        searched = sum(_line(cell[0].result.study) in found for cell in cells.values())
        doubt = (1 - level) / max(searched, 1)  # Bonferroni: one of many searches is lucky
        for method, cell in cells.items():
            if (row := _row(method, size, cell, found, by_hand, level)) is not None:
                late = row.chosen == "search" and _gap_exceeds(cell, expert, doubt)
                rows.append(replace(row, overfit=late))
    return rows


def _row(
    method: str,
    size: int,
    cell: Sequence[Done],
    searches: Mapping[tuple[object, ...], SearchResult],
    by_hand: Sequence[str],
    level: float,
) -> SystemRow | None:
    right = mean_score(outcomes_of(cell), "accuracy", level=level)
    if right is None:
        return None
    results, first = [done.result for done in cell], cell[0].result
    search = searches.get(_line(first.study))
    trials = [trial for stage in search.stages for trial in stage.trials] if search is not None else []
    train, validation = (_error([r.scores.get(side, {}).get("accuracy") for r in results]) for side in _LEARNED)
    test = _as_error(right)
    gap = None if validation is None else test.mean - validation
    return SystemRow(
        system=method, n_train=size, seeds=len(cell), train=train, validation=validation, test=test,
        chosen="by hand" if method in by_hand else "search" if search is not None else "baseline",
        algorithm=", ".join(dict.fromkeys(stage.algorithm.name for stage in search.stages)) if search else "",
        gap=gap, overfit=False,
        one_class=0 if first.study.method.role == "floor" else sum(map(_says_one_class, cell)), trials=len(trials),
        failed=sum(trial.status == "Failed" for trial in trials),
        parameters=max(result.parameters for result in results),
        options=first.study.encoder.model_dump(mode="json", exclude={"label", "name", "plugin"})
        if first.study.method.trains_network else {},
    )  # fmt: skip


_LEARNED = ("train", "validation")


def _line(study: Study) -> tuple[object, ...]:
    """What a search and the studies with what it chose have alike."""
    ends = [(end.data.name, end.task.name) if end else None for end in (study.target, study.source)]
    return (*ends, study.method.label, study.encoder.label, study.n_train)


def _error(accuracies: Sequence[float | None]) -> float | None:
    mean = known_mean(accuracies)
    return None if mean is None else 1 - mean


def _as_error(right: Estimate) -> Estimate:
    return Estimate(
        mean=1 - right.mean, low=1 - right.high, high=1 - right.low, n_seeds=right.n_seeds,
        n_subjects=right.n_subjects, parts=right.parts,
    )  # fmt: skip


def _gap_exceeds(cell: Sequence[Done], expert: Sequence[Done], doubt: float) -> bool:
    """Whether a search loses more from validation to test than the expert does, whom validation has not chosen.

    The expert's gap tells how much easier these validation subjects are than the test subjects. Errors are held against
    each other subject by subject, means over the seeds, which may share subjects; without overfitting, both sides
    differ alike.
    """
    sides = [_differences(cell, expert, side) for side in ("validation", "test")]
    if not all(len(side) for side in sides):
        return False
    both = np.concatenate(sides)
    deviation = float(np.std(both)) * math.sqrt(sum(1 / len(side) for side in sides))
    return float(np.mean(sides[1]) - np.mean(sides[0])) > float(norm.isf(doubt)) * deviation


def _differences(cell: Sequence[Done], expert: Sequence[Done], side: str) -> NDArray[np.float64]:
    """Errors of the one less those of the other, (S,): a subject each; empty where the seeds share no subjects."""
    others = {done.result.study.seed: done.predictions.get(side) for done in expert}
    subjects, differences = [], []
    for done in cell:
        here, there = done.predictions.get(side), others.get(done.result.study.seed)
        if here is not None and there is not None and np.array_equal(here.subjects, there.subjects):
            subjects.append(here.subjects)
            wrong = (here.prediction != here.truth).astype(float)
            differences.append(wrong - (there.prediction != there.truth))
    if not subjects:
        return np.empty(0)
    _, places, counts = np.unique(np.concatenate(subjects), return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(places, weights=np.concatenate(differences)) / counts, np.float64)


def _says_one_class(done: Done) -> bool:
    test = done.predictions["test"]
    return len(np.unique(test.truth)) > 1 and len(np.unique(test.prediction)) == 1


def decision(
    contest: Contest, rows: Sequence[SystemRow], size: int, *, gains: Sequence[GainRow] = (), level: float
) -> Decision | None:
    """Hold the search that did best on validation subjects against the expert; None where one of them is missing.

    Test subjects choose nobody: the best search on them would be partly the luckiest. Where the contest's own `gains`
    are of accuracy over the expert, they are said again, so that a report has one interval for them.
    """
    here = [row for row in rows if row.n_train == size]
    manual = next((row for row in here if row.chosen == "by hand"), None)
    autos = [row for row in here if row.chosen == "search" and row.validation is not None]
    if manual is None or not autos:
        return None
    auto = min(autos, key=lambda row: (row.validation, row.system))
    if contest.task.headline == "accuracy" and contest.baseline == manual.system:
        for row in gains:
            if (row.method, row.n_train) == (auto.system, size):
                return Decision(n_train=size, manual=manual, auto=auto, gain=row.gain)
    tested, expert = (outcomes_of(contest.cells[row.system, size]) for row in (auto, manual))
    gain = paired_gain(tested, expert, "accuracy", level=level)
    return None if gain is None else Decision(n_train=size, manual=manual, auto=auto, gain=gain)
