"""How likely it is that a claim of being better is false, by what the benchmark's own comparisons show.

Taken alone, with nothing known beforehand, a gain's posterior is Student's t about the difference that was seen, and
the claim is false with the probability that it leaves below zero: half of the two-sided p. Christodoulou et al. (2025,
"False Promises in Medical Imaging AI?", arXiv:2505.04720) judge published claims by such a posterior. It is right for
one comparison that was fixed beforehand, and too small for the one of many that looked best: where most methods gain
nothing, most claims are false, whatever their p.

So a table's claims are judged together, as Scott & Berger (2006, "An exploration of aspects of Bayesian multiple
testing", Journal of Statistical Planning and Inference 136, 2144-2162) do: a true gain is zero with probability p0, or
else drawn from a normal distribution about zero; p0 and the spread are unknown (uniform on 0 to 1; a prior on the scale
of the standard errors) and learned from all comparisons of the table. The more of them look like noise, the less is
believed of the best one, and having picked the best needs no further correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Comparison", "false_claim_alone", "false_claims"]

Floats = NDArray[np.float64]

_NOTHING = (np.arange(40) + 0.5) / 40
"""Values of p0."""
_SPREAD = np.logspace(-3, 5, 65)
"""Variance of true gains over the median variance of an error."""
_PRIOR = _SPREAD / (1 + _SPREAD) ** 2
"""Of the spread, on a logarithmic scale: Scott and Berger's 1 / (1 + spread)^2."""
_NODES = 121
"""Of Student's distribution as a mixture of normal ones."""


class Comparison(NamedTuple):
    """A gain that was seen."""

    gain: float
    """Positive is better."""
    se: float
    """Its standard error; > 0."""
    freedom: float
    """Degrees of freedom of the standard error; inf where it is known."""


def false_claim_alone(comparison: Comparison) -> float:
    """Probability that the true gain is not of the sign that was seen, nothing being known beforehand."""
    gain, se, freedom = comparison
    return float(special.stdtr(freedom, -abs(gain) / se))


def false_claims(table: Sequence[Comparison]) -> list[float]:
    """Probability for each comparison of a table that the true gain is zero or not of the sign that was seen.

    Args:
        table: All comparisons that were made, not those alone that look good.
    """
    if not table:
        return []
    gains, errors, freedoms = (np.array(column, dtype=np.float64)[:, None, None] for column in zip(*table, strict=True))
    precision, weight = _mixture(freedoms)  # (m, 1, W)
    noise = errors**2 / precision
    spreads = np.median(errors**2) * _SPREAD[:, None]  # (T, 1)
    log_zero, log_each = _log_normal(gains, noise), _log_normal(gains, noise + spreads)  # (m, 1, W), (m, T, W)
    # A scale of its own for each comparison, which the posterior does not see: a gain of 40 errors underflows else.
    top = np.maximum(log_zero.max(axis=2), log_each.max(axis=(1, 2))[:, None])[:, :, None]
    zero = (weight * np.exp(log_zero - top)).sum(axis=2)[:, :, None]  # (m, 1, 1)
    each = weight * np.exp(log_each - top)  # (m, T, W)
    real = each.sum(axis=2)[:, None, :]  # (m, 1, T)
    # Given its error's variance, a true gain is normal about the one that was seen, drawn towards zero.
    wrong = (each * special.ndtr(-np.abs(gains) * np.sqrt(spreads / (noise * (noise + spreads))))).sum(axis=2)
    nothing = _NOTHING[:, None] * zero  # (m, P, 1)
    evidence = nothing + (1 - _NOTHING[:, None]) * real  # (m, P, T)
    with np.errstate(divide="ignore"):  # a spread far too small for a gain is impossible
        log = np.log(evidence).sum(axis=0) + np.log(_PRIOR)
    posterior = np.exp(log - log.max())
    false = nothing + (1 - _NOTHING[:, None]) * wrong[:, None, :]
    np.divide(false, evidence, out=false, where=evidence > 0)
    return [float(value) for value in (posterior * false).sum(axis=(1, 2)) / posterior.sum()]


def _log_normal(values: Floats, variance: Floats) -> Floats:
    return np.asarray(-(values**2) / (2 * variance) - np.log(2 * np.pi * variance) / 2)


def _mixture(freedoms: Floats) -> tuple[Floats, Floats]:
    """(m, 1, W) precisions, and weights that add up to 1: Student's distribution is normal given a gamma precision."""
    half = np.minimum(freedoms, 1e6) / 2
    low, high = np.log(special.gammaincinv(half, 1e-25) / half), np.log(special.gammainccinv(half, 1e-16) / half)
    log = low + (high - low) * np.linspace(0, 1, _NODES)
    weight = np.exp(half * (log - np.exp(log) + 1))
    return np.exp(log), weight / weight.sum(axis=2, keepdims=True)
