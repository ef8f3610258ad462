"""Has what comes in drifted away from the reference?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ctlr.monitoring._reference import Reference, Seen
from ctlr.specs._value import Value

__all__ = ["ALPHA", "FEWEST", "Drift", "DriftRow", "drift_between"]

ALPHA = 0.01
"""Probability of an alarm, all features together, where nothing has drifted."""
FEWEST = 10
"""Images of either side below which nothing is said: two sets of 10 that do not overlap have p = 1e-5."""
_RESAMPLES = 9999
_BINS = 10


class DriftRow(Value):
    """One feature, then and now."""

    feature: str
    reference: int
    """Images behind the reference."""
    images: int
    """Images that came in."""
    median_reference: float | None = None
    median: float | None = None
    """None of classes."""
    distance: float
    """Kolmogorov and Smirnov's; of classes the total variation. 0 to 1."""
    psi: float
    """Population stability index over tenths of the reference; above 0.25 is commonly called large."""
    p: float
    """Of a distance this large where nothing has drifted."""
    p_corrected: float
    """After Holm, for all features."""
    drifted: bool


class Drift(Value):
    """The verdict on a window of images."""

    verdict: Literal["too few", "no drift", "drift"]
    images: int
    reference: int
    alpha: float = ALPHA
    rows: tuple[DriftRow, ...] = ()
    """The most striking one first."""
    told: str
    """In a sentence."""


def drift_between(reference: Reference, seen: Seen) -> Drift:
    """Compare each feature, and the predictions, by a two-sample test; Holm (1979) corrects for their number.

    The alarm rate of one window is at most `ALPHA` where its images are independent draws of what the reference was
    drawn from: Kolmogorov and Smirnov's p is exact for small samples and too large where values tie, that of classes
    is a permutation's.

    Args:
        reference: Of the model.
        seen: One window; looking at a window that grows raises the rate.
    """
    few = min(reference.images, seen.images)
    if few < FEWEST:
        whose = "came in" if seen.images < FEWEST else "the model was trained and validated on"
        return Drift(
            verdict="too few", images=seen.images, reference=reference.images,
            told=f"too few to tell: {few} images {whose}, and {FEWEST} are needed.",
        )  # fmt: skip
    rows = [_compared(name, values, seen.features[name]) for name, values in reference.features.items()
            if min(len(values), len(seen.features.get(name, ()))) >= FEWEST]  # fmt: skip
    if min(len(reference.predictions), len(seen.predictions)) >= FEWEST:
        name = "confidence" if seen.card.classes else "prediction"
        rows.append(_compared(name, reference.predictions, seen.predictions))
        if len(seen.card.classes) > 1:
            rows.append(_classes(reference, seen))
    rows = _corrected(rows)
    drifted = [row for row in rows if row.drifted]
    told = f"no drift in {seen.images} images."
    if drifted:
        told = f"{seen.images} images differ from the model's in {', '.join(row.feature for row in drifted)}."
    return Drift(
        verdict="drift" if drifted else "no drift", images=seen.images, reference=reference.images, rows=tuple(rows),
        told=told,
    )  # fmt: skip


def _compared(name: str, then: Sequence[float], now: Sequence[float]) -> DriftRow:
    from scipy.stats import ks_2samp  # a second to load, which a server's start does not have

    first, second = np.asarray(then), np.array([float(f"{value:.6g}") for value in now])
    test = ks_2samp(first, second)
    return DriftRow(
        feature=name, reference=len(first), images=len(second), median_reference=float(np.median(first)),
        median=float(np.median(second)), distance=float(test.statistic), psi=_stability(first, second),
        p=float(test.pvalue), p_corrected=1.0, drifted=False,
    )  # fmt: skip


def _stability(then: npt.NDArray[np.float64], now: npt.NDArray[np.float64]) -> float:
    """Population stability index over tenths of the reference, half an image added to each against empty ones."""
    edges = np.quantile(then, np.linspace(0, 1, _BINS + 1)[1:-1])
    counts = [np.bincount(np.searchsorted(edges, side, side="right"), minlength=_BINS) for side in (then, now)]
    return _index(*counts)


def _index(then: npt.NDArray[np.int64], now: npt.NDArray[np.int64]) -> float:
    shares = [(counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (then, now)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _classes(reference: Reference, seen: Seen) -> DriftRow:
    """Predicted classes, by a permutation test of the chi-square statistic: expected counts may be small."""
    then, now = (np.array([counts.get(name, 0) for name in seen.card.classes]) for counts in
                 (reference.classes, seen.classes))  # fmt: skip
    total, n = then + now, int(now.sum())
    expected = np.maximum(total * n / total.sum(), 1e-9)

    def statistic(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.asarray(((counts - expected) ** 2 / expected).sum(-1))

    drawn = np.random.default_rng(0).multivariate_hypergeometric(total, n, size=_RESAMPLES)
    p = (1 + int((statistic(drawn) >= statistic(now) - 1e-9).sum())) / (1 + _RESAMPLES)
    return DriftRow(
        feature="predicted class", reference=int(then.sum()), images=n,
        distance=float(np.abs(then / then.sum() - now / n).sum() / 2), psi=_index(then, now), p=p, p_corrected=1.0,
        drifted=False,
    )  # fmt: skip


def _corrected(rows: Sequence[DriftRow]) -> list[DriftRow]:
    """By Holm's steps, the smallest p first."""
    found: list[DriftRow] = []
    largest = 0.0
    for number, row in enumerate(sorted(rows, key=lambda row: (row.p, -row.distance))):
        largest = max(largest, min(1.0, row.p * (len(rows) - number)))
        found.append(row.model_copy(update={"p_corrected": largest, "drifted": largest <= ALPHA}))
    return found
