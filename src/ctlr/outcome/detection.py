"""Which gains a benchmark would show, and what a gain needs, told before it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ctlr.config import BenchmarkConfig
from ctlr.cost import n_test
from ctlr.errors import ConfigError
from ctlr.outcome.pilot import contest_key, pilot_contests
from ctlr.plan import Plan
from ctlr.report.numbers.contests import Contest, contests
from ctlr.report.numbers.rows import gains_over_scratch
from ctlr.report.statistics.power import Design, Spread, detectable_gain, holm_level, seeds_needed, subjects_needed
from ctlr.specs import StudyResult, Value

__all__ = ["Detectable", "Foretold", "foretell"]

_SEEDS = (3, 5, 10, 20)


class Detectable(Value):
    """The gain that a number of seeds and test subjects would show."""

    seeds: int
    test_subjects: int
    gain: float
    """After Holm's correction for the benchmark's number of comparisons."""


class Foretold(Value):
    """What a benchmark would show at one sample size of one transfer, with a chance of 80 %."""

    transfer: str
    encoder: str
    n_train: int
    metric: str
    unit: str
    """Of the metric; empty without one."""
    comparisons: int
    """Of the transfer, at all sizes: what Holm's correction counts."""
    seen: tuple[int, int, int] | None
    """(methods, seeds, test subjects) whose spread was seen; None where none was, and nothing below is known."""
    seeds: int
    """Of the benchmark."""
    test_subjects: int = 0
    """Of the benchmark."""
    detectable: float | None = None
    """With these seeds and test subjects, after Holm's correction; None with one seed, which gives no verdict."""
    detectable_alone: float | None = None
    """The same, were it the only comparison."""
    seeds_needed: int | None = None
    """For the gain that was named, with these test subjects; None where no number is enough."""
    test_subjects_needed: int | None = None
    """For the gain that was named, with these seeds; None where no number is enough."""
    grid: tuple[Detectable, ...] = ()


def foretell(
    config: BenchmarkConfig, plan: Plan, root: Path, subjects: Mapping[str, int], gain: float
) -> list[Foretold]:
    """One row a transfer, encoder and sample size.

    Args:
        config: The benchmark.
        plan: Its plan.
        root: Workspace with finished studies of the benchmark, or of a cut-down copy of its file.
        subjects: By dataset, as far as they are known.
        gain: To be seen, in the unit of the headline metric.

    Raises:
        ConfigError: There is nothing to gain over.
        DataError: Predictions in the workspace do not fit together.
    """
    laid_out = contests([StudyResult(study=study, status="failed") for study in plan.studies])
    planned = [contest for contest in laid_out if contest.baseline and contest.contenders]
    if not planned:
        raise ConfigError("`--detect` asks for gains over training from scratch; `methods` has nothing else. Add one.")
    seen = {contest_key(contest): contest for contest in pilot_contests(plan, root)}
    return [
        row for contest in planned for row in _rows(config, contest, seen.get(contest_key(contest)), subjects, gain)
    ]


def _rows(
    config: BenchmarkConfig, contest: Contest, pilot: Contest | None, subjects: Mapping[str, int], gain: float
) -> list[Foretold]:
    gains = [] if pilot is None else gains_over_scratch(pilot, level=config.report.confidence)
    comparisons = len(contest.contenders) * len(contest.sizes)
    rows = []
    for size in contest.sizes:
        spreads = [Spread.of(row.gain.parts) for row in gains if row.n_train == size and row.gain.tested]
        row = Foretold(
            transfer=contest.title, encoder=contest.encoder.label, n_train=size, metric=contest.task.headline,
            unit=pilot.unit if pilot else "", comparisons=comparisons, seen=None, seeds=len(contest.seeds),
        )  # fmt: skip
        if spreads and pilot is not None:
            spread = replace(Spread.mean(spreads), lent=2.0 if comparisons > 1 else 1.0)
            tested = _test_subjects(config, contest, pilot, spread.design.subjects, subjects)
            row = _foretold(row, spread, tested, gain, config.report.confidence, len(spreads))
        rows.append(row)
    return rows


def _test_subjects(
    config: BenchmarkConfig, contest: Contest, pilot: Contest, seen: int, subjects: Mapping[str, int]
) -> int:
    """Of the benchmark: those that were seen, where the pilot's split was the same."""
    data = contest.target.data.name
    if pilot.results[0].study.split == config.split or data not in subjects:
        return seen
    return n_test(config.split, subjects[data])


def _foretold(row: Foretold, spread: Spread, tested: int, gain: float, confidence: float, methods: int) -> Foretold:
    level = holm_level(row.comparisons, confidence)
    own = Design(row.seeds, tested)
    enough = row.seeds > 1
    known = {
        "seen": (methods, spread.design.seeds, spread.design.subjects),
        "test_subjects": tested,
        "detectable": detectable_gain(spread.at(own), level) if enough else None,
        "detectable_alone": detectable_gain(spread.at(own), 1 - confidence) if enough else None,
        "seeds_needed": seeds_needed(spread, tested, gain, level),
        "test_subjects_needed": subjects_needed(spread, row.seeds, gain, level) if enough else None,
        "grid": tuple(
            Detectable(seeds=k, test_subjects=s, gain=detectable_gain(spread.at(Design(k, s)), level))
            for s in (tested, 2 * tested, 4 * tested)
            for k in sorted({*_SEEDS, row.seeds} - {1})
        ),
    }
    return row.model_copy(update=known)
