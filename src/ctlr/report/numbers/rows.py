"""The rows of a report: numbers computed from study results, nothing formatted yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctlr.report.numbers.contests import Contest, Done
from ctlr.report.numbers.gaps import Gap, gap, known_mean
from ctlr.report.statistics.claim_check import Check, checks
from ctlr.report.statistics.estimates import (
    Estimate,
    Gain,
    Outcome,
    Verdict,
    gains_together,
    holm,
    mean_score,
    paired_gain,
    scores_together,
)
from ctlr.specs import METRICS, also_name

__all__ = [
    "DIRECTIONS",
    "SPLITS",
    "CountRow",
    "Direction",
    "GainRow",
    "GapRow",
    "MetricRow",
    "Rows",
    "ScoreRow",
    "SplitRow",
    "bin_edges",
    "compute",
    "gains_between",
    "gains_of",
    "gains_over_scratch",
    "outcomes_of",
    "verdicts",
]

SPLITS = ("train", "validation", "test")


Direction = Literal["gain", "none", "negative", "untested"]
DIRECTIONS: Mapping[Verdict, Direction] = {
    "gain": "gain", "none": "none", "negative transfer": "negative", "not tested": "untested",
}  # fmt: skip
"""Verdicts in a word each, for tones and lookups."""


@dataclass(frozen=True, kw_only=True)
class CountRow:
    """Who was there at one size."""

    n_train: int
    validation: int
    test: int
    seeds: int
    finished: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A method's headline metric on the test set at one size."""

    method: str
    n_train: int
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class GainRow:
    """A method against another one at one size, paired by seed and subject."""

    method: str
    n_train: int
    gain: Gain
    """Positive is better, whichever way the metric runs."""
    p_holm: float
    """Adjusted for every comparison of the contest; NaN where nothing is tested (one seed)."""
    stands: bool
    """Whether the verdict also holds with all comparisons of the contest taken together."""
    check: Check | None = None
    """How likely a claim is false, and what would have been seen; None where nothing is tested."""

    @property
    def direction(self) -> Direction:
        """The interval's verdict."""
        return DIRECTIONS[self.gain.verdict]


@dataclass(frozen=True, kw_only=True)
class SplitRow:
    """The headline metric on the three splits, means over the seeds."""

    method: str
    n_train: int
    train: float | None
    validation: float | None
    test: float | None
    gap: float | None
    """How much worse the test set is than the training set; negative where it is better."""
    refit: bool = False
    """Whether `validation` is of the training that chose the epoch, since the model then learned those subjects too."""


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """Every metric on the test set, means over the seeds that have it."""

    method: str
    n_train: int
    seeds: int
    values: dict[str, float]
    also: dict[str, dict[str, float]] = field(default_factory=dict)
    """The same of the task's other targets, by column; of the source's model as it is, nothing."""


@dataclass(frozen=True, kw_only=True)
class GapRow:
    """How a method's gap (predicted minus true) leans on the truth."""

    method: str
    n_train: int
    gap: Gap


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a contest."""

    level: float
    """Share of intervals that hold the true value."""
    counts: list[CountRow]
    scores: list[ScoreRow]
    gains: list[GainRow]
    """Against the baseline."""
    over_mean: list[GainRow]
    """The baseline and all others against the mean predictor."""
    splits: list[SplitRow]
    metrics: list[MetricRow]
    gaps: list[GapRow]
    """Of a regression; empty for classes."""
    references: Mapping[int, str] = field(default_factory=dict)
    """The best of the contest's references at each size, by its mean over the seeds."""
    over_references: list[GainRow] = field(default_factory=list)
    """The baseline and all others against the best reference of their size: a family of its own."""
    over_covariates: list[GainRow] = field(default_factory=list)
    """The baseline and all others against the task's columns alone: likewise."""


