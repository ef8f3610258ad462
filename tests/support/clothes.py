"""A folder of pictures that are easy to tell apart, and small."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

__all__ = ["shapes"]


def shapes(root: Path, counts: dict[str, int], *, side: int = 32, seed: int = 0, colour: bool = False) -> Path:
    """Write noisy bars: upright ones, lying ones and crosses, one folder a class."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = 70 + 60 * ndimage.gaussian_filter(rng.standard_normal((side, side)), 1.5) * 4
            at, width = rng.integers(4, side - 10), rng.integers(3, 6)
            if name in ("upright", "cross"):
                image[:, at : at + width] += 120
            if name in ("lying", "cross"):
                image[at : at + width] += 120
            pixels = np.clip(image, 0, 255).astype(np.uint8)
            if colour:
                pixels = np.stack([pixels, pixels // 2, 255 - pixels], axis=-1)
            Image.fromarray(pixels).save(root / name / f"{name}-{number:03}.png")
    return root
