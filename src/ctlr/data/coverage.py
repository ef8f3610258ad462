"""How an image meets the box that preprocessing keeps of it: padded, cut off or stretched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctlr.data.nifti import Volume
from ctlr.data.normalise import above_background
from ctlr.data.resample import Grid
from ctlr.specs import Coverage

__all__ = ["picture_coverage", "volume_coverage"]

_POINTS = 24
"""Places along each axis at which a volume, and the box, are looked at."""


def volume_coverage(volume: Volume, mask: Volume | None, grid: Grid) -> Coverage:
    """Compare a volume's field of view, and what it shows, with the box of a grid.

    Args:
        volume: As it is stored.
        mask: Of its brain, on; without one the foreground counts (`ctlr.data.normalise.foreground`).
        grid: What is kept: isotropic voxels along RAS.
    """
    edge = float(grid.affine[0, 0])
    corner = grid.affine[:3, 3] - edge / 2
    sides = edge * np.array(grid.shape)
    box = corner[:, None] + sides[:, None] * _lattice([(np.arange(_POINTS) + 0.5) / _POINTS] * 3)
    index = np.linalg.solve(volume.affine, np.vstack([box, np.ones(box.shape[1])]))[:3]
    within = (index >= -0.5) & (index <= np.array(volume.voxels.shape)[:, None] - 0.5)

    shown = volume if mask is None else mask
    steps = [max(1, -(-n // _POINTS)) for n in shown.voxels.shape]
    values = shown.voxels[tuple(slice(step // 2, None, step) for step in steps)].astype(np.float32)
    values = values * np.float32(shown.slope) + np.float32(shown.inter)
    on = (above_background(values) if mask is None else values > 0.5).ravel()
    places = _lattice([np.arange(n)[step // 2 :: step] for n, step in zip(shown.voxels.shape, steps, strict=True)])
    seen = (shown.affine @ np.vstack([places[:, on], np.ones(int(on.sum()))]))[:3] - corner[:, None]
    inside = ((seen >= 0) & (seen <= sides[:, None])).all(axis=0)
    edges = np.linalg.norm(volume.affine[:3, :3], axis=0)
    return Coverage(
        filled=float(within.all(axis=0).mean()),
        kept=float(inside.mean()) if on.any() else 1.0,
        enlarged=float(edges.max()) / edge,
    )


def _lattice(axes: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """(3, N) points of a grid, the last axis fastest."""
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]).astype(np.float64)


def picture_coverage(size: tuple[int, int], shape: Sequence[int]) -> Coverage:
    """What the cut to the box's proportions keeps of a picture's area, and how much it is enlarged.

    Args:
        size: (width, height) of the upright picture.
        shape: (height, width) of the box.
    """
    down, across = shape[0] / size[1], shape[1] / size[0]
    return Coverage(filled=1.0, kept=min(down, across) / max(down, across), enlarged=max(down, across))
