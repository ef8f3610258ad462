"""Rows of systems that an expert and searches have set: nothing formatted yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
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
    """Whether that gap is more than what drawing other validation and test subjects would make of it."""
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
        for method in contest.methods:
            cell = contest.cells.get((method, size))
            if cell and (row := _row(method, size, cell, found, by_hand, level)) is not None:
                rows.append(row)
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
        gap=gap, overfit=gap is not None and _exceeds(gap, _chance(cell, test.mean - gap, test.mean), level),
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


def _chance(cell: Sequence[Done], validation: float, test: float) -> float:
    """Standard deviation of a gap between two error rates that are one, over other subjects of as many.

    Seeds do not lower it: they may share their subjects.
    """
    sides = [(validation, "validation"), (test, "test")]
    counts = [len(set(cell[0].predictions[side].subjects)) for _, side in sides if side in cell[0].predictions]
    return math.sqrt(sum(rate * (1 - rate) / max(count, 1) for (rate, _), count in zip(sides, counts, strict=False)))


def _exceeds(gap: float, deviation: float, level: float) -> bool:
    return gap > float(norm.ppf(0.5 + level / 2)) * deviation and gap > 0


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
