"""Pairs of source and target side by side: what each gained, and what scores had promised."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GainRow, Rows
from ctlr.report.pairs.foretelling import LeftOut, RankCorrelation, leave_one_out, rank_correlation
from ctlr.report.statistics.estimates import holm
from ctlr.specs import METHODS, METRICS, TRANSFER_SCORES, DataTask, TransferScores

__all__ = [
    "Computed",
    "Foretold",
    "Pair",
    "PairGain",
    "Race",
    "foretold",
    "pair_gains",
    "pair_names",
    "pair_of",
    "races",
]

_WITH_UNIT = ("mae", "rmse")


class Computed(Protocol):
    """A contest with its rows."""

    @property
    def contest(self) -> Contest:
        """Studies of one transfer."""

    @property
    def rows(self) -> Rows:
        """Their numbers."""


Pair = tuple[str, str]
"""Source and target, each as `dataset.task`."""


def pair_of(source: DataTask, target: DataTask) -> Pair:
    """What tells a pair from the others of a benchmark."""
    first, second = (f"{end.data.name}.{end.task.name}" for end in (source, target))
    return first, second


def pair_names(pairs: Iterable[Pair]) -> dict[Pair, str]:
    """`source → target`, each side without what it shares in all pairs: one dataset, or one task."""
    known = list(dict.fromkeys(pairs))
    sides = [_short_ends([pair[side] for pair in known]) for side in (0, 1)]
    return {pair: " → ".join(side[end] for side, end in zip(sides, pair, strict=True)) for pair in known}


def _short_ends(ends: Sequence[str]) -> dict[str, str]:
    parts = {end: end.split(".", 1) for end in ends}
    one_data, one_task = (len({both[part] for both in parts.values()}) == 1 for part in (0, 1))
    return {end: task if one_data else data if one_task else end for end, (data, task) in parts.items()}


@dataclass(frozen=True, kw_only=True)
class PairGain:
    """What one way of pretraining gained on one pair at one size."""

    pair: Pair
    contest: Contest = field(repr=False)
    kind: str
    """The method's own name."""
    candidates: int
    """Methods of that kind on this pair; validation subjects chose among them."""
    row: GainRow
    """Of the chosen one; adjusted for all pairs, kinds and sizes."""


def pair_gains(views: Sequence[Computed], *, level: float) -> list[PairGain]:
    """Gains over scratch by pair, for each kind of method that uses the source.

    Where several methods of a kind were run on a pair, the one with the best mean validation score stands for them: the
    test set has no part in the choice.

    Args:
        views: Sections of a report.
        level: Of the verdicts, all pairs taken together.
    """
    found = [gain for view in views if view.contest.source is not None for gain in _of_contest(view)]
    adjusted = holm([each.row.gain.p for each in found])
    return [_adjusted(each, p, level) for each, p in zip(found, adjusted, strict=True)]


def _of_contest(view: Computed) -> list[PairGain]:
    contest = view.contest
    assert contest.source is not None
    sign = 1.0 if METRICS[contest.task.headline] == "max" else -1.0
    validation = {
        (row.method, row.n_train): sign * row.validation for row in view.rows.splits if row.validation is not None
    }
    groups: dict[tuple[int, str], list[GainRow]] = {}
    for row in sorted(view.rows.gains, key=lambda row: row.n_train):
        study = contest.cells[row.method, row.n_train][0].result.study
        if study.source is not None:
            groups.setdefault((row.n_train, study.method.method), []).append(row)
    return [
        PairGain(
            pair=pair_of(contest.source, contest.target), contest=contest, kind=kind, candidates=len(rows),
            row=max(rows, key=lambda row: validation.get((row.method, row.n_train), -math.inf)),
        )
        for (_, kind), rows in groups.items()
    ]  # fmt: skip


def _adjusted(found: PairGain, p: float, level: float) -> PairGain:
    row = found.row
    stands = row.gain.shown and p < 1 - level
    adjusted = GainRow(method=row.method, n_train=row.n_train, gain=row.gain, p_holm=p, stands=stands)
    return PairGain(**vars(found) | {"row": adjusted})


# ---------------------------------------------------------------- scores beside gains


