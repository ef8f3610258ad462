"""Which of the datasets that were searched before is most like a new one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ctlr.data.neighbours import Likenesses
from ctlr.specs import StoredArrays
from ctlr.workspace import Workspace

__all__ = ["distance", "nearest"]

_IMAGES = 400
"""Of each dataset, evenly through it."""


def nearest(stored: StoredArrays, workspace: Workspace, others: Sequence[tuple[StoredArrays, Workspace]]) -> int | None:
    """Place of the dataset whose images are most like those of `stored`; None where no other can be held against it.

    The distance is the modified Hausdorff distance (Dubuisson & Jain 1994) of what is read of each image to find
    copies: neither size, offset nor scale of the intensities matters.
    """
    found = {
        place: distance(stored, workspace.root, other, there.root)
        for place, (other, there) in enumerate(others)
        if len(other.shape) == len(stored.shape) > 1
    }
    return min(found, key=found.__getitem__) if found else None


@lru_cache(maxsize=256)
def distance(first: StoredArrays, first_root: Path, second: StoredArrays, second_root: Path) -> float:
    """Of two datasets of images with equally many sides, from 0 (the same) on.

    Raises:
        DataError: One holds no image.
    """
    from ctlr.transferability.hausdorff import hausdorff  # brings torch

    points = []
    for stored, root in ((first, first_root), (second, second_root)):
        likenesses = Likenesses(stored, Workspace(root))
        rows = np.linspace(0, len(likenesses) - 1, min(_IMAGES, len(likenesses))).astype(int)
        points.append(np.concatenate([likenesses.read(row, row + 1) for row in rows]).reshape(len(rows), -1))
    return hausdorff(*points).both
