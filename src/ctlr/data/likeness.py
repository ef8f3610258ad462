"""What of an image stays the same in a copy of it: a few blurred numbers about its centre of mass.

Correlations between these find an image again after it was moved, resampled, requantised, padded or given other
intensities. Mirrored images have mirrored numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctlr.data.normalise import spread

__all__ = ["SIDES", "folded", "likeness", "mirrored", "unit"]

SIDES = {3: 12, 2: 32, 1: 256}
"""Numbers a side that are kept of a volume, a picture and a signal. Nothing is read of points: they have no sides."""

_BLUR = 0.5
"""Standard deviation of the Gaussian that an image is read through, as a share of the distance of its readings."""


def likeness(image: NDArray[Any], shape: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Read an image through Gaussians on a lattice about its centre of mass, a signal about the middle of its time.

    What swings has no centre of mass that a little noise would not move by a part of its period.

    The weight of a voxel is what stands above a tenth of the robust range (2nd to 98th percentile), so that neither
    offset nor scale of the intensities matters.

    Args:
        image: (C, *S), as it is stored; the channels are averaged, or those of a signal blended (see `_blended`).
        shape: Readings along each axis; by default `SIDES`.

    Returns:
        shape, less its mean and of length 1; zeros for a constant image.
    """
    plain = _blended(image) if image.ndim == 2 else image.mean(axis=0, dtype=np.float32)
    low, high = spread(plain, 2, 98)
    weight = np.clip(plain - (low + np.float32(0.1) * (high - low)), 0, high - low)
    total = float(weight.sum()) or 1.0
    found: NDArray[np.float32] = plain
    for axis, (n, readings) in enumerate(zip(plain.shape, shape or (SIDES[plain.ndim],) * plain.ndim, strict=True)):
        others = tuple(other for other in range(plain.ndim) if other != axis)
        centre = float(weight.sum(axis=others) @ np.arange(n)) / total if others else (n - 1) / 2
        found = np.moveaxis(np.tensordot(_readers(n, readings, centre), found, axes=(1, axis)), 0, axis)
    return unit(found)


def _blended(signal: NDArray[Any]) -> NDArray[np.float32]:
    """(T,) of (C, T): with unequal weights, since the mean of channels against their average reference is zero."""
    return np.asarray(np.cos(np.arange(len(signal))) @ signal.astype(np.float32), np.float32)


def _readers(n: int, readings: int, centre: float) -> NDArray[np.float32]:
    """(readings, n) weights of the voxels along an axis; a Gaussian beyond the edge reads the edge."""
    step = n / readings
    places = np.clip(centre + step * (np.arange(readings) - (readings - 1) / 2), 0, n - 1)
    weights = np.exp(-0.5 * ((np.arange(n) - places[:, None]) / max(0.4, _BLUR * step)) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values less their mean, of length 1."""
    centred = values - values.mean(dtype=np.float64).astype(np.float32)
    return np.asarray(centred / (np.linalg.norm(centred) or 1.0), np.float32)


def mirrored(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, *S) with left and right changed: the first axis of volumes in RAS, the last one of pictures; time."""
    return np.flip(images, axis=_sideways(images))


def folded(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums and differences of mirrored numbers, for the correlations with images and mirror images at once.

    Args:
        images: (n, *S), S even along left and right.

    Returns:
        (2, n, D / 2): the scalar product of two images is that of their sums plus that of their differences, and with
        one of them mirrored that of their sums minus that of their differences.
    """
    left, right = np.split(images, 2, axis=_sideways(images))
    right = mirrored(right)
    return np.stack([left + right, left - right]).reshape(2, len(images), -1) * np.float32(0.5**0.5)


def _sideways(images: NDArray[np.float32]) -> int:
    return 1 if images.ndim == 4 else -1
