"""The rows of a report's tuning section: numbers computed from searches, nothing formatted yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ctlr.report.finished import Budget
from ctlr.report.tuning.stages import Line, Tried, join_rounds
from ctlr.specs import Parameter, SearchResult

__all__ = [
    "LIMIT",
    "ChoiceRow",
    "LedgerRow",
    "LostRow",
    "Spread",
    "SpreadRow",
    "by_line",
    "choice_rows",
    "ledger_rows",
    "lost_rows",
    "spread_rows",
]

LIMIT = 0.05
"""Methods whose budgets are further apart than this are not compared at the same cost."""


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
class LostRow:
    """A trial that failed; one that several sizes share stands once."""

    line: Line
    sizes: tuple[int, ...]
    stage: str
    tried: Tried
    names: Mapping[str, str]


def by_line(searches: Iterable[SearchResult]) -> dict[Line, list[SearchResult]]:
    """Lines in order of appearance, each by size."""
    found: dict[Line, list[SearchResult]] = {}
    for search in searches:
        found.setdefault(Line.of(search.study), []).append(search)
    return {line: sorted(group, key=lambda search: search.study.n_train) for line, group in found.items()}


# ---------------------------------------------------------------- cost


def ledger_rows(searches: Sequence[SearchResult]) -> list[LedgerRow]:
    """Every search, and the sum over the sizes after the last of each line."""
    rows = []
    for line, group in by_line(searches).items():
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
    for line, group in by_line(searches).items():
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