@dataclass(frozen=True, kw_only=True)
class Race:
    """Pairs whose gains can be compared: one encoder, one metric, one size. Scores are held against their gains."""

    encoder: str
    metric: str
    n_train: int
    gains: tuple[PairGain, ...]
    scores: Mapping[Pair, Mapping[str, float]]
    """Means over the seeds, by name."""
    ranges: Mapping[Pair, Mapping[str, tuple[float, float]]]
    """Least and largest over the seeds, where there are several."""

    @property
    def labelled(self) -> str:
        """The size in words, `20 + 20`."""
        return self.gains[0].contest.labelled(self.n_train)


def races(gains: Sequence[PairGain], transfers: Sequence[TransferScores]) -> list[Race]:
    """Put the gains of supervised pretraining into groups that can be compared, with their scores.

    Errors in a target's unit (MAE, RMSE) are compared among pairs with that target only.
    """
    groups: dict[tuple[str, str, str, int], list[PairGain]] = {}
    for each in gains:
        task = each.contest.task
        target = each.pair[1] if task.headline in _WITH_UNIT else ""
        if METHODS[each.kind].leaves_head:
            key = (each.contest.encoder.label, task.headline, target, each.row.n_train)
            groups.setdefault(key, []).append(each)
    found = []
    for (encoder, metric, _, n_train), group in groups.items():
        values = {each.pair: _scores(each, transfers) for each in group}
        found.append(
            Race(
                encoder=encoder, metric=metric, n_train=n_train, gains=tuple(group),
                scores={pair: {k: float(np.mean(v)) for k, v in named.items()} for pair, named in values.items()},
                ranges={
                    pair: {k: (min(v), max(v)) for k, v in named.items() if len(v) > 1}
                    for pair, named in values.items()
                },
            )
        )  # fmt: skip
    return [race for race in found if any(race.scores.values())]


def _scores(gain: PairGain, transfers: Sequence[TransferScores]) -> dict[str, list[float]]:
    """One value a seed: of the pretrainings that the method began from, and of the pair's images."""
    cell = gain.contest.cells[gain.row.method, gain.row.n_train]
    pretrainings = {done.result.pretraining for done in cell}
    found: dict[str, list[float]] = {}
    for each in transfers:
        if each.pretraining in pretrainings if each.pretraining else pair_of(each.source, each.target) == gain.pair:
            for name, value in each.scores.items():
                found.setdefault(name, []).append(value)
    return found


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """How one score did in one race."""

    score: str
    race: Race = field(repr=False)
    pairs: tuple[Pair, ...]
    """Those that have the score."""
    ranks: RankCorrelation | None
    """Signed so that 1 is a score that promises rightly."""
    p_holm: float | None
    """Adjusted for all scores and races of the report."""
    left_out: LeftOut | None


def foretold(found: Sequence[Race], *, bootstrap: int, level: float) -> list[Foretold]:
    """Hold every score against the gains of every race.

    Args:
        found: From `races`.
        bootstrap: Draws of pairs behind an interval.
        level: Share of intervals that hold the true value.
    """
    rows = [_foretold(race, score, bootstrap, level) for race in found for score in TRANSFER_SCORES]
    rows = [row for row in rows if row.pairs]
    known = [row.ranks.p for row in rows if row.ranks is not None]
    adjusted = iter(holm(known))
    return [Foretold(**vars(row) | {"p_holm": next(adjusted) if row.ranks is not None else None}) for row in rows]


def _foretold(race: Race, score: str, bootstrap: int, level: float) -> Foretold:
    gains = {each.pair: each.row.gain.mean for each in race.gains if score in race.scores[each.pair]}
    values = [race.scores[pair][score] for pair in gains]
    sign = 1.0 if TRANSFER_SCORES[score] == "max" else -1.0
    promise = [sign * value for value in values]
    ranks = rank_correlation(
        promise, list(gains.values()), np.random.default_rng(0),
        replicates=bootstrap, level=level,
    )  # fmt: skip
    return Foretold(
        score=score, race=race, pairs=tuple(gains), ranks=ranks, p_holm=None,
        left_out=leave_one_out(promise, list(gains.values())),
    )  # fmt: skip
