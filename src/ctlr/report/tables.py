"""The rows of a report: numbers computed from study results, nothing formatted yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    refit: bool = False
    """Whether `validation` is of the training that chose the epoch, since the model then learned those subjects too."""


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
    references: Mapping[int, str] = field(default_factory=dict)
    """The best of the section's references at each size, by its mean over the seeds."""
    over_references: list[GainRow] = field(default_factory=list)
    """The baseline and all others against the best reference of their size: a family of its own."""


def compute(section: Section, *, bootstrap: int, level: float) -> Rows:
    """Compute a section's rows; methods in its order, sizes ascending.

    Args:
        section: Studies of one transfer.
        bootstrap: Replicates; more are drawn where many comparisons ask for finer p-values (`statistics.holm`).
        level: Share of intervals that hold the true value.

    Raises:
        DataError: Studies were tested on different subjects.
    """
    comparisons = (len(section.methods) - len(section.references)) * len(section.sizes)
    resampling = _Resampling(max(bootstrap, math.ceil(4 * comparisons / (1 - level))), level)
    others = [label for label in section.methods if label not in (section.floor, *section.references)]
    scores = _scores(section, resampling)
    references = _best_references(section, scores)
    regression = section.task.kind == "regression"
    return Rows(
        level=level,
        replicates=resampling.replicates,
        counts=[_counts(section, size) for size in section.sizes],
        scores=scores,
        gains=_gains(section, section.contenders, section.baseline, resampling),
        over_mean=_gains(section, others, section.floor, resampling),
        references=references,
        over_references=_over_references(section, others, references, resampling),
        splits=[_splits(section, method, size) for method, size in _cells(section)],
        metrics=[_metrics(section, method, size) for method, size in _cells(section)],
        gaps=[
            GapRow(method=method, n_train=size, gap=gap(section.cells[method, size]))
            for method, size in _cells(section)
            if regression and method in others
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
        n_train=size, test=subjects("test"),
        validation=subjects("validation") or max(result.labelled_validation for result in results),
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
    found: list[tuple[str, int, Gain]] = []
    for method, size in _cells(section):
        if method in methods and against is not None and (against, size) in section.cells:
            gain = paired_gain(
                _outcomes(section.cells[method, size]), _outcomes(section.cells[against, size]), section.task.headline,
                np.random.default_rng(_SEED), bins=bin_edges(section, size), **resampling._asdict(),
            )  # fmt: skip
            if gain is not None:
                found.append((method, size, gain))
    adjusted = holm([gain.p for _, _, gain in found])
    return [
        GainRow(
            method=method, n_train=size, gain=gain, p_holm=p,
            stands=gain.verdict != "none" and p < 1 - resampling.level,
        )
        for (method, size, gain), p in zip(found, adjusted, strict=True)
    ]  # fmt: skip


def _best_references(section: Section, scores: Sequence[ScoreRow]) -> dict[int, str]:
    """By the test set: whoever claims to be better than the luckiest of several claims it in earnest."""
    pick = min if METRICS[section.task.headline] == "min" else max
    known = {size: [row for row in scores if row.n_train == size] for size in section.sizes}
    of_size = {size: [row for row in rows if row.method in section.references] for size, rows in known.items()}
    return {size: pick(rows, key=lambda row: row.estimate.mean).method for size, rows in of_size.items() if rows}


def _over_references(
    section: Section, methods: Sequence[str], references: Mapping[int, str], resampling: _Resampling
) -> list[GainRow]:
    best = {("the best baseline", size): section.cells[label, size] for size, label in references.items()}
    beside = replace(section, cells={**section.cells, **best})
    return _gains(beside, methods, "the best baseline", resampling)


def gain_between(section: Section, method: str, other: str, size: int, rows: Rows) -> Gain | None:
    """What one method gains over another at a size, resampled like the section's rows; None where no seed has both."""
    return paired_gain(
        _outcomes(section.cells[method, size]), _outcomes(section.cells[other, size]), section.task.headline,
        np.random.default_rng(_SEED), bins=bin_edges(section, size), replicates=rows.replicates, level=rows.level,
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
    cell = [done.result for done in section.cells[method, size]]
    refit = any("before_refit" in result.scores for result in cell)
    if refit:
        means["validation"] = known_mean([result.chosen_by.get(metric) for result in cell])
    train, test = means["train"], means["test"]
    sign = 1 if METRICS[metric] == "min" else -1
    return SplitRow(
        method=method, n_train=size, train=train, validation=means["validation"], test=test,
        gap=None if train is None or test is None else sign * (test - train), refit=refit,
    )  # fmt: skip


def _metrics(section: Section, method: str, size: int) -> MetricRow:
    cell = section.cells[method, size]
    values = {name: known_mean([done.result.scores.get("test", {}).get(name) for done in cell]) for name in METRICS}
    known = {name: value for name, value in values.items() if value is not None}
    return MetricRow(method=method, n_train=size, seeds=len(cell), values=known)
