"""Labelled images as a shallow model takes them: rows of numbers, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore
from ctlr.workspace import Workspace

if TYPE_CHECKING:
    from ctlr.shallow.features import Embedding

__all__ = ["Floats", "Predict", "Rows", "Sample", "constant", "in_blocks", "pictures"]

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
