"""Folders of pictures, as a benchmark file names them."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctlr.specs._datasets.base import DatasetSpec

__all__ = ["ImagesSpec"]


class ImagesSpec(DatasetSpec):
    """A folder of pictures: one folder a class, below train/val/test folders or not."""

    kind: Literal["images"] = "images"
    root: str
    """Folder; relative paths start at the benchmark file."""

    reader: ClassVar[str] = "ctlr.data.kinds.images:ImagesReader"
    ndim: ClassVar[int] = 2
    classes_only: ClassVar[bool] = True
    meant_for: ClassVar[str] = "pictures like those it was trained on"

    @property
    def known_classes(self) -> frozenset[str]:
        """Each folder has its own."""
        return frozenset()
