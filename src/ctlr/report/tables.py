"""The rows of a report: numbers computed from study results, nothing formatted yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctlr.report.diagnostics import Gap, gap, known_mean
from ctlr.report.sections import Done, Section
from ctlr.report.statistics import Estimate, Gain, Outcome, bootstrap_mean, holm, paired_gain
from ctlr.specs import METRICS

__all__ = [
    "SPLITS",
    "CountRow",
    "GainRow",
    "GapRow",
    "MetricRow",
    "Rows",
    "ScoreRow",
    "SplitRow",
    "bin_edges",
    "compute",
    "gain_between",
    "gain_of",
    "together",
]

SPLITS = ("train", "validation", "test")
_SEED = 0
"""Every estimate draws the same subjects: what a row says does not depend on the others."""


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
    """Adjusted for every comparison of the section."""
    stands: bool
    """Whether the verdict also holds with all comparisons of the section taken together."""

    @property
    def direction(self) -> Literal["gain", "none", "negative"]:
        """The interval's verdict."""
        return "negative" if self.gain.verdict == "negative transfer" else self.gain.verdict


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


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """Every metric on the test set, means over the seeds that have it."""

    method: str
    n_train: int
    seeds: int
    values: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class GapRow:
    """How a method's gap (predicted minus true) leans on the truth."""

    method: str
    n_train: int
    gap: Gap


@dataclass(frozen=True, kw_only=True)
class Rows:
    """All rows of a section."""

    level: float
    """Share of intervals that hold the true value."""
    replicates: int
    """Resamples behind each interval."""
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


def compute(section: Section, *, bootstrap: int, level: float) -> Rows:
    """Compute a section's rows; methods in its order, sizes ascending.

    Args:
        section: Studies of one transfer.
        bootstrap: Replicates; more are drawn where many comparisons ask for finer p-values (`statistics.holm`).
        level: Share of intervals that hold the true value.

    Raises:
        DataError: Studies were tested on different subjects.
    """
    comparisons = len(section.methods) * len(section.sizes)
    resampling = _Resampling(max(bootstrap, math.ceil(4 * comparisons / (1 - level))), level)
    others = [label for label in section.methods if label != section.floor]
    regression = section.task.kind == "regression"
    return Rows(
        level=level,
        replicates=resampling.replicates,
        counts=[_counts(section, size) for size in section.sizes],
        scores=_scores(section, resampling),
        gains=_gains(section, section.contenders, section.baseline, resampling),
        over_mean=_gains(section, others, section.floor, resampling),
        splits=[_splits(section, method, size) for method, size in _cells(section)],
        metrics=[_metrics(section, method, size) for method, size in _cells(section)],
        gaps=[
            GapRow(method=method, n_train=size, gap=gap(section.cells[method, size]))
            for method, size in _cells(section)
            if regression and method != section.floor
        ],
    )


def _cells(section: Section) -> list[tuple[str, int]]:
    return [(method, n) for method in section.methods for n in section.sizes if (method, n) in section.cells]


def _counts(section: Section, size: int) -> CountRow:
    done = [study for study in section.done if study.result.study.n_train == size]
    results = [result for result in section.results if result.study.n_train == size]

    def subjects(split: str) -> int:
        return max((len(set(d.predictions[split].subjects)) for d in done if split in d.predictions), default=0)

    return CountRow(
        n_train=size, validation=subjects("validation"), test=subjects("test"),
        seeds=len({result.study.seed for result in results}),
        finished=len(done), failed=len(results) - len(done),
    )  # fmt: skip


# ---------------------------------------------------------------- estimates


class _Resampling(NamedTuple):
    replicates: int
    level: float


def _outcomes(cell: Sequence[Done]) -> list[Outcome]:
    return [
        Outcome(
            seed=done.result.study.seed,
            subjects=(test := done.predictions["test"]).subjects,
            truth=test.truth if test.probabilities is None else test.codes,
            predicted=test.prediction if test.probabilities is None else test.probabilities,
        )
        for done in cell
    ]


def _scores(section: Section, resampling: _Resampling) -> list[ScoreRow]:
    rows = []
    for method, size in _cells(section):
        estimate = bootstrap_mean(
            _outcomes(section.cells[method, size]), section.task.headline, np.random.default_rng(_SEED),
            bins=bin_edges(section, size), **resampling._asdict(),
        )  # fmt: skip
        if estimate is not None:
            rows.append(ScoreRow(method=method, n_train=size, estimate=estimate))
    return rows


def _gains(section: Section, methods: Sequence[str], against: str | None, resampling: _Resampling) -> list[GainRow]:
    found: list[GainRow] = []
    for method, size in _cells(section):
        if method in methods and against is not None and (against, size) in section.cells:
            gain = paired_gain(
                _outcomes(section.cells[method, size]), _outcomes(section.cells[against, size]), section.task.headline,
                np.random.default_rng(_SEED), bins=bin_edges(section, size), **resampling._asdict(),
            )  # fmt: skip
            if gain is not None:
                found.append(GainRow(method=method, n_train=size, gain=gain, p_holm=1.0, stands=False))
    return together(found, resampling.level)


def together(rows: Sequence[GainRow], level: float) -> list[GainRow]:
    """The rows of one table, each adjusted for all of them."""
    return [
        replace(row, p_holm=p, stands=row.gain.verdict != "none" and p < 1 - level)
        for row, p in zip(rows, holm([row.gain.p for row in rows]), strict=True)
    ]


def gain_between(section: Section, method: str, other: str, size: int, rows: Rows) -> Gain | None:
    """What one method gains over another at a size, resampled like the section's rows; None where no seed has both."""
    cells = section.cells
    return gain_of(section, cells[method, size], cells[other, size], size, replicates=rows.replicates, level=rows.level)


def gain_of(
    section: Section, method: Sequence[Done], other: Sequence[Done], size: int, *, replicates: int, level: float
) -> Gain | None:
    """What studies gain over others of the same target at a size; None where no seed has both."""
    return paired_gain(
        _outcomes(method), _outcomes(other), section.task.headline, np.random.default_rng(_SEED),
        bins=bin_edges(section, size), replicates=replicates, level=level,
    )  # fmt: skip


def bin_edges(section: Section, size: int) -> NDArray[np.float64] | None:
    """Inner edges of the target's bins for `f1_bins`: quintiles of the training targets of all seeds."""
    trains = [
        study.predictions["train"].truth
        for study in section.done
        if study.result.study.n_train == size and "train" in study.predictions
    ]
    if section.task.headline != "f1_bins" or not trains:
        return None
    return np.unique(np.quantile(np.concatenate(trains), (0.2, 0.4, 0.6, 0.8)))


# ---------------------------------------------------------------- means over seeds


def _splits(section: Section, method: str, size: int) -> SplitRow:
    metric = section.task.headline
    means = {
        split: known_mean([done.result.scores.get(split, {}).get(metric) for done in section.cells[method, size]])
        for split in SPLITS
    }
    train, test = means["train"], means["test"]
    sign = 1 if METRICS[metric] == "min" else -1
    return SplitRow(
        method=method, n_train=size, train=train, validation=means["validation"], test=test,
        gap=None if train is None or test is None else sign * (test - train),
    )  # fmt: skip


def _metrics(section: Section, method: str, size: int) -> MetricRow:
    cell = section.cells[method, size]
    values = {name: known_mean([done.result.scores.get("test", {}).get(name) for done in cell]) for name in METRICS}
    known = {name: value for name, value in values.items() if value is not None}
    return MetricRow(method=method, n_train=size, seeds=len(cell), values=known)
