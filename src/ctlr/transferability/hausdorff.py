"""Hausdorff distances between sets of points, exact and in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctlr.errors import DataError

__all__ = ["Distances", "hausdorff", "nearest_distances"]

_CHUNK_BYTES = 2**26
"""Of squared distances that lie in memory at once."""
_CANCELLED = 0.02
"""Share of a point's squared norm below which a squared distance is not trusted: float32 has seven digits."""


@dataclass(frozen=True)
class Distances:
    """How far two sets lie apart, in the points' units.

    Attributes:
        forward: From the first set to the second.
        backward: From the second set to the first.
    """

    forward: float
    backward: float

    @property
    def both(self) -> float:
        """The larger of the two: a distance that does not depend on the order."""
        return max(self.forward, self.backward)


def hausdorff(first: NDArray[np.float32], second: NDArray[np.float32], *, modified: bool = True) -> Distances:
    """Hausdorff distance, modified (Dubuisson & Jain 1994, d6 and f2) or plain.

    Of every point the distance to the nearest one of the other set is taken; the modified distance is their mean, the
    plain one their maximum, which one stray point decides.

    Args:
        first: (N, D) points.
        second: (M, D) points.
        modified: Mean instead of maximum.

    Raises:
        DataError: A set is empty, their widths differ, or a value is not finite.
    """
    _check(first, second)
    forward, backward = nearest_distances(first, second)
    if modified:
        return Distances(float(forward.mean()), float(backward.mean()))
    return Distances(float(forward.max()), float(backward.max()))


def nearest_distances(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of every point to the nearest one of the other set.

    Squared distances come from one matrix product, |a|^2 - 2ab + |b|^2, a slab at a time. It loses digits where points
    nearly coincide: those few are measured again, coordinate by coordinate.

    Args:
        first: (N, D) points.
        second: (M, D) points.

    Returns:
        (N,) from the first set to the second, and (M,) back.
    """
    # Around the common mean norms are small, and so is what cancels.
    centre = (first.mean(0, dtype=np.float64) + second.mean(0, dtype=np.float64)) / 2
    a, b = (torch.from_numpy(np.ascontiguousarray(points - centre, np.float32)) for points in (first, second))
    norms_a, norms_b = a.square().sum(1), b.square().sum(1)
    least_a, least_b = torch.empty(len(a)), torch.full((len(b),), torch.inf)
    rows = max(1, _CHUNK_BYTES // (4 * len(b)))
    for start in range(0, len(a), rows):
        chunk = slice(start, start + rows)
        squared = torch.addmm(norms_b, a[chunk], b.T, alpha=-2)
        least_a[chunk] = squared.amin(1) + norms_a[chunk]
        squared += norms_a[chunk, None]
        torch.minimum(least_b, squared.amin(0), out=least_b)
    return _distances(a, b, norms_a, least_a), _distances(b, a, norms_b, least_b)


def _distances(points: Tensor, others: Tensor, norms: Tensor, least: Tensor) -> NDArray[np.float64]:
    """Roots of the least squares, measured again where cancellation has left fewer than five digits."""
    out = least.clamp(min=0).double().sqrt()
    cancelled = torch.nonzero(least < _CANCELLED * norms).flatten()
    for rows in torch.split(cancelled, max(1, _CHUNK_BYTES // (4 * len(others)))):
        table = torch.cdist(points[rows], others, compute_mode="donot_use_mm_for_euclid_dist")
        out[rows] = table.amin(1).double()
    return out.numpy()


def _check(first: NDArray[np.float32], second: NDArray[np.float32]) -> None:
    for name, points in (("first", first), ("second", second)):
        if points.ndim != 2 or len(points) == 0:
            raise DataError(
                f"A set of points needs at least one row; the {name} has shape {points.shape}. Add images to its class."
            )
        bad = int(len(points) - np.isfinite(points).all(1).sum())
        if bad:
            raise DataError(f"Points must be finite; {bad} of {len(points)} in the {name} set are not. Leave them out.")
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"Both sets need points of one width; got {first.shape[1]} and {second.shape[1]}. Project them together."
        )
