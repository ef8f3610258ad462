"""What an image is like, in a few numbers that need no label and no network."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

__all__ = ["image_features"]

_SIDE = 48
"""Places an axis that are looked at: a lattice tells what all voxels tell, and takes milliseconds of a volume."""
_SHOWN = 0.1
"""Share of an image's range above which a voxel counts as shown."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def image_features(image: npt.NDArray[np.float32]) -> dict[str, float]:
    """Intensity, coverage, sharpness, and where the image's content lies.

    Args:
        image: (C, *S) as the model sees it, *S two or three sides.

    Returns:
        `intensity q05` to `q95`, `mean` and `spread` of values; `channel k`, a channel's mean, where there are several;
        `coverage`, the share of voxels that show something; `sharpness`, the mean step between neighbours in units of
        `spread`; `edges k`, the share of that along axis k; `centre k` and `extent k`, mean and standard deviation of
        the content's place along axis k in [-1, 1]; `tilt k-l`, its correlation between two axes, which a turn changes.
    """
    axes = range(1, image.ndim)
    strides = [slice(None, None, max(1, -(-side // _SIDE))) for side in image.shape[1:]]
    lattice = image[slice(None), *strides].astype(np.float64)
    spread = float(lattice.std())
    found = {
        f"intensity q{round(100 * share):02d}": value
        for share, value in zip(_QUANTILES, np.quantile(lattice, _QUANTILES).tolist(), strict=True)
    }
    found |= {"mean": float(lattice.mean()), "spread": spread}
    if len(image) > 1:
        found |= {f"channel {number}": float(plane.mean()) for number, plane in enumerate(lattice)}
    grey = lattice.mean(0)
    low, high = float(grey.min()), float(grey.max())
    weight = (grey - low) / ((high - low) or 1.0)
    found["coverage"] = float((weight > _SHOWN).mean())
    steps = [_step(image, axis, strides) for axis in axes]
    found["sharpness"] = sum(steps) / len(steps) / (spread or 1.0)
    found |= {f"edges {axis}": step / (sum(steps) or 1.0) for axis, step in zip(axes, steps, strict=True)}
    return found | _place(weight)


def _step(image: npt.NDArray[np.float32], axis: int, strides: list[slice]) -> float:
    """Mean difference between neighbours along an axis, on lines of the lattice that are whole."""
    lines = image[slice(None), *(slice(None) if axis == number + 1 else each for number, each in enumerate(strides))]
    return float(np.abs(np.diff(lines, axis=axis)).mean())


def _place(weight: npt.NDArray[np.float64]) -> dict[str, float]:
    """Centre, extent and tilt of the content, as moments of a mass of that weight."""
    total = weight.sum() or 1.0
    places = [np.linspace(-1, 1, side) for side in weight.shape]
    numbers = range(weight.ndim)
    centres, extents = [], []
    for axis in numbers:
        line = weight.sum(tuple(other for other in numbers if other != axis)) / total
        centres.append(float(line @ places[axis]))
        extents.append(float(np.sqrt(line @ (places[axis] - centres[-1]) ** 2)))
    found = {f"centre {axis + 1}": centre for axis, centre in enumerate(centres)}
    found |= {f"extent {axis + 1}": extent for axis, extent in enumerate(extents)}
    for one, two in combinations(numbers, 2):
        plane = weight.sum(tuple(other for other in numbers if other not in (one, two))) / total
        product = (places[one] - centres[one]) @ plane @ (places[two] - centres[two])
        found[f"tilt {one + 1}-{two + 1}"] = float(product) / ((extents[one] * extents[two]) or 1.0)
    return found
