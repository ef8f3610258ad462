"""Heads with a face, made of ellipsoids: what of them nobody may see is known to the voxel."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["brain", "face", "head", "write_heads"]

Volume = NDArray[np.float32]
_FIELD = 240.0
"""Edge of the cube that is imaged, mm; its centre is that of the brain, 30 mm above the cube's."""


def head(spacing: float = 4.0, *, nose: float = 16.0, eyes: float = 32.0, jaw: float = 46.0, seed: int = 0) -> Volume:
    """(N, N, N) in RAS order: brain 0.8 with a texture, skull 0.05, scalp and face 1, eyes 0.3, air 0.

    Args:
        spacing: Edge of a voxel, mm.
        nose: How wide it is, mm.
        eyes: Their distance from the middle, mm.
        jaw: How wide it is, mm.
        seed: Of the brain's texture.
    """
    grid = _grid(spacing)
    volume = np.zeros(grid[0].shape, np.float32)
    volume[_skin(grid, jaw) | _nose(grid, nose)] = 1.0
    volume[_ellipsoid(grid, (0, 0, 0), (71, 89, 71))] = 0.05
    inside = _ellipsoid(grid, (0, -2, -2), (65, 82, 64))
    texture = np.random.default_rng(seed).uniform(0.6, 1.0, volume.shape).astype(np.float32)
    volume[inside] = texture[inside]
    volume[_eyes(grid, eyes)] = 0.3
    return volume


def face(spacing: float = 4.0, *, nose: float = 16.0, eyes: float = 32.0, jaw: float = 46.0) -> NDArray[np.bool_]:
    """(N, N, N) what a person is known by: 8 mm of skin all over head and neck, the nose, the eyes, and all that lies
    below the brows in front of the skull."""
    grid = _grid(spacing)
    solid = _skin(grid, jaw) | _nose(grid, nose)
    deep = ndimage.distance_transform_edt(np.pad(solid, 1, mode="edge"))[1:-1, 1:-1, 1:-1] * spacing
    skin = solid & (deep <= 8)
    below = solid & (grid[2] < -15) & (grid[1] > 30) & ~_ellipsoid(grid, (0, 0, 0), (71, 89, 71))
    return np.asarray(skin | below | _nose(grid, nose) | _eyes(grid, eyes), bool)


def brain(spacing: float = 4.0) -> Volume:
    """(N, N, N) the brain of `head` alone, in zeros."""
    inside = _ellipsoid(_grid(spacing), (0, -2, -2), (65, 82, 64))
    return np.where(inside, head(spacing), np.float32(0))


def _grid(spacing: float) -> tuple[NDArray[np.float64], ...]:
    axis = (np.arange(round(_FIELD / spacing)) + 0.5) * spacing - _FIELD / 2
    return tuple(np.meshgrid(axis, axis, axis - 30, indexing="ij"))


def _ellipsoid(
    grid: tuple[NDArray[np.float64], ...], centre: tuple[float, ...], radii: tuple[float, ...]
) -> NDArray[np.bool_]:
    parts = [((axis - middle) / radius) ** 2 for axis, middle, radius in zip(grid, centre, radii, strict=True)]
    return np.asarray(sum(parts) <= 1, bool)


def _skin(grid: tuple[NDArray[np.float64], ...], jaw: float) -> NDArray[np.bool_]:
    neck = (np.hypot(grid[0], grid[1] + 20) <= 60) & (grid[2] < -40)
    return _ellipsoid(grid, (0, 0, 0), (78, 97, 80)) | _ellipsoid(grid, (0, 35, -70), (jaw + 12, 58, 65)) | neck


def _nose(grid: tuple[NDArray[np.float64], ...], wide: float) -> NDArray[np.bool_]:
    return _ellipsoid(grid, (0, 98, -58), (wide, 24, 26))


def _eyes(grid: tuple[NDArray[np.float64], ...], apart: float) -> NDArray[np.bool_]:
    return _ellipsoid(grid, (apart, 72, -38), (13, 13, 13)) | _ellipsoid(grid, (-apart, 72, -38), (13, 13, 13))


def write_heads(folder: Path, count: int, spacing: float = 4.0, **parts: float) -> None:
    """A BIDS folder of heads with different brains: age, sex and site in participants.tsv, sites apart by a sign."""
    rows = ["participant_id\tage\tsex\tsite"]
    for index in range(count):
        name = f"sub-{index + 1:02d}"
        file = folder / name / "anat" / f"{name}_T1w.nii"
        file.parent.mkdir(parents=True)
        image = nib.Nifti1Image(head(spacing, seed=index, **parts), np.diag([spacing, spacing, spacing, 1.0]))
        image.header.set_xyzt_units("mm")
        file.write_bytes(image.to_bytes())
        rows.append(f"{name}\t{20 + 2 * index}\t{'FM'[index % 2]}\t{'north' if index < count // 2 else 'south'}")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
