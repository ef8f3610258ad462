"""scikit-learn's handwritten digits, as they are and as a second domain made from them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

__all__ = ["read_digits", "textured"]

_SIDE = 32
"""Of textured pictures, pixels."""
_INK = 0.7
"""How much darker than its ground ink is."""


def read_digits(domain: Literal["plain", "textured"]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Read all 1,797 digits (Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI).

    Returns:
        (N, S, S) pixels (S = 8 plain, 32 textured), (N, 8, 8) what they were made from, and (N,) codes 0 to 9.
    """
    levels, codes = load_digits(return_X_y=True)
    plain = np.rint(levels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)  # 17 levels
    if domain == "plain":
        return plain, plain, codes.astype(np.int64)
    pixels = np.stack([textured(digit, np.random.default_rng(number)) for number, digit in enumerate(plain)])
    return pixels, plain, codes.astype(np.int64)


def textured(digit: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Write a digit dark on a bright ground of stripes and stains.

    Stripes have a random direction, a period of 4 to 9 pixels and a random phase; stains are Gaussian noise blurred
    by 2 pixels. Each varies the ground by a tenth of the range up and down; ink takes 70 % of the brightness away.

    Args:
        digit: (8, 8), bright on dark.
        rng: Draws the ground.

    Returns:
        (32, 32).
    """
    ink = np.asarray(Image.fromarray(digit).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), np.float64) / 255
    angle, period, phase = rng.uniform(0, np.pi), rng.uniform(4, 9), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:_SIDE, :_SIDE]
    stripes = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + phase)
    stains = gaussian_filter(rng.standard_normal((_SIDE, _SIDE)), 2, mode="wrap")
    ground = 0.8 + 0.1 * stripes + 0.1 * np.clip(stains / stains.std() / 2, -1, 1)
    bright: NDArray[np.float64] = np.clip(ground * (1 - _INK * ink), 0, 1)
    return np.rint(255 * bright).astype(np.uint8)
