"""Which part of a head may be shown: inside the skull and above the brows, so that nobody is known by it.

A face is known by its skin, eyes, nose and jaw. None of it is left, neither where a volume is drawn in slices nor were
the slices put together again: what is kept lies deeper than scalp and skull and above a plane that falls from the
forehead to the neck. No template is registered and no mask has to be there; where the top of the head is not found,
nothing is kept. It is made for looking, not for computing: the lowest parts of the brain are lost too.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctlr.data.normalise import above_background

__all__ = ["brain_part", "without_face"]

Mask = NDArray[np.bool_]

_COARSE = 4.0
"""Edge in mm of the voxels that are looked at: finer ones are averaged."""
_BLUR = 4.0
"""Standard deviation of the Gaussian through which the outline is looked for, mm."""
_SHELL = 18.0
"""Scalp and skull, mm, and 5 by which the blur moves the outline outwards."""
_FRONT, _BACK = 70.0, 115.0
"""How far below the vertex the plane lies at the forehead and at the back of the head, mm; brows lie at 95."""
_RADIUS = 75.0
"""Of the sphere that the top of a head is like, mm."""
_CUT = 20.0
"""Of the top of the head, so much at most may lie outside the image, mm. A neck, of an image that is upside down, would
be cut by more."""
_LEAST_AREA = 500.0
"""Of a slice through the head, mm²; smaller ones are hair and noise."""
_SPECK = 2000.0
"""mm³: what is smaller is noise in the air."""
_GAP = 10.0
"""Between scalp and brain, mm at most."""
_BRAIN = 1.9e6
"""mm³: what is smaller, and cut by no side of the image, is a brain whose skull was taken away before."""
_LEAST = 1.5e5
"""mm³ that have to be left."""


def without_face(volume: NDArray[np.float32], spacing: float) -> NDArray[np.float32] | None:
    """(I, J, K) with NaN in all that `brain_part` leaves out; None where it finds no head."""
    part = brain_part(volume, spacing)
    return None if part is None else np.where(part, volume, np.float32(np.nan))


def brain_part(volume: NDArray[np.float32], spacing: float) -> Mask | None:
    """Find what may be shown of a head.

    Args:
        volume: (I, J, K) in RAS order.
        spacing: Edge of a voxel, mm.

    Returns:
        (I, J, K); everything for a brain without a skull. None where there is no head, or where its top is cut off.
    """
    step = max(1, round(_COARSE / spacing))
    edge = spacing * step
    head = _head(_averaged(volume, step), edge)
    if head is None:
        return None
    if head.sum() * edge**3 < _BRAIN and not any(head.take(end, axis).any() for axis in range(3) for end in (0, -1)):
        return np.ones(volume.shape, bool)
    depth = _depth(head, edge)
    if depth is None:
        return None
    inner = (ndimage.distance_transform_edt(head) - 0.5) * edge >= _SHELL
    part = _largest(inner & (depth < _plane(head, depth)))
    if part is None or part.sum() * edge**3 < _LEAST:
        return None
    fine = part.repeat(step, 0).repeat(step, 1).repeat(step, 2)
    return fine[tuple(slice(0, side) for side in volume.shape)]


def _averaged(volume: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means of cubes of voxels; what does not fill the last ones is repeated."""
    if step == 1:
        return volume
    padded = np.pad(volume, [(0, -side % step) for side in volume.shape], mode="edge")
    i, j, k = (side // step for side in padded.shape)
    return np.asarray(padded.reshape(i, step, j, step, k, step).mean(axis=(1, 3, 5), dtype=np.float32))


def _head(volume: NDArray[np.float32], edge: float) -> Mask | None:
    """What stands out from the air, filled, without what hangs on it by a thread; None where there is nothing."""
    smooth = ndimage.gaussian_filter(volume, _BLUR / edge, mode="nearest")  # noise in the air would grow on the skin
    labels, _ = ndimage.label(above_background(smooth), np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel()) * edge**3
    sizes[0] = 0
    solid = sizes[labels] >= _SPECK
    if not solid.any():
        return None
    # The skull is as dark as air: scalp and brain become one before the scalp could be taken for a thread.
    room = round(_GAP / edge) + 1
    solid = np.pad(solid, room)
    near = ndimage.distance_transform_edt(~solid) * edge <= _GAP
    solid = (ndimage.distance_transform_edt(near) * edge > _GAP)[room:-room, room:-room, room:-room] | solid[
        room:-room, room:-room, room:-room
    ]
    for level in range(solid.shape[2]):  # sinuses and ear canals are open to the outside in three dimensions
        solid[:, :, level] = ndimage.binary_fill_holes(solid[:, :, level])
    return _largest(ndimage.binary_opening(solid))


def _largest(mask: Mask) -> Mask | None:
    labels, count = ndimage.label(mask)
    if not count:
        return None
    return np.asarray(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))


def _depth(head: Mask, edge: float) -> NDArray[np.float64] | None:
    """(1, 1, K) mm below the vertex; None where it is not in the image, and not near."""
    areas = head.sum(axis=(0, 1)) * edge**2
    levels = np.flatnonzero(areas >= _LEAST_AREA)
    if not len(levels):
        return None
    top = int(levels[-1])
    rest = _RADIUS**2 - areas[top] / math.pi  # of a cap with that base
    above = _RADIUS - math.sqrt(rest) if rest > 0 else math.inf
    if above > _CUT:
        return None
    vertex = (top + 1) * edge + above
    return np.asarray(vertex - (np.arange(head.shape[2]) + 0.5) * edge).reshape(1, 1, -1)


def _plane(head: Mask, depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1, J, 1) mm below the vertex down to which is kept; a nose does not count as the front of the head."""
    above = head[:, :, depth.reshape(-1) < _FRONT]
    rows = np.flatnonzero(above.any(axis=(0, 2)))
    back, front = float(rows[0]), float(rows[-1])
    forward = np.clip((np.arange(head.shape[1]) - back) / max(front - back, 1.0), 0, 1)
    return np.asarray(_BACK + forward * (_FRONT - _BACK)).reshape(1, -1, 1)
