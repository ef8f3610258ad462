"""Small pictures as `data:` addresses: what images look like, where a drawing by lines will not do."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Strip", "strip", "window"]

_SIDE = 96
"""Pixels along the longer side at most; larger pictures are made smaller."""
_EXACT = 40
"""Up to so many pixels a picture is kept to the bit: it is drawn large, and its pixels are seen."""

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Strip:
    """Pictures side by side, of which one sentence tells."""

    tiles: tuple[str, ...]
    """As `data:` addresses."""
    alt: str
    """What a reader who cannot see them has to know."""


def strip(pictures: Iterable[Floats], limits: tuple[float, float], alt: str) -> Strip:
    """Draw pictures on one scale of grey.

    Args:
        pictures: (H, W), or (C, H, W) of one or three channels; NaN is black.
        limits: Values that are black and white.
        alt: What they show.
    """
    return Strip(tuple(_tile(picture, *limits) for picture in pictures), alt)


def window(pictures: Iterable[Floats]) -> tuple[float, float]:
    """Values that bound all but the darkest and the brightest half per cent; where all are alike, one step apart."""
    found = [picture[np.isfinite(picture)] for picture in pictures]
    values = np.concatenate(found) if found else np.zeros(1)
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.5))) if values.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1)


def _tile(picture: Floats, low: float, high: float) -> str:
    plane = picture if picture.ndim == 2 else picture[0] if len(picture) != 3 else picture.transpose(1, 2, 0)
    shades = np.clip((np.nan_to_num(plane, nan=low) - low) / (high - low), 0, 1)
    image = Image.fromarray(np.rint(255 * shades).astype(np.uint8))
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=max(image.size) <= _EXACT, quality=80, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
