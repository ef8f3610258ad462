"""Derive the embedded template from the MNI152 maps that nilearn ships.

Run where nilearn is installed (CTLR itself does not need it): `python -m ctlr.data.kinds.cohort.template.derive`.
It rewrites `maps.npz` beside this file. See NOTICE for the maps' origin and licence.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctlr.errors import MissingExtraError

__all__ = ["MAPS", "derive", "main"]

MAPS = ("t1", "grey", "white", "csf", "cortex", "periventricular", "basal_ganglia")
"""Maps of the template, in the order in which they are stored."""

Volume = NDArray[np.float32]

_SPACING = 2  # mm; the originals have 1 mm
_FIELD_STRIDE = 2  # displacement fields are smooth: every second voxel, 4 mm, holds them
_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


def derive() -> dict[str, NDArray[np.generic]]:
    """Compute what `maps.npz` holds.

    Returns:
        maps: uint8 (7, I, J, K), 255 is one, in the order of `MAPS`; RAS, 2 mm, cropped to the brain.
        fields: int8 (3, 3, I/2, J/2, K/2), 127 is one: pull-back displacements (x, y, z) of longest arrow one that
            widen the lateral ventricles, widen the Sylvian fissures, and shrink the medial temporal lobes; 4 mm.
        origin: (3,) centre of the first voxel of both, mm (MNI coordinates).

    Raises:
        MissingExtraError: nilearn is not installed.
    """
    (t1, grey, white), origin = _originals()
    brain = (t1 > 0).astype(np.float32)
    csf = np.clip(1 - grey - white, 0, 1) * brain
    stack = np.stack([_halved(each) for each in (t1, grey, white, csf, brain)])
    stack, origin = _cropped(stack, origin + 0.5)
    t1, grey, white, csf, brain = stack
    x, y, z = np.meshgrid(*(origin[a] + _SPACING * np.arange(n) for a, n in enumerate(t1.shape)), indexing="ij")
    depth = _SPACING * ndimage.distance_transform_edt(brain > 0.5)

    ventricles = _largest((csf > 0.5) & (depth > 16) & _box(x, y, z, x=(0, 40), y=(-60, 40), z=(-20, 40)))
    sylvian = csf * (_box(x, y, z, x=(30, 62), y=(-35, 30), z=(-22, 20)) & (depth > 4))
    outside = csf + (1 - brain) / 2
    cortex = grey * np.clip(1.6 * ndimage.gaussian_filter(outside, 1.0), 0, 1) * (depth < 30)
    periventricular = white * np.exp(-_SPACING * ndimage.distance_transform_edt(~ventricles) / 9.0)
    deep_grey = grey * (_box(x, y, z, x=(8, 36), y=(-25, 22), z=(-10, 22)) & (depth > 25))
    basal_ganglia = ndimage.gaussian_filter(deep_grey, 0.5)

    fields = np.stack([
        _towards(ventricles.astype(np.float32), width=5.0),
        _towards(sylvian, width=4.0),
        _away_from(np.stack([x, y, z]), centre=(27.0, -20.0, -16.0), width=11.0),
    ])[..., ::_FIELD_STRIDE, ::_FIELD_STRIDE, ::_FIELD_STRIDE]  # fmt: skip
    maps = np.stack([t1, grey, white, csf, cortex, periventricular, basal_ganglia])
    return {
        "maps": np.rint(255 * maps).astype(np.uint8),
        "fields": np.rint(127 * fields).astype(np.int8),
        "origin": origin,
    }


def _originals() -> tuple[list[Volume], NDArray[np.float64]]:
    """T1, grey and white matter (1 mm, 0-1), and the centre of their first voxel."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise MissingExtraError("The template is derived from nilearn's files. Install it: pip install nilearn==0.14.1")
    folder = Path(spec.origin).parent / "datasets" / "data"
    images = [nib.load(folder / _FILE.format(kind)) for kind in ("t1", "gm", "wm")]
    return [_scaled(image) for image in images], images[0].affine[:3, 3]


def _scaled(image: nib.Nifti1Image) -> Volume:
    return np.asarray(image.dataobj, dtype=np.float32) / np.float32(255)


def _halved(volume: Volume) -> Volume:
    """Mean of each 2 x 2 x 2 block: 2 mm without aliasing."""
    padded = np.pad(volume, [(0, side % 2) for side in volume.shape])
    i, j, k = (side // 2 for side in padded.shape)
    return np.asarray(padded.reshape(i, 2, j, 2, k, 2).mean((1, 3, 5)))


def _cropped(stack: Volume, origin: NDArray[np.float64]) -> tuple[Volume, NDArray[np.float64]]:
    """Cut (M, I, J, K) to the voxels where any map is not 0, with a rim of zeros for interpolation to end in."""
    stack = np.pad(stack, [(0, 0), *[(2, 2)] * 3])
    inside = np.argwhere((stack > 1 / 255).any(0))
    low, high = inside.min(0) - 1, inside.max(0) + 2
    high += (high - low) % _FIELD_STRIDE
    return stack[(slice(None), *map(slice, low, high))], origin + _SPACING * (low - 2)


def _box(
    x_mm: Volume, y_mm: Volume, z_mm: Volume, *, x: tuple[int, int], y: tuple[int, int], z: tuple[int, int]
) -> NDArray[np.bool_]:
    """Whether a voxel lies between the bounds (mm); `x` counts from the midline, so both hemispheres are meant."""
    lateral = np.abs(x_mm)
    inside = (lateral >= x[0]) & (lateral < x[1]) & (y_mm > y[0]) & (y_mm < y[1]) & (z_mm > z[0]) & (z_mm < z[1])
    return np.asarray(inside)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask's largest connected component."""
    labels, _ = ndimage.label(mask)
    return np.asarray(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))


def _towards(structure: Volume, width: float) -> Volume:
    """Arrows that point into a structure, longest one 1: reading an image along them makes the structure wider.

    They are the gradient of the structure smoothed by `width` mm, and die out at that distance.
    """
    arrows = np.stack(np.gradient(ndimage.gaussian_filter(structure, width / _SPACING)))
    return np.asarray(arrows / np.linalg.norm(arrows, axis=0).max())


def _away_from(points: Volume, centre: tuple[float, float, float], width: float) -> Volume:
    """Arrows that point away from a centre in each hemisphere, longest one 1: reading along them shrinks its region."""
    arrows = np.zeros_like(points)
    for side in (-1.0, 1.0):
        offset = points - np.array([side * centre[0], *centre[1:]]).reshape(3, 1, 1, 1)
        arrows += offset * np.exp(-(offset**2).sum(0) / (2 * width**2))
    return np.asarray(arrows / np.linalg.norm(arrows, axis=0).max())


def main() -> None:
    """Rewrite `maps.npz` beside this file."""
    np.savez_compressed(Path(__file__).with_name("maps.npz"), allow_pickle=False, **derive())


if __name__ == "__main__":
    main()
