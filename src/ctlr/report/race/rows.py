"""Rows of a race: every search by its best trial, and what the finalists come to on the test set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctlr.report.findings import Findings
from ctlr.report.numbers.contests import Contest, Done
from ctlr.report.numbers.rows import gains_of, outcomes_of
from ctlr.report.statistics.estimates import Estimate, Gain, mean_score
from ctlr.specs import METRICS, SearchResult

__all__ = ["Heat", "RaceRow", "heats"]


@dataclass(frozen=True, kw_only=True)
class RaceRow:
    """A search in a race."""

    name: str
    """Method, and encoder where it has one."""
    method: str
    encoder: str
    """Empty where it has none."""
    network: bool
    """Whether a network was trained."""
    rounds: int
    trials: int
    failed: int
    seconds: float
    """On the clock, of its turns."""
    validation: float | None
    """Of its best trial, by which it is ranked; None where no trial had a value."""
    test: Estimate | None
    """Of the model that its best options were trained to, where it is a finalist."""
    behind: Gain | None
    """What the winner gains over it on the test set, subject by subject; None for the winner and those not tested."""
    parameters: int
    """Of the model; 0 where it has none, or was not made."""
    options: Mapping[str, Any]
    """That were chosen."""
    refits: bool
    """Whether the tested model has learned from the validation images too."""
    legs: int
    """Budgets of seconds that its race had, one added after the other."""
    reason: str
    """Why it was not asked the test set; empty for a finalist."""
    path: str
    """Folder of its model below the workspace; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Heat:
    """The race of a target at a size."""

    contest: Contest
    """One of the target's."""
    n_train: int
    rows: tuple[RaceRow, ...]
    """Best on validation first; those without a value last."""
    n_validation: int
    """Images by which trials were judged."""

    @property
    def winner(self) -> RaceRow | None:
        """The first of the finalists; None where none was tested."""
        return next((row for row in self.rows if row.test is not None), None)

    @property
    def plain(self) -> RaceRow | None:
        """The best finalist without a network, where a network won."""
        if self.winner is None or not self.winner.network:
            return None
        return next((row for row in self.rows if row.test is not None and not row.network), None)

    @property
    def luck(self) -> float | None:
        """How much better the winner is on validation than on test, in the metric's unit; positive is optimism."""
        row = self.winner
        if row is None or row.validation is None or row.test is None:
            return None
        return (row.validation - row.test.mean) * (1 if METRICS[self.contest.task.headline] == "max" else -1)


def heats(found: Findings) -> list[Heat]:
    """The races of a benchmark, by target and size; none where it held none."""
    tuning = found.finished.config.tuning
    if tuning is None or tuning.race is None:
        return []
    grouped: dict[tuple[str, str, int], list[SearchResult]] = {}
    for search in found.finished.searches:
        target = search.study.target
        grouped.setdefault((target.data.name, target.task.name, search.study.n_train), []).append(search)
    return [_heat(found, group) for group in grouped.values() if _contests(found, group[0])]


def _contests(found: Findings, search: SearchResult) -> list[Contest]:
    """Those of a search's target."""
    target = search.study.target
    return [
        contest
        for contest in found.contests
        if (contest.target.data.name, contest.target.task.name) == (target.data.name, target.task.name)
    ]


def _heat(found: Findings, searches: Sequence[SearchResult]) -> Heat:
    contest, size = _contests(found, searches[0])[0], searches[0].study.n_train
    sign = 1 if METRICS[contest.task.headline] == "min" else -1
    best = {id(each): _best(each) for each in searches}
    ranked = sorted(searches, key=lambda each: math.inf if (v := best[id(each)]) is None else sign * v)
    cells = [_cell(found, each) for each in ranked]
    level = found.finished.level
    scores = [mean_score(outcomes_of(cell), contest.task.headline, level=level) if cell else None for cell in cells]
    tested = [place for place, score in enumerate(scores) if score is not None]
    behind = dict[int, Gain | None]()
    if tested:
        others = tested[1:]
        pairs = [(cells[tested[0]], cells[place], size) for place in others]
        behind = dict(zip(others, gains_of(contest, pairs, level), strict=True))
    validated = [result.labelled_validation for result in contest.results if result.study.n_train == size]
    return Heat(
        contest=contest, n_train=size, n_validation=max(validated, default=0),
        rows=tuple(
            _row(search, best[id(search)], cell, score, behind.get(place))
            for place, (search, cell, score) in enumerate(zip(ranked, cells, scores, strict=True))
        ),
    )  # fmt: skip


def _best(search: SearchResult) -> float | None:
    return search.turns[-1].best if search.turns else None


def _cell(found: Findings, search: SearchResult) -> tuple[Done, ...]:
    """The studies that its choice was trained to."""
    study = search.study
    if search.dropped or search.reason:
        return ()
    cell = study.method.label, study.n_train
    for contest in _contests(found, search):
        alike = not study.method.has_encoder or contest.encoder.label == study.encoder.label
        if alike and cell in contest.cells:
            return contest.cells[cell]
    return ()


def _row(
    search: SearchResult, best: float | None, cell: Sequence[Done], score: Estimate | None, behind: Gain | None
) -> RaceRow:
    study = search.study
    encoder = study.encoder.label if study.method.has_encoder else ""
    trials = [trial for stage in search.stages for trial in stage.trials]
    first = cell[0].result if cell else None
    return RaceRow(
        name=f"{study.method.label}, {encoder}" if encoder else study.method.label, method=study.method.label,
        encoder=encoder, network=study.method.trains_network, rounds=len(search.turns), trials=len(trials),
        failed=sum(trial.status == "Failed" for trial in trials), seconds=sum(turn.seconds for turn in search.turns),
        validation=best, test=score, behind=behind, parameters=first.parameters if first is not None else 0,
        options=search.assignments, refits=study.method.refits, reason=search.dropped or search.reason,
        legs=max((turn.leg for turn in search.turns), default=1), path=first.path if first is not None else "",
    )  # fmt: skip