def compute(contest: Contest, *, level: float) -> Rows:
    """Compute a contest's rows; methods in its order, sizes ascending.

    Args:
        contest: Studies of one transfer.
        level: Share of intervals that hold the true value.

    Raises:
        DataError: Studies were tested on different subjects.
    """
    others = [label for label in contest.methods if label not in (contest.floor, *contest.references)]
    scores = _scores(contest, level)
    references = _best_references(contest, scores)
    regression = contest.task.kind == "regression"
    return Rows(
        level=level,
        counts=[_counts(contest, size) for size in contest.sizes],
        scores=scores,
        gains=_gains(contest, contest.contenders, contest.baseline, level),
        over_mean=_gains(contest, others, contest.floor, level),
        references=references,
        over_references=_over_references(contest, others, references, level),
        over_covariates=_gains(contest, others, contest.covariates, level),
        splits=[_splits(contest, method, size) for method, size in _cells(contest)],
        metrics=[_metrics(contest, method, size) for method, size in _cells(contest)],
        gaps=[
            GapRow(method=method, n_train=size, gap=gap(contest.cells[method, size]))
            for method, size in _cells(contest)
            if regression and method in others
        ],
    )


def _cells(contest: Contest) -> list[tuple[str, int]]:
    return [(method, n) for method in contest.methods for n in contest.sizes if (method, n) in contest.cells]


def _counts(contest: Contest, size: int) -> CountRow:
    done = [study for study in contest.done if study.result.study.n_train == size]
    results = [result for result in contest.results if result.study.n_train == size]

    def subjects(split: str) -> int:
        return max((len(set(d.predictions[split].subjects)) for d in done if split in d.predictions), default=0)

    return CountRow(
        n_train=size, test=subjects("test"),
        validation=subjects("validation") or max(result.labelled_validation for result in results),
        seeds=len({result.study.seed for result in results}),
        finished=len(done), failed=len(results) - len(done),
    )  # fmt: skip


# ---------------------------------------------------------------- estimates


def outcomes_of(cell: Sequence[Done]) -> list[Outcome]:
    """What studies predicted on their test images."""
    return [
        Outcome(
            seed=done.result.study.seed,
            subjects=(test := done.predictions["test"]).subjects,
            truth=test.truth if test.probabilities is None else test.codes,
            predicted=test.prediction if test.probabilities is None else test.probabilities,
        )
        for done in cell
    ]


def _scores(contest: Contest, level: float) -> list[ScoreRow]:
    metric = contest.task.headline
    found = {
        (method, size): estimate
        for method, size in _cells(contest)
        if (
            estimate := mean_score(
                outcomes_of(contest.cells[method, size]), metric, bins=bin_edges(contest, size), level=level
            )
        )
    }
    together = scores_together(list(found.values()), metric, level=level)
    return [
        ScoreRow(method=method, n_train=size, estimate=estimate)
        for (method, size), estimate in zip(found, together, strict=True)
    ]


def _best_references(contest: Contest, scores: Sequence[ScoreRow]) -> dict[int, str]:
    """By the test set: whoever claims to be better than the luckiest of several claims it in earnest."""
    pick = min if METRICS[contest.task.headline] == "min" else max
    known = {size: [row for row in scores if row.n_train == size] for size in contest.sizes}
    of_size = {size: [row for row in rows if row.method in contest.references] for size, rows in known.items()}
    return {size: pick(rows, key=lambda row: row.estimate.mean).method for size, rows in of_size.items() if rows}


def _over_references(
    contest: Contest, methods: Sequence[str], references: Mapping[int, str], level: float
) -> list[GainRow]:
    best = {("the best baseline", size): contest.cells[label, size] for size, label in references.items()}
    beside = replace(contest, cells={**contest.cells, **best})
    return _gains(beside, methods, "the best baseline", level)


def _gains(contest: Contest, methods: Sequence[str], against: str | None, level: float) -> list[GainRow]:
    found = {
        (method, size): gain
        for method, size in _cells(contest)
        if method in methods and against is not None and (against, size) in contest.cells
        if (gain := _gain(contest, method, against, size, level))
    }
    together = gains_together(list(found.values()), contest.task.headline, level=level)
    return verdicts([(method, size, gain) for (method, size), gain in zip(found, together, strict=True)], level)


