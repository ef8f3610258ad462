"""How far the mean of a metric over seeds may be trusted: where its variance comes from, and how well that is known.

The same test subjects stand in every seed, so a score varies with the seed (who trains, from which weights), with the
subject (who is tested), and with how each subject answers each seed. Leaving one subject out at a time, for all seeds
alike and with all images (the jackknife; Efron & Stein 1981, "The jackknife estimate of variance", Annals of Statistics
9, 586-596), tells what subjects add to the variance of the mean, and what of it is shared with the seeds; the scatter
of the K scores tells what seeds add. Nothing is drawn: the same predictions give the same numbers.

Half an interval's width is sqrt(t'^2 seeds + t''^2 subjects), each variance with Student's t at its own degrees of
freedom. With normal errors that covers at least as often as it says, whatever their ratio (Banerjee 1961, "On
confidence interval for two-means problem based on separate estimates of variances", Sankhya A 23, 359-378). One t at
Satterthwaite's degrees of freedom does not: where K seeds happen to lie close together, it takes their variance for
small and known; of nine null hypotheses at least one is then rejected in 15 % of benchmarks of three seeds.

A variance from K - 1 degrees of freedom is hardly known. Comparisons of one table (`moderated`) therefore lend one
another theirs: each is averaged with the mean of the others', weighted by degrees of freedom, of which the others give
at most as many as the comparison has itself (Smyth 2004, "Linear models and empirical Bayes methods", with a fixed
weight: estimated from nine variances it is too often infinite, which unequal variances do not forgive).

`python -m bench statistics` simulates what these intervals hold; `docs/statistics.md` has its tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

__all__ = [
    "VarianceParts",
    "average",
    "ends_inside",
    "half_width",
    "lone",
    "moderated",
    "of_others",
    "variance_parts",
]

Floats = NDArray[np.float64]

_FEW_SUBJECTS = 6.0
"""The subjects' variance is multiplied by 1 + 6 / S. Errors are skewed and have outliers: among ten subjects the one
that would have shown it is often missing, and Student's t, made for normal errors, then covers 90 % and says 95."""
_FEW_SEEDS = 3.0
"""The seeds' variance of a comparison that stands alone is multiplied by 1 + 3 / K: where one seed in ten fails, in a
third of all benchmarks of ten seeds none did, and their scatter knows nothing of it. In a table others make up for it;
alone, 92 % of the intervals over ten seeds and 200 subjects would hold the truth."""
_LEAST_P = 1e-100  # smaller ones are not told apart


