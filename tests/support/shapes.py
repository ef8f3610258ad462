"""Pictures of four shapes, bright on dark or dark on bright: two small datasets that transfer to one another."""

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["SHAPES", "write_shapes"]

SIDE = 16

SHAPES = """\
name: shapes
datasets:
  light: {kind: images, root: light, preprocess: {shape: [16, 16], normalise: percentile}}
  dark: {kind: images, root: dark, preprocess: {shape: [16, 16], normalise: percentile}}
tasks:
  lines: {target: class, kind: classification, classes: [bar, beam]}
  blobs: {target: class, kind: classification, classes: [disc, ring]}
transfers:
  - {source: {data: light, task: lines}, target: {data: light, task: blobs}}
  - {source: {data: dark, task: lines}, target: {data: light, task: blobs}}
  - {source: {data: dark, task: blobs}, target: {data: light, task: lines}}
encoders: {small_cnn: {width: 0.5}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [6, 8]
seeds: [0, 1]
split: {test: 8}
training:
  pretrain: {epochs: 6, lr: 0.01, warmup: 0}
  finetune: {epochs: 8, batch_size: 8, lr: 0.01, warmup: 0}
report: {bootstrap: 200}
"""


def write_shapes(folder: Path, per_class: int = 24) -> None:
    """Write `light/<class>/*.png` and `dark/<class>/*.png`, different pictures in both."""
    rng = np.random.default_rng(5)
    for domain in ("light", "dark"):
        for name in ("bar", "beam", "disc", "ring"):
            place = folder / domain / name
            place.mkdir(parents=True)
            for number in range(per_class):
                picture = _picture(name, rng)
                levels = picture if domain == "light" else 1 - picture
                Image.fromarray((255 * levels).astype(np.uint8)).save(place / f"{number:02d}.png")


def _picture(name: str, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(6, 9, 2)[:, None, None]
    shape = {
        "bar": abs(x) < 2,
        "beam": abs(y) < 2,
        "disc": x**2 + y**2 < 25,
        "ring": abs(x**2 + y**2 - 25) < 12,
    }[name]
    return np.clip(0.15 + 0.6 * shape + rng.normal(scale=0.08, size=shape.shape), 0, 1)
