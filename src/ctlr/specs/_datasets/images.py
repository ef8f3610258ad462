"""Folders of pictures, as a benchmark file names them."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["ImagesSpec"]

_STARTER = """\
# ctlr run $name.yaml
#
# Your own pictures, one folder a class: $root/cat/1.png, $root/dog/1.png, … Change what says "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  pictures:
    kind: images
    root: $root # yours; relative folders start at this file
    preprocess: {shape: [64, 64], channels: 3, normalise: percentile} # channels: 1 for grey pictures

tasks: # a picture's label is its folder
  kind: {target: class, kind: classification}

transfers: # to learn from other pictures first, add a dataset and name it as the source
  - {target: {data: pictures, task: kind}}
"""


class ImagesSpec(DatasetSpec):
    """A folder of pictures: one folder a class, below train/val/test folders or not."""

    kind: Literal["images"] = "images"
    root: str
    """Folder; relative paths start at the benchmark file."""

    reader: ClassVar[str] = "ctlr.data.kinds.images:ImagesReader"
    ndim: ClassVar[int] = 2
    classes_only: ClassVar[bool] = True
    starter: ClassVar[str] = _STARTER
    meant_for: ClassVar[str] = "pictures like those it was trained on"

    @property
    def known_classes(self) -> frozenset[str]:
        """Each folder has its own."""
        return frozenset()
