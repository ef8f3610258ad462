"""Labelled images as a shallow model takes them: rows of numbers, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore
from ctlr.data.table import ImageRecord, Table
from ctlr.workspace import Workspace

if TYPE_CHECKING:
    from ctlr.shallow.features import Embedding

__all__ = ["Floats", "Predict", "Rows", "Sample", "constant", "in_blocks", "in_memory", "pictures"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

Predict = Callable[[ArrayStore, Rows], Floats]
"""(N,) values in the target's units, or (N, K) probabilities, of those rows of a store."""

BLOCK = 2**23
"""Numbers that are held at a time: 64 MiB."""
MOST = 2000
"""Images of which scalar products are taken: reading them grows with their number's square, the fit with its cube."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Labelled images that a model is fitted to.

    Attributes:
        store: Where they are read from; its test rows are sealed.
        rows: (N,) which of them.
        values: (N,) targets, or class codes below `n_classes`.
        n_classes: 0 for a regression.
        validation: Images that choose a model's options, and are learned from in no other way; None where options are
            chosen by cross-validation among all images.
        inputs: Columns of the store's table that the task reads beside the image, and what each holds.
        workspace: Where features that are costly to compute are kept; None keeps none.
        embedding: A frozen network, where features are made of what it says.
    """

    store: ArrayStore
    rows: Rows
    values: NDArray[np.float64] | NDArray[np.int64]
    n_classes: int
    validation: Sample | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    workspace: Workspace | None = None
    embedding: Embedding | None = None

    def as_targets(self) -> Floats:
        """(N, K) ones where a class is the image's, or (N, 1) values: what a squared error is taken to."""
        if self.n_classes:
            return np.eye(self.n_classes)[self.values.astype(np.int64)]
        return self.values.astype(np.float64)[:, None]

    @property
    def subjects(self) -> NDArray[np.int64]:
        """(N,) a number for each image's subject: cross-validation keeps a subject's images together."""
        column = self.store.table.subject
        met, inverse = np.unique(column.codes[self.rows], return_inverse=True)
        names, rank = [column.values[code] for code in met.tolist()], np.empty(len(met), np.int64)
        rank[sorted(range(len(met)), key=names.__getitem__)] = np.arange(len(met))
        return np.asarray(rank[inverse])

    def drawn(self) -> Sample:
        """At most `MOST` of the images, drawn at random, the same every time."""
        if len(self.rows) <= MOST:
            return self
        kept = np.sort(np.random.default_rng(0).choice(len(self.rows), MOST, replace=False))
        return replace(self, rows=self.rows[kept], values=self.values[kept])

    def expand(self, shares: Floats, classes: NDArray[np.int64]) -> Floats:
        """(N, K) probabilities from those of the classes that were met: the others have none."""
        out = np.zeros((len(shares), self.n_classes))
        out[:, classes] = shares
        return out


class _Memory:
    """Reads images that are there as a store does, each of a subject of its own."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._images = images
        self.arrays = SimpleNamespace(
            shape=images.shape[1:], dtype="float32", scale=1.0, offset=0.0, rows=len(images), fingerprint=""
        )
        names = [f"{number:06}" for number in range(len(images))]
        self.table = Table.of([ImageRecord(subject=name, file="", sha256="") for name in names])

    def read(self, rows: Rows) -> NDArray[np.float32]:
        """(n, C, *S)."""
        return self._images[np.asarray(rows, np.int64)]


def in_memory(images: NDArray[np.float32], values: NDArray[Any], n_classes: int = 0) -> Sample:
    """A sample of images that are stored nowhere: for timing a model, or trying one.

    Args:
        images: (N, C, *S).
        values: (N,) targets, or class codes below `n_classes`.
        n_classes: 0 for a regression.
    """
    store: Any = _Memory(images)
    return Sample(store, np.arange(len(images)), values, n_classes)


def pictures(store: ArrayStore, rows: Rows, *, mirror: bool | str) -> Floats:
    """Read images, (N, C, *S); each averaged with its mirror image where `mirror` is True.

    The axis is that which views flip: left-right, the first of a volume and the last of a picture. Points and signals
    have no mirror image.
    """
    images = store.read(rows).astype(np.float64)
    if mirror is not True or images.ndim < 4:
        return images
    axis = 2 if images.ndim == 5 else -1
    return (images + np.flip(images, axis)) / 2


def in_blocks(rows: Rows, width: int) -> Iterator[slice]:
    """Slices of rows of `width` numbers that fit into memory together."""
    step = max(1, BLOCK // width)
    return (slice(start, start + step) for start in range(0, len(rows), step))


def constant(sample: Sample) -> Predict:
    """What is predicted where images tell nothing: the mean, or the classes' shares."""
    if sample.n_classes:
        level = np.bincount(sample.values.astype(np.int64), minlength=sample.n_classes) / len(sample.values)
    else:
        level = np.array(sample.values.mean())
    return lambda _, rows: np.repeat(level[None], len(rows), axis=0)
