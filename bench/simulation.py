"""What the report's intervals and verdicts promise, in simulated benchmarks: `python -m bench statistics`.

Each benchmark has scratch and three methods at three sizes, ten seeds and S test subjects; of the same benchmark the
first K seeds are taken. No method is better than scratch, so every verdict is false. Test subjects are the same in all
cells, as in a real benchmark. The numbers come from the functions that the report calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctlr.report.statistics.variance import average, ends_inside, half_width, lone, of_others, variance_parts

__all__ = ["SCENARIOS", "Scenario", "Shares", "main", "shares", "simulate"]

Floats = NDArray[np.floating]

BENCHMARKS = 2000
SEEDS, SUBJECTS = (2, 3, 5, 10), (10, 50, 200)
METRICS = {"MAE": (0.0, np.inf), "balanced accuracy": (0.0, 1.0)}
"""With their ranges."""
LEVEL, MOST_FALSE = 0.93, 0.06
"""Fewest intervals that hold the truth, with three seeds or more, and most benchmarks with a false verdict."""
_METHODS, _SIZES, _MOST_SEEDS = 4, 3, 10
_YEARS = 12.5  # standard deviation of errors: an MAE of 10 years, as from scratch with 100 labels
_BLOCK = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How predictions err. The three shares of an error's variance make 1 together."""

    subject: float = 0.49
    """A subject's own, the same from every method."""
    method: float = 0.16
    """A subject's own with each method, the same for every seed."""
    alone: float = 0.35
    """Of each prediction alone."""
    seeds: tuple[float, ...] = (0.04,) * _METHODS
    """Standard deviation of the logarithm of a seed's errors, of scratch and each method."""
    student: bool = False
    """Whether all of these are Student's t with three degrees of freedom."""
    fails: tuple[float, ...] = (0.0,) * _METHODS
    """Share of seeds that learn nothing and predict the mean, of scratch and each method."""
    constant: bool = False
    """Whether all predictions are nearly the same."""

    @property
    def null(self) -> bool:
        """Whether no method differs from scratch."""
        return len(set(self.fails)) == 1


SCENARIOS = {
    "independent": Scenario(subject=0.0, method=0.0, alone=1.0, seeds=(0.0,) * 4),
    "subjects dominate": Scenario(subject=0.7, method=0.29, alone=0.01, seeds=(0.01,) * 4),
    "seeds dominate": Scenario(seeds=(0.3,) * 4),
    "both alike": Scenario(),
    "near-constant predictions": Scenario(constant=True),
    "heavy tails (Student's t, 3)": Scenario(student=True, seeds=(0.1,) * 4),
    "one seed in ten fails": Scenario(fails=(0.1,) * 4),
    "... of the methods, not of scratch": Scenario(fails=(0.0, 0.1, 0.1, 0.1)),
    "seeds vary unequally": Scenario(seeds=(0.1, 0.03, 0.1, 0.3)),
}


class Simulated(NamedTuple):
    """Benchmarks in one metric: (B, 4, 3, 10) scores, and (B, 4, 3, 10, S) without each subject; larger is better."""

    scores: Floats
    left_out: Floats


def simulate(scenario: Scenario, metric: str, count: int, n_subjects: int, rng: np.random.Generator) -> Simulated:
    """Draw benchmarks.

    Args:
        scenario: How predictions err.
        metric: `MAE` or `balanced accuracy` (of two classes, half of the subjects each).
        count: B.
        n_subjects: S, even.
        rng: Draws.
    """
    cells = (count, _METHODS, _SIZES, _MOST_SEEDS)
    parts = ((count, 1, 1, 1), scenario.subject), ((count, _METHODS, 1, 1), scenario.method), (cells, scenario.alone)
    error = sum(np.sqrt(share) * _noise(scenario, rng, (*shape, n_subjects)) for shape, share in parts if share)
    spread = np.reshape(scenario.seeds, (1, _METHODS, 1, 1, 1))
    seed = _noise(scenario, rng, (*cells, 1)) * spread
    failed = rng.random((*cells, 1)) < np.reshape(scenario.fails, (1, _METHODS, 1, 1, 1))
    failed |= scenario.constant
    if metric == "MAE":
        # Ages from 20 to 80; who predicts their mean errs by 15 years in the mean.
        ages = rng.uniform(-30, 30, (count, 1, 1, 1, n_subjects))
        mean = rng.normal(0, 2, (*cells, 1)) + 0.1 * error
        wider = np.exp(np.clip(seed, -2, 2) - spread**2 / 2)  # 1 in the mean, however much seeds vary
        return _mean_absolute(np.where(failed, mean - ages, _YEARS * error * wider))
    # A margin of 0.7 standard deviations: three quarters are right. Who fails says one class, or nearly.
    margin = 0.7 * np.sqrt(1 + 4 * spread**2)
    says_first = rng.random((*cells, 1)) < 0.5
    strays = rng.random((*cells, n_subjects)) < 0.02
    first = np.arange(n_subjects) < n_subjects // 2
    right = np.where(failed, (says_first == first) ^ strays, error + 2 * seed + margin > 0)
    return _balanced(right.astype(np.float32))


