"""The rows of a report's tuning section: numbers computed from searches, nothing formatted yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ctlr.errors import DataError
from ctlr.report.diagnostics import known_mean
from ctlr.report.predictions import Predictions, read_predictions
from ctlr.report.search_stages import Line, Tried, join_rounds, metric_of, value_of
from ctlr.report.sections import Done, Section
from ctlr.report.statistics import Gain, Outcome, paired_gain
from ctlr.report.tables import bin_edges
from ctlr.specs import METRICS, Parameter, SearchResult

__all__ = [
    "LIMIT",
    "Budget",
    "ChoiceRow",
    "LedgerRow",
    "LostRow",
    "SelectionRow",
    "Spread",
    "SpreadRow",
    "choice_rows",
    "ledger_rows",
    "lost_rows",
    "selection_rows",
    "spread_rows",
]

LIMIT = 0.05
"""Methods whose budgets are further apart than this are not compared at the same cost."""
Budget = Literal["trials", "seconds"]
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """What one search was charged, or all of one line together.

    What several searches share (a pretraining, and the trials that tuned it) is charged to each in equal parts: counts
    need not be whole.
    """

    line: Line
    n_train: int | None
    """None for the sum over the sizes."""
    trials: float
    succeeded: float
    failed: float
    stopped: float
    """Early."""
    killed: float
    """By the end of the search, while they ran."""
    seconds: float
    """Device seconds of the trials."""
    pretrain_seconds: float
    """The part charged of the fixed pretraining that trials started from."""
    shared_by: int = 1
    """Searches that share that pretraining, the largest number in a sum."""

    @property
    def total(self) -> float:
        """Device seconds charged."""
        return self.seconds + self.pretrain_seconds


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far apart methods are."""

    least: float
    most: float
    share: float
    """(most - least) / mean over the methods; 0 where all have nothing."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        mean = sum(values) / len(values)
        least, most = min(values), max(values)
        return cls(least=least, most=most, share=(most - least) / mean if mean else 0.0)


@dataclass(frozen=True, kw_only=True)
class SpreadRow:
    """The methods' costs held against each other."""

    n_train: int | None
    """None for the sum over the sizes."""
    trials: Spread
    seconds: Spread

    def exceeds(self, budget: Budget) -> bool:
        """Whether what was budgeted is further apart than allowed."""
        return (self.trials if budget == "trials" else self.seconds).share > LIMIT


@dataclass(frozen=True, kw_only=True)
class ChoiceRow:
    """One option of one line: where it was searched, and what was chosen at each size."""

    line: Line
    stage: str
    option: str
    parameter: Parameter
    """As the first round had it."""
    values: Mapping[int, str]
    """n_train -> value; sizes whose search failed are missing."""


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


@dataclass(frozen=True, kw_only=True)
class LostRow:
    """A trial that failed; one that several sizes share stands once."""

    line: Line
    sizes: tuple[int, ...]
    stage: str
    tried: Tried
    names: Mapping[str, str]


def _by_line(searches: Iterable[SearchResult]) -> dict[Line, list[SearchResult]]:
    """Lines in order of appearance, each by size."""
    found: dict[Line, list[SearchResult]] = {}
    for search in searches:
        found.setdefault(Line.of(search.study), []).append(search)
    return {line: sorted(group, key=lambda search: search.study.n_train) for line, group in found.items()}


# ---------------------------------------------------------------- cost


def ledger_rows(searches: Sequence[SearchResult]) -> list[LedgerRow]:
    """Every search, and the sum over the sizes after the last of each line."""
    rows = []
    for line, group in _by_line(searches).items():
        own = [_ledger(line, search) for search in group]
        rows += [*own, _sum(line, own)]
    return rows


def _ledger(line: Line, search: SearchResult) -> LedgerRow:
    charged = [(trial, 1 / stage.shared_by) for stage in search.stages for trial in stage.trials]

    def count(status: str) -> float:
        return sum(share for trial, share in charged if trial.status == status)

    return LedgerRow(
        line=line, n_train=search.study.n_train, trials=sum(share for _, share in charged),
        succeeded=count("Succeeded"), failed=count("Failed"), stopped=count("EarlyStopped"),
        killed=count("Killed"), seconds=sum(share * trial.seconds for trial, share in charged),
        pretrain_seconds=search.pretrain_seconds / search.pretrain_shared_by, shared_by=search.pretrain_shared_by,
    )  # fmt: skip


def _sum(line: Line, rows: Sequence[LedgerRow]) -> LedgerRow:
    names = ("trials", "succeeded", "failed", "stopped", "killed", "seconds", "pretrain_seconds")
    totals = {name: sum(getattr(row, name) for row in rows) for name in names}
    return LedgerRow(line=line, n_train=None, shared_by=max(row.shared_by for row in rows), **totals)


