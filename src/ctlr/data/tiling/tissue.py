"""What of a stained slide is tissue, by its saturation: glass is grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["otsu", "saturation", "tissue_share"]

_LEAST = 0.05
"""Saturation that tissue has at least: of a slide that is all glass, noise alone would be divided."""


def saturation(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(..., 3) RGB to (...) saturation of HSV, 0 to 1; of grey pictures (..., 1) darkness takes its place."""
    if pixels.shape[-1] == 1:
        return np.asarray(1 - pixels[..., 0].astype(np.float32) / 255, np.float32)
    high = pixels.max(-1).astype(np.float32)
    return np.asarray((high - pixels.min(-1)) / np.maximum(high, 1), np.float32)


def otsu(values: NDArray[np.float32]) -> float:
    """The threshold that sets two classes of values most apart (Otsu 1979, doi:10.1109/TSMC.1979.4310076).

    Of values of 0 to 1, in 256 steps; at least 0.05.
    """
    counts = np.histogram(values, 256, (0, 1))[0].astype(np.float64)
    centres = (np.arange(256) + 0.5) / 256
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    best = int(np.nanargmax(between)) if np.isfinite(between).any() else 0
    return max(_LEAST, (best + 1) / 256)


def tissue_share(pixels: NDArray[np.uint8], threshold: float) -> float:
    """Share of the pixels that are tissue, of every fourth along each side."""
    return float((saturation(pixels[::4, ::4]) > threshold).mean())