def _noise(scenario: Scenario, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    if scenario.student:
        return np.asarray(rng.standard_t(3, shape) / np.sqrt(3))
    return rng.standard_normal(shape, dtype=np.float32)


def _mean_absolute(error: Floats) -> Simulated:
    values, n = -np.abs(error), error.shape[-1]
    mean = values.mean(axis=-1, dtype=np.float64)
    return Simulated(mean, (n * mean[..., None] - values) / (n - 1))


def _balanced(right: Floats) -> Simulated:
    half = right.shape[-1] // 2
    classes = right.reshape(*right.shape[:-1], 2, half)
    recall = classes.mean(axis=-1)  # (..., 2)
    others = recall[..., ::-1, None]
    left_out = (others + (half * recall[..., None] - classes) / (half - 1)) / 2
    return Simulated(recall.mean(axis=-1), left_out.reshape(right.shape))


# ---------------------------------------------------------------- what intervals and verdicts do


class Shares(NamedTuple):
    """Per benchmark: (B,) each."""

    gains: Floats
    """Share of the nine gains' intervals, taken together as in a report, that hold the truth."""
    alone: Floats
    """Share when each gain is computed for itself."""
    scores: Floats
    """Share of the twelve scores' intervals."""
    false: Floats
    """Whether a verdict stands after Holm."""


def shares(found: Simulated, truth: Floats, metric: str, n_seeds: int) -> Shares:
    """What holds in each simulated benchmark.

    Args:
        found: The benchmarks.
        truth: (4,) true score of scratch and each method.
        metric: A key of `METRICS`.
        n_seeds: K, the first of which are taken.
    """
    scores, left_out = found.scores[..., :n_seeds], found.left_out[..., :n_seeds, :]
    gains = [_flat(values[:, 1:] - values[:, :1]) for values in (scores, left_out)]
    mean = gains[0].mean(axis=-1)
    off = np.abs(mean - np.repeat(truth[1:] - truth[0], _SIZES))
    width = _Widths(*gains)
    # Holm calls none real unless the least p is below 0.05 / 9.
    false = (np.abs(mean) > width.together(0.05 / mean.shape[1])).any(axis=1)
    score = _flat(scores).mean(axis=-1)
    low, high = _ends(score, _Widths(_flat(scores), _flat(left_out)).together(0.05), *METRICS[metric])
    true = np.repeat(truth, _SIZES)
    slack = 1e-6
    return Shares(
        (off <= width.together(0.05) + slack).mean(axis=1), (off <= width.alone(0.05) + slack).mean(axis=1),
        ((low - slack <= true) & (true <= high + slack)).mean(axis=1), false.astype(np.float64),
    )  # fmt: skip


def _flat(values: Floats) -> Floats:
    """(B, methods, sizes, ...) -> (B, cells, ...)."""
    return values.reshape(len(values), -1, *values.shape[3:])


class _Widths:
    """Half the widths of intervals of (B, cells) means over K seeds."""

    def __init__(self, scores: Floats, left_out: Floats) -> None:
        self.n_seeds, self.n_subjects = left_out.shape[-2:]
        self.subjects, self.seeds, self.shared = variance_parts(scores, left_out)

    def alone(self, alpha: float) -> Floats:
        seeds = lone(self.seeds, self.n_seeds)
        return half_width(seeds, self.n_seeds - 1, self.subjects, self.shared, self.n_subjects, alpha=alpha)

    def together(self, alpha: float) -> Floats:
        own = self.n_seeds - 1
        others = of_others(self.seeds, np.full(self.seeds.shape[1], own))
        seeds = average(self.seeds, own, others, own)
        return half_width(seeds, 2 * own, self.subjects, self.shared, self.n_subjects, alpha=alpha)


def _ends(score: Floats, half: Floats, floor: float, ceiling: float) -> tuple[Floats, Floats]:
    """Those of an MAE are found for its size, which is minus the simulated score."""
    if np.isfinite(ceiling):
        return ends_inside(score, half, floor, ceiling)
    low, high = ends_inside(-score, half, floor, ceiling)
    return -high, -low


# ---------------------------------------------------------------- tables


class Row(NamedTuple):
    """One scenario, metric and number of subjects: means over benchmarks and their standard errors, by seeds."""

    scenario: str
    metric: str
    n_subjects: int
    means: dict[int, Shares]
    errors: dict[int, Shares]


def rows(benchmarks: int = BENCHMARKS) -> Iterator[Row]:
    """Simulate every scenario; the same numbers in every run."""
    for name, scenario in SCENARIOS.items():
        for metric in METRICS:
            truth = _truth(scenario, metric)
            for n_subjects in SUBJECTS:
                yield _row(name, metric, truth, n_subjects, benchmarks)


def _truth(scenario: Scenario, metric: str) -> Floats:
    """(4,) true scores, from 1,000 benchmarks more; cells that differ in nothing have one."""
    rng = np.random.default_rng(1)
    mean = np.mean([simulate(scenario, metric, 50, 200, rng).scores.mean(axis=(0, 2, 3)) for _ in range(20)], axis=0)
    kinds = np.array(scenario.fails)
    return np.array([mean[kinds == kind].mean() for kind in kinds])


def _row(name: str, metric: str, truth: Floats, n_subjects: int, benchmarks: int) -> Row:
    rng = np.random.default_rng(2)
    block = max(1, _BLOCK // (_METHODS * _SIZES * _MOST_SEEDS * n_subjects))
    parts: dict[int, list[Shares]] = {n_seeds: [] for n_seeds in SEEDS}
    for start in range(0, benchmarks, block):
        found = simulate(SCENARIOS[name], metric, min(block, benchmarks - start), n_subjects, rng)
        for n_seeds, own in parts.items():
            own.append(shares(found, truth, metric, n_seeds))
    whole = {n: [np.concatenate(values) for values in zip(*own, strict=True)] for n, own in parts.items()}
    return Row(
        name, metric, n_subjects,
        {n: Shares(*(values.mean() for values in own)) for n, own in whole.items()},
        {n: Shares(*(values.std() / np.sqrt(benchmarks) for values in own)) for n, own in whole.items()},
    )  # fmt: skip


def main() -> int:
    """Print both tables; 1 where a promise is not kept, marked by `!`."""
    found = list(rows())
    kept = [_coverage(found), _false_verdicts(found)]
    return int(not all(kept))


def _coverage(found: list[Row]) -> bool:
    largest = max(max(own[:3]) for row in found for own in row.errors.values())
    print(f"Share of 95 % intervals that hold the truth, in % of {BENCHMARKS} benchmarks (standard error at most "
          f"{100 * largest:.1f}): of nine gains together / of a gain alone / of scores. ! below "
          f"{100 * LEVEL:g} with three seeds or more.")  # fmt: skip
    _heading([f"{n} seeds" for n in SEEDS], 19)
    kept = True
    for row in found:
        cells = []
        for n, mean in row.means.items():
            short = n >= 3 and min(mean[:3]) < LEVEL
            kept &= not short
            cells.append(" / ".join(f"{100 * value:.1f}" for value in mean[:3]) + (" !" if short else ""))
        _line(row, cells, 19)
    return kept


def _false_verdicts(found: list[Row]) -> bool:
    largest = max(own.false for row in found for own in row.errors.values())
    print(f"\nBenchmarks with at least one false verdict among nine, in % of {BENCHMARKS} (standard error at most "
          f"{100 * largest:.1f}). One seed gives no verdict. ! above {100 * MOST_FALSE:g}.")  # fmt: skip
    _heading(["1 seed", *(f"{n} seeds" for n in SEEDS)], 10)
    kept = True
    for row in found:
        if not SCENARIOS[row.scenario].null:
            continue
        cells = ["no verdict"]
        for mean in row.means.values():
            short = bool(mean.false > MOST_FALSE)
            kept &= not short
            cells.append(f"{100 * mean.false:.1f}" + (" !" if short else ""))
        _line(row, cells, 10)
    return kept


def _heading(columns: list[str], width: int) -> None:
    print(f"{'':36s} {'metric':17s} {'S':>3s}  " + "  ".join(f"{column:<{width}s}" for column in columns))


def _line(row: Row, cells: list[str], width: int) -> None:
    values = "  ".join(f"{cell:<{width}s}" for cell in cells)
    print(f"{row.scenario:36s} {row.metric:17s} {row.n_subjects:3d}  {values}".rstrip())
