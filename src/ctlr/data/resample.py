"""Bring a volume onto another grid: reorientation, anti-aliasing, resampling, crop and padding at once.

Where the grid shrinks, the volume is smoothed first, each axis with the Gaussian that turns the point spread of the
old voxel into that of the new one (Cardoso et al. 2015, "Scale factor point spread function matching", eq. 5), then
interpolated linearly. Where the axes of both grids are parallel, all of this is one matrix for each axis; else the
smoothed volume is sampled once. Inside the field of view the outermost voxels are carried on to their outer faces.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid", "centred_grid", "resample", "smoothing"]

_PARALLEL = 0.01
"""Voxels by which axes may drift apart over the whole grid and still count as parallel."""
_TRUNCATE = 4.0  # standard deviations that the Gaussian reaches
_FWHM = 2 * math.sqrt(2 * math.log(2))
_ROWS = 8  # planes of the result that are made at once; with _TILE it keeps the work inside a core's cache
_BAND = 32
_TILE = 2**17


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Voxels of an image in space.

    Attributes:
        affine: (4, 4) from voxel index to mm in RAS.
        shape: Voxels along each axis.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]


def centred_grid(volume: Grid, shape: Sequence[int], spacing: float) -> Grid:
    """Lay an isotropic RAS grid on the centre of a volume's field of view.

    Args:
        volume: Where the volume's voxels lie.
        shape: Voxels along each axis.
        spacing: Edge of a voxel in mm.
    """
    middle = volume.affine @ [*((np.array(volume.shape) - 1) / 2), 1]
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = middle[:3] - spacing * (np.array(shape) - 1) / 2
    first, second, third = shape
    return Grid(affine=affine, shape=(first, second, third))


def smoothing(step: float) -> float:
    """Standard deviation (old voxels) of the Gaussian before a grid `step` times as wide; 0 where it is no wider.

    The voxel's point spread is taken for a Gaussian whose full width at half maximum is its edge.
    """
    return math.sqrt(step**2 - 1) / _FWHM if step > 1 else 0.0


def resample(
    voxels: NDArray[Any], affine: NDArray[np.float64], grid: Grid, fill: float | None = None
) -> NDArray[np.float32]:
    """Bring a volume onto a grid.

    Args:
        voxels: (I, J, K) real numbers; fastest with the first axis contiguous, as NIfTI stores it.
        affine: (4, 4) from voxel index to mm.
        grid: What is wanted.
        fill: Value outside the field of view; by default the smallest of the result inside.

    Returns:
        (I', J', K') of the grid's shape, C order.
    """
    index = np.asarray(np.linalg.solve(affine, grid.affine), np.float64)  # from the grid's index to the volume's
    source = np.abs(index[:3, :3]).argmax(axis=0)  # axis of the volume along each axis of the grid
    drift = np.abs(index[:3, :3]) @ np.diag(grid.shape)
    drift[source, np.arange(3)] = 0
    if len(set(source)) == 3 and drift.max() <= _PARALLEL:
        return _separable(voxels, index, source, grid, fill)
    return _oblique(voxels, affine, index, grid, fill)


def _separable(
    voxels: NDArray[Any], index: NDArray[np.float64], source: NDArray[np.intp], grid: Grid, fill: float | None
) -> NDArray[np.float32]:
    """Parallel axes: three matrix products, only inside the field of view."""
    weights: dict[int, _Bands] = {}
    box: list[slice] = []
    for axis, (of, n) in enumerate(zip(source.tolist(), grid.shape, strict=True)):
        positions = index[of, axis] * np.arange(n) + index[of, 3]
        inside = np.flatnonzero((positions >= -0.5) & (positions <= voxels.shape[of] - 0.5))
        if not inside.size:
            return np.full(grid.shape, fill or 0, np.float32)
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
        start = float(positions[inside[0]])
        weights[of] = _weights(voxels.shape[of], inside.size, round(float(index[of, axis]), 9), round(start, 9), of)
    inner = _contract(voxels.T, weights).T.transpose(source)
    out = np.full(grid.shape, inner.min() if fill is None else fill, np.float32)
    out[tuple(box)] = inner
    return out


def _oblique(
    voxels: NDArray[Any], affine: NDArray[np.float64], index: NDArray[np.float64], grid: Grid, fill: float | None
) -> NDArray[np.float32]:
    """Any other grid: smooth along the volume's axes, then interpolate once at every point of the grid."""
    from scipy import ndimage  # slow to import, and not needed by most volumes

    edges = np.linalg.norm(affine[:3, :3], axis=0)
    step = np.linalg.norm(grid.affine[:3, 0]) / edges
    weights = {
        axis: _Bands.of(_gaussian(np.arange(n), n, smoothing(step[axis])), axis) for axis, n in enumerate(voxels.shape)
    }
    smooth = _contract(voxels.T, weights).T
    out: NDArray[np.float32] = ndimage.affine_transform(
        smooth, index[:3, :3], index[:3, 3], grid.shape, order=1, mode="nearest", prefilter=False
    )
    inside = _inside(voxels.shape, index, grid.shape)
    if fill is None:
        fill = out.min(where=inside, initial=np.inf)
    out[~inside] = fill
    return out


def _inside(shape: tuple[int, ...], index: NDArray[np.float64], wanted: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Which points of a grid of the wanted shape lie in the field of view of a volume of this shape."""
    inside = np.ones(wanted, np.bool_)
    for axis, n in enumerate(shape):
        along = [(index[axis, of] * np.arange(m)).astype(np.float32) for of, m in enumerate(wanted)]
        at = along[0][:, None, None] + along[1][:, None] + np.float32(index[axis, 3]) + along[2]
        inside &= (at >= -0.5) & (at <= n - 0.5)
    return inside


@dataclass(frozen=True, kw_only=True)
class _Bands:
    """A (rows, n) matrix that is 0 but near a diagonal, as dense blocks.

    `blocks` holds (rows, columns, weights) of each.
    """

    rows: int
    blocks: tuple[tuple[slice, slice, NDArray[np.float32]], ...]

    @classmethod
    def of(cls, matrix: NDArray[np.float64], axis: int) -> _Bands:
        """Cut a matrix that will be applied to this axis of a volume."""
        height = _ROWS if axis == 2 else _BAND
        blocks = []
        for top in range(0, len(matrix), height):
            block = matrix[top : top + height]
            used = np.flatnonzero(block.any(axis=0))
            columns = slice(int(used[0]), int(used[-1]) + 1)
            blocks.append((slice(top, top + len(block)), columns, np.ascontiguousarray(block[:, columns], np.float32)))
        return cls(rows=len(matrix), blocks=tuple(blocks))

    def columns(self) -> tuple[int, int]:
        """First column that is used, and last + 1."""
        return min(block[1].start for block in self.blocks), max(block[1].stop for block in self.blocks)


@functools.lru_cache(maxsize=64)  # the volumes of a dataset mostly share their shapes and spacings
def _weights(n: int, rows: int, step: float, start: float, axis: int) -> _Bands:
    """Smooth n samples and interpolate them at start, start + step, ...: (rows, n)."""
    at = np.clip(step * np.arange(rows) + start, 0, n - 1)
    left = np.minimum(np.floor(at).astype(np.intp), max(n - 2, 0))
    right, share = np.minimum(left + 1, n - 1), (at - left)[:, None]
    sigma = smoothing(abs(step))
    return _Bands.of((1 - share) * _gaussian(left, n, sigma) + share * _gaussian(right, n, sigma), axis)


def _gaussian(centres: NDArray[np.intp], n: int, sigma: float) -> NDArray[np.float64]:
    """Weights of n samples around each centre: (len(centres), n), rows of sum 1.

    What would fall outside goes to the outermost sample.
    """
    reach = np.arange(-int(_TRUNCATE * sigma + 0.5), int(_TRUNCATE * sigma + 0.5) + 1)
    bell = np.exp(-0.5 * np.square(reach / sigma)) if sigma else np.ones(1)
    matrix = np.zeros((len(centres), n))
    columns = np.clip(centres[:, None] + reach, 0, n - 1)
    np.add.at(matrix, (np.arange(len(centres))[:, None], columns), bell / bell.sum())
    return matrix


def _contract(volume: NDArray[Any], weights: dict[int, _Bands]) -> NDArray[np.float32]:
    """Apply a matrix to each axis.

    Args:
        volume: (K, J, I) real numbers.
        weights: For axis 0 (I), 1 (J) and 2 (K).

    Returns:
        (K', J', I').
    """
    on_i, on_j, on_k = weights[0], weights[1], weights[2]
    (j0, j1), (i0, i1) = on_j.columns(), on_i.columns()
    out = np.empty((on_k.rows, on_j.rows, on_i.rows), np.float32)
    for rows, planes, along_k in on_k.blocks:
        slab = volume[planes, j0:j1, i0:i1]
        first = _first_axis(along_k, slab)
        second = np.empty((len(first), on_j.rows, i1 - i0), np.float32)
        for into, of, along_j in on_j.blocks:
            second[:, into] = along_j @ first[:, of.start - j0 : of.stop - j0]
        for into, of, along_i in on_i.blocks:
            out[rows, :, into] = second[:, :, of.start - i0 : of.stop - i0] @ along_i.T
    return out


def _first_axis(weights: NDArray[np.float32], slab: NDArray[Any]) -> NDArray[np.float32]:
    """Apply weights (k', k) to a slab (k, J, I) of any dtype: (k', J, I) float32.

    It goes tile by tile, so that the conversion to float32 never leaves the cache.
    """
    k, n_j, n_i = slab.shape
    height = max(1, _TILE // (k * n_i))
    out = np.empty((len(weights), n_j, n_i), np.float32)
    tile = np.empty((k, height, n_i), np.float32)
    for top in range(0, n_j, height):
        rows = min(height, n_j - top)
        piece = tile.reshape(-1)[: k * rows * n_i].reshape(k, rows, n_i)
        np.copyto(piece, slab[:, top : top + rows], casting="unsafe")
        out[:, top : top + rows] = (weights @ piece.reshape(k, -1)).reshape(-1, rows, n_i)
    return out