def spread_rows(ledger: Sequence[LedgerRow]) -> list[SpreadRow]:
    """Lines held against each other at each size and in sum; nothing where there is a single line."""
    if len({row.line for row in ledger}) < 2:
        return []
    sizes = sorted({row.n_train for row in ledger if row.n_train is not None})
    groups = [(size, [row for row in ledger if row.n_train == size]) for size in (*sizes, None)]
    return [
        SpreadRow(n_train=size, trials=Spread.of([r.trials for r in rows]), seconds=Spread.of([r.total for r in rows]))
        for size, rows in groups
    ]


# ---------------------------------------------------------------- choices


def choice_rows(searches: Sequence[SearchResult]) -> list[ChoiceRow]:
    """Every option that was searched, by line and stage."""
    rows = []
    for line, group in _by_line(searches).items():
        known: dict[tuple[str, str], Parameter] = {}
        for search in group:
            for stage in join_rounds(search.stages):
                for parameter in stage.parameters:
                    known.setdefault((stage.stage, stage.names.get(parameter.name, parameter.name)), parameter)
        for (stage_name, option), parameter in known.items():
            values = {s.study.n_train: s.assignments[option] for s in group if option in s.assignments}
            rows.append(ChoiceRow(line=line, stage=stage_name, option=option, parameter=parameter, values=values))
    return rows


def lost_rows(searches: Sequence[SearchResult]) -> list[LostRow]:
    """Every failed trial, in order."""
    found: dict[tuple[Line, str, str], LostRow] = {}
    for search in searches:
        for stage in join_rounds(search.stages):
            for tried in stage.tried:
                if tried.trial.status != "Failed":
                    continue
                line = Line.of(search.study)
                # Of a stage that several sizes share, the trials' names are the same.
                key = (line, stage.stage, tried.trial.name if stage.shared_by > 1 else f"{search.path}/{tried.order}")
                sizes = (*(found[key].sizes if key in found else ()), search.study.n_train)
                found[key] = LostRow(line=line, sizes=sizes, stage=stage.stage, tried=tried, names=stage.names)
    return list(found.values())


# ---------------------------------------------------------------- how sure a choice is


def selection_rows(
    searches: Sequence[SearchResult], sections: Sequence[Section], root: Path, *, bootstrap: int, level: float
) -> list[SelectionRow]:
    """Best against runner-up on validation, and best against the test set, by line and size.

    Args:
        searches: By method and size; those that tried nothing have no row.
        sections: Of the studies that were trained anew with what was chosen.
        root: Of the workspace, for the trials' validation predictions.
        bootstrap: Replicates of an interval.
        level: Share of intervals that hold the true value.
    """
    return [
        _selection(search, sections, root, bootstrap=bootstrap, level=level)
        for group in _by_line(searches).values()
        for search in group
        if search.stages
    ]


def _selection(
    search: SearchResult, sections: Sequence[Section], root: Path, *, bootstrap: int, level: float
) -> SelectionRow:
    last = join_rounds(search.stages)[-1]
    metric = metric_of(last.objective) if last.stage != "pretrain" else None
    best, runner_up = [*last.ranked[:2], None, None][:2]
    section, cell = _retrained(search, sections)
    gain = None
    if metric is not None and best is not None and runner_up is not None:
        sides = [_outcome(search, tried, root) for tried in (best, runner_up)]
        edges = bin_edges(section, search.study.n_train) if section is not None and metric == "f1_bins" else None
        gain = _gain(*sides, metric=metric, bins=edges, bootstrap=bootstrap, level=level)
    test = known_mean([done.result.scores.get("test", {}).get(metric or "") for done in cell])
    value = None if best is None else value_of(best)
    sign = 1 if metric is not None and METRICS[metric] == "min" else -1
    return SelectionRow(
        line=Line.of(search.study), n_train=search.study.n_train, metric=metric, best=value,
        runner_up=None if runner_up is None else value_of(runner_up), gain=gain, test=test, seeds=len(cell),
        gap=None if test is None or value is None else sign * (test - value),
    )  # fmt: skip


def _retrained(search: SearchResult, sections: Sequence[Section]) -> tuple[Section | None, Sequence[Done]]:
    """The studies that were trained with what a search chose: equal but for seeds and options."""
    for section in sections:
        for done in section.cells.get((search.study.method.label, search.study.n_train), ()):
            if Line.of(done.result.study) == Line.of(search.study):
                return section, section.cells[search.study.method.label, search.study.n_train]
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
    bootstrap: int,
    level: float,
) -> Gain | None:
    if best is None or runner_up is None or (metric == "f1_bins" and bins is None):
        return None
    try:
        return paired_gain(
            [best], [runner_up], metric, np.random.default_rng(_SEED), bins=bins, replicates=bootstrap, level=level
        )
    except DataError:  # the two were validated on different subjects
        return None