@dataclass(frozen=True, kw_only=True)
class VarianceParts:
    """Of a mean over K seeds on S subjects: its variance by where it comes from, in squared units of the metric.

    `subjects` and `seeds` are estimates of what each level adds when drawn anew; both contain `shared`, which is what
    the subjects' answers to single seeds add. With another K and S, `of_seeds_alone` goes with 1 / K,
    `of_subjects_alone` with 1 / S, and `shared` with 1 / (K S).
    """

    subjects: float
    seeds: float
    """0 with one seed: nothing is known of it."""
    shared: float
    """0 with one seed."""
    n_subjects: int
    n_seeds: int
    of_others: float | None = None
    """Seeds' variance (at K seeds) of the other comparisons of the table; None without any."""
    freedom_of_others: int = 0
    """Degrees of freedom that `of_others` counts for; at most K - 1."""

    @property
    def of_seeds_alone(self) -> float:
        """What seeds add beyond what subjects contain."""
        return max(self.moderated_seeds - self.shared, 0.0)

    @property
    def of_subjects_alone(self) -> float:
        """What subjects add beyond what seeds contain."""
        return max(self.subjects - self.shared, 0.0)

    @property
    def moderated_seeds(self) -> float:
        """Seeds' variance, averaged with the others' by degrees of freedom."""
        if self.of_others is None:
            return float(lone(self.seeds, self.n_seeds))
        return float(average(self.seeds, self.n_seeds - 1, self.of_others, self.freedom_of_others))

    @property
    def seeds_freedom(self) -> int:
        """Degrees of freedom of `moderated_seeds`."""
        return self.n_seeds - 1 + self.freedom_of_others

    @property
    def se(self) -> float:
        """Standard error of the mean."""
        return float(np.sqrt(max(self.moderated_seeds + self.of_subjects_alone, self.subjects)))

    @property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom of `se`; never fewer than min(K - 1, S - 1), S - 1 with one seed."""
        subjects, seeds = self.of_subjects_alone, self.moderated_seeds
        if self.n_seeds == 1:
            return self.n_subjects - 1.0
        least = min(self.seeds_freedom, self.n_subjects - 1)
        spread = seeds**2 / self.seeds_freedom + subjects**2 / max(self.n_subjects - 1, 1)
        return max((subjects + seeds) ** 2 / spread, float(least)) if spread > 0 else float(least)

    def half_width(self, level: float) -> float:
        """Of the interval of this level."""
        return self._half_width(1 - level)

    def _half_width(self, alpha: float) -> float:
        seeds, freedom = self.moderated_seeds, self.seeds_freedom
        return float(half_width(seeds, freedom, self.subjects, self.shared, self.n_subjects, alpha=alpha))

    def p(self, difference: float) -> float:
        """Two-sided p of no difference: the smallest alpha whose interval excludes 0.

        Where neither seeds nor subjects vary there is no doubt: 0, or 1 for a difference of 0.
        """
        size = abs(difference)
        if size == 0:
            return 1.0
        if size >= self._half_width(_LEAST_P):
            return 0.0 if self.se == 0 else _LEAST_P
        root = optimize.brentq(
            lambda log_p: self._half_width(math.exp(log_p)) - size, math.log(_LEAST_P), 0, xtol=1e-13
        )
        return math.exp(root)


def variance_parts(scores: Floats, left_out: Floats) -> tuple[Floats, Floats, Floats]:
    """Estimate what subjects, seeds and both together add to the variance of the mean over seeds.

    Args:
        scores: (..., K) the metric of each seed.
        left_out: (..., K, S) the metric of each seed without one subject, S at least 2.

    Returns:
        (...) each: subjects, seeds, shared, as in `VarianceParts`.
    """
    n_seeds, n_subjects = left_out.shape[-2:]
    deviations = left_out - left_out.mean(axis=-1, keepdims=True)
    mean = deviations.mean(axis=-2)  # (..., S)
    factor = (n_subjects - 1) / n_subjects
    subjects: Floats = factor * (mean**2).sum(axis=-1)
    if n_seeds == 1:
        return subjects, np.zeros_like(subjects), np.zeros_like(subjects)
    seeds: Floats = scores.var(axis=-1, ddof=1) / n_seeds
    # (sum of squares about the mean over seeds) = (all squares) - K (squares of the mean)
    apart = (deviations**2).sum(axis=(-1, -2)) - n_seeds * (mean**2).sum(axis=-1)
    shared: Floats = factor * np.maximum(apart, 0.0) / (n_seeds * (n_seeds - 1))
    return subjects, seeds, shared


def of_others(per_seed: Floats, freedom: Floats) -> Floats:
    """Mean of the others' variances, weighted by their degrees of freedom.

    Args:
        per_seed: (..., J) variance between single seeds of each comparison.
        freedom: (J,) K - 1 of each, of which two at least are not 0.
    """
    weighted: Floats = per_seed * freedom
    others: Floats = (weighted.sum(axis=-1, keepdims=True) - weighted) / (freedom.sum() - freedom)
    return others


def lone(seeds: Floats | float, n_seeds: int) -> Floats | float:
    """Seeds' variance of a comparison that has no others to learn from, allowing for failures that did not occur."""
    return seeds * (1 + _FEW_SEEDS / n_seeds)