def verdicts(gains: Sequence[tuple[str, int, Gain]], level: float) -> list[GainRow]:
    """Rows of one table from (method, size, gain), each adjusted for all of them."""
    adjusted = holm([gain.p for _, _, gain in gains])
    stand = [gain.shown and p < 1 - level for (_, _, gain), p in zip(gains, adjusted, strict=True)]
    return [
        GainRow(method=method, n_train=size, gain=gain, p_holm=p, stands=stands, check=check)
        for (method, size, gain), p, stands, check in zip(
            gains, adjusted, stand, checks([gain for _, _, gain in gains], sum(stand), level), strict=True
        )
    ]


def gains_over_scratch(contest: Contest, *, level: float) -> list[GainRow]:
    """Every method's gains over the training from scratch, of a contest that is not looked at otherwise."""
    return _gains(contest, contest.contenders, contest.baseline, level)


def gains_between(contest: Contest, pairs: Sequence[tuple[str, str, int]], rows: Rows) -> list[Gain | None]:
    """What methods gain over others at a size, taken together as one table.

    Args:
        contest: Studies of one transfer.
        pairs: (method, other, size) of each comparison.
        rows: Of the contest.

    Returns:
        One a pair; None where no seed has both.
    """
    cells = contest.cells
    return gains_of(contest, [(cells[m, size], cells[other, size], size) for m, other, size in pairs], rows.level)


def gains_of(
    contest: Contest, pairs: Sequence[tuple[Sequence[Done], Sequence[Done], int]], level: float
) -> list[Gain | None]:
    """What studies gain over others of the contest's target at a size, as `gains_between` those of its methods."""
    found = [_paired(contest, own, other, size, level) for own, other, size in pairs]
    known = [gain for gain in found if gain is not None]
    together = iter(gains_together(known, contest.task.headline, level=level))
    return [None if gain is None else next(together) for gain in found]


def _gain(contest: Contest, method: str, other: str, size: int, level: float) -> Gain | None:
    return _paired(contest, contest.cells[method, size], contest.cells[other, size], size, level)


def _paired(contest: Contest, own: Sequence[Done], other: Sequence[Done], size: int, level: float) -> Gain | None:
    return paired_gain(
        outcomes_of(own), outcomes_of(other), contest.task.headline, bins=bin_edges(contest, size), level=level
    )


def bin_edges(contest: Contest, size: int) -> NDArray[np.float64] | None:
    """Inner edges of the target's bins for `f1_bins`: quintiles of the training targets of all seeds."""
    trains = [
        study.predictions["train"].truth
        for study in contest.done
        if study.result.study.n_train == size and "train" in study.predictions
    ]
    if contest.task.headline != "f1_bins" or not trains:
        return None
    return np.unique(np.quantile(np.concatenate(trains), (0.2, 0.4, 0.6, 0.8)))


# ---------------------------------------------------------------- means over seeds


def _splits(contest: Contest, method: str, size: int) -> SplitRow:
    metric = contest.task.headline
    means = {
        split: known_mean([done.result.scores.get(split, {}).get(metric) for done in contest.cells[method, size]])
        for split in SPLITS
    }
    cell = [done.result for done in contest.cells[method, size]]
    refit = any("before_refit" in result.scores for result in cell)
    if refit:
        means["validation"] = known_mean([result.chosen_by.get(metric) for result in cell])
    train, test = means["train"], means["test"]
    sign = 1 if METRICS[metric] == "min" else -1
    return SplitRow(
        method=method, n_train=size, train=train, validation=means["validation"], test=test,
        gap=None if train is None or test is None else sign * (test - train), refit=refit,
    )  # fmt: skip


def _metrics(contest: Contest, method: str, size: int) -> MetricRow:
    cell = contest.cells[method, size]

    def means(before: str = "") -> dict[str, float]:
        found = {m: known_mean([done.result.scores.get("test", {}).get(before + m) for done in cell]) for m in METRICS}
        return {name: value for name, value in found.items() if value is not None}

    also = {other.task.target: means(f"{also_name(other.task.target)}_") for other in contest.target.others}
    return MetricRow(method=method, n_train=size, seeds=len(cell), values=means(), also=also)
