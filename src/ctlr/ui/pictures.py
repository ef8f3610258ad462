"""Stored images as small PNGs, with what a model looks at laid over them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["drawn"]

_SIDE = 128
"""Pixels that small images are enlarged to, by whole numbers."""
_HEAT = np.array([255.0, 40.0, 0.0])
_MOST_HEAT = 0.75

Plane = NDArray[np.float64]


def drawn(image: NDArray[np.float32], heat: NDArray[np.float64] | None = None) -> bytes:
    """A PNG of an image.

    Args:
        image: (C, *S), two or three sides; of a volume three slices are drawn, through its middle or the hottest place.
        heat: (*S) in [0, 1], laid over it in red; the image is grey then.
    """
    values = _scaled(image)
    parts = [_coloured(plane, warm) for plane, warm in _planes(values, heat)]
    height = max(part.shape[0] for part in parts)
    padded = [np.pad(part, ((0, height - part.shape[0]), (0, 0), (0, 0))) for part in parts]
    pixels = np.concatenate(padded, axis=1)
    grown = max(1, _SIDE // height)
    picture = Image.fromarray(pixels.repeat(grown, axis=0).repeat(grown, axis=1))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _scaled(image: NDArray[np.float32]) -> Plane:
    """In [0, 1], the darkest and the brightest hundredth cut off where something lies between them."""
    values = image.astype(np.float64)
    low, high = (float(each) for each in np.percentile(values, [1, 99]))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1)


def _planes(values: Plane, heat: Plane | None) -> list[tuple[Plane, Plane | None]]:
    """(C, H, W) and (H, W) of what is drawn side by side."""
    if values.ndim == 3:
        return [(values, heat)]
    sides = values.shape[1:]
    hot = None if heat is None or not heat.any() else np.unravel_index(int(heat.argmax()), sides)
    place = tuple(side // 2 for side in sides) if hot is None else tuple(int(each) for each in hot)
    found = []
    for axis in range(3):
        plane = np.rot90(values.take(place[axis], axis=axis + 1), axes=(1, 2))  # the last axis points upwards
        found.append((plane, None if heat is None else np.rot90(heat.take(place[axis], axis=axis))))
    return found


def _coloured(plane: Plane, heat: Plane | None) -> NDArray[np.uint8]:
    """(H, W, 3) pixels."""
    in_colour = len(plane) == 3 and heat is None  # red is seen on grey alone
    colours = plane.transpose(1, 2, 0) if in_colour else plane.mean(axis=0)[..., None].repeat(3, axis=2)
    colours = colours * 255
    if heat is not None:
        share = (heat * _MOST_HEAT)[..., None]
        colours = colours * (1 - share) + _HEAT * share
    return np.ascontiguousarray(colours.round().astype(np.uint8))