def average(own: Floats | float, freedom: int, others: Floats | float, freedom_of_others: int) -> Floats | float:
    """Average a variance with that of others, by degrees of freedom."""
    return (freedom * own + freedom_of_others * others) / (freedom + freedom_of_others)


def moderated(table: Sequence[VarianceParts]) -> list[VarianceParts]:
    """Let the comparisons of one table, all in one metric, lend one another the variance of their seeds.

    One seed tells nothing of it, and lends and borrows nothing.
    """
    several = [parts for parts in table if parts.n_seeds > 1]
    if len(several) < 2:
        return list(table)
    freedom = np.array([parts.n_seeds - 1.0 for parts in several])
    lent = iter(of_others(np.array([parts.n_seeds * parts.seeds for parts in several]), freedom))
    total = int(freedom.sum())
    return [
        parts
        if parts.n_seeds == 1
        else replace(
            parts, of_others=float(next(lent)) / parts.n_seeds,
            freedom_of_others=min(parts.n_seeds - 1, total - (parts.n_seeds - 1)),
        )
        for parts in table
    ]  # fmt: skip


def half_width(
    seeds: Floats | float,
    seeds_freedom: int,
    subjects: Floats | float,
    shared: Floats | float,
    n_subjects: int,
    *,
    alpha: float,
) -> Floats:
    """Half the width of an interval; the variances may be arrays.

    Args:
        seeds: Variance of the mean from seeds, `shared` included.
        seeds_freedom: Its degrees of freedom; 0 where it is not known, and then it has no part.
        subjects: Variance of the mean from subjects, `shared` included.
        shared: What both contain.
        n_subjects: S, at least 2.
        alpha: 1 minus the level.
    """
    squared = special.stdtrit(n_subjects - 1, alpha / 2) ** 2 * (1 + _FEW_SUBJECTS / n_subjects)
    # Subjects alone bound it below: scores in steps (accuracy on ten subjects) can agree between seeds by chance.
    least = squared * np.asarray(subjects)
    if not seeds_freedom:
        return np.asarray(np.sqrt(least))
    alone = np.maximum(np.asarray(subjects) - np.asarray(shared), 0.0)
    both = special.stdtrit(seeds_freedom, alpha / 2) ** 2 * np.asarray(seeds) + squared * alone
    return np.asarray(np.sqrt(np.maximum(both, least)))


def ends_inside(mean: Floats | float, half: Floats | float, floor: float, ceiling: float) -> tuple[Floats, Floats]:
    """Ends of a score's interval: even about the mean on a scale on which the metric's range has no end.

    That is the logarithm of the distance to the end, or of the ratio of both distances where there are two (the logit;
    Fisher's z of r). Scores are skewed away from the end of their range, and so are their intervals. No arm gets longer
    than twice the even one; a mean at an end has the even interval, cut off there.

    Args:
        mean: Means, of any shape.
        half: Half widths of their even intervals; NaN where there is none.
        floor: Least value of the metric, or -inf.
        ceiling: Its largest, or inf.
    """
    mean, half = np.asarray(mean, dtype=np.float64), np.asarray(half, dtype=np.float64)
    below, above = mean - floor, ceiling - mean
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shrunk = np.exp(-half * (1 / below + 1 / above))
        if np.isinf(ceiling):
            low, high = floor + below * shrunk, floor + below / shrunk
        elif np.isinf(floor):
            low, high = ceiling - above / shrunk, ceiling - above * shrunk
        else:
            low = floor + (ceiling - floor) * below * shrunk / (above + below * shrunk)
            high = ceiling - (ceiling - floor) * above * shrunk / (below + above * shrunk)
    curved = (half > 0) & (below > 0) & (above > 0) & bool(np.isfinite(floor) or np.isfinite(ceiling))
    return (
        np.where(curved, np.maximum(low, mean - 2 * half), np.clip(mean - half, floor, ceiling)),
        np.where(curved, np.minimum(high, mean + 2 * half), np.clip(mean + half, floor, ceiling)),
    )
