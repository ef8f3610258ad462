"""Images in memory that stand for stored ones."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ctlr.data.table import ImageRecord, Table


class Memory:
    """Reads rows as a store does, and remembers which."""

    def __init__(self, images: np.ndarray, level: np.ndarray) -> None:
        self.images = images.astype(np.float32)
        self.arrays = SimpleNamespace(shape=images.shape[1:])
        self.table = Table.of(
            [ImageRecord(subject=f"sub-{index:03d}", file="", sha256="") for index in range(len(images))]
        )
        self.level = level
        self.seen: set[int] = set()

    def read(self, rows: Any) -> np.ndarray:
        self.seen |= set(np.asarray(rows).tolist())
        return self.images[np.asarray(rows, dtype=np.int64)]


@pytest.fixture
def volumes() -> Memory:
    """90 volumes of noise; a pattern on the left grows with a number that is kept beside them."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((90, 1, 8, 8, 8))
    level = rng.standard_normal(90)
    images[:, 0, 1:4, 2:6, 2:6] += level[:, None, None, None]
    return Memory(images, level)
