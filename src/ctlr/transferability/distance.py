"""Distances between the classes of two datasets, on common principal components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import DataError
from ctlr.transferability.hausdorff import hausdorff
from ctlr.transferability.pca import COMPONENTS, Components, Source, principal_components

__all__ = ["ClassDistances", "Classes", "class_distances"]

_BLOCK_BYTES = 2**28
"""Of images in memory at once while they are checked."""


@dataclass(frozen=True)
class Classes:
    """Images of a dataset, by class.

    Attributes:
        names: Of the classes.
        rows: (n_k,) row numbers of each class.
        read: Row numbers -> (N, D) float32.
        width: D.
    """

    names: tuple[str, ...]
    rows: tuple[NDArray[np.int64], ...]
    read: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    width: int


@dataclass(frozen=True)
class ClassDistances:
    """How far the classes of a source lie from those of a target.

    Attributes:
        source, target: Names of their classes, S and T of them.
        forward: (S, T) from each source class to each target class.
        backward: (S, T) from each target class to each source class.
        components: The axes that both were measured on.
        per_class: Images of a class that were used.
        points: (per_class, K) of each class on the axes, those of the source first.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    forward: NDArray[np.float64]
    backward: NDArray[np.float64]
    components: Components
    per_class: int
    points: tuple[NDArray[np.float32], ...]

    @property
    def both(self) -> NDArray[np.float64]:
        """(S, T) the larger of the two directions."""
        return np.maximum(self.forward, self.backward)

    @property
    def nearest(self) -> NDArray[np.int64]:
        """(T,) the source class that each target class is nearest to."""
        return np.asarray(self.both.argmin(axis=0))

    @property
    def mean(self) -> float:
        """Over all pairs of classes: the distance between the datasets."""
        return float(self.both.mean())


def class_distances(
    source: Classes,
    target: Classes,
    *,
    seed: int,
    n_components: int = COMPONENTS,
    share: float | None = None,
    components: Components | None = None,
    modified: bool = True,
) -> ClassDistances:
    """Hausdorff distances between every source class and every target class.

    Every class is cut at random to the size of the smallest one, so that none looks near because it is large; all
    images are then projected onto the principal components of both datasets together.

    Args:
        source: Images to learn from.
        target: Images to learn about.
        seed: Of the cut.
        n_components: Axes of the projection.
        share: Of variance that the axes hold, instead of their number.
        components: Axes that are there already, instead of both.
        modified: Mean instead of maximum over the points (Dubuisson & Jain 1994).

    Raises:
        DataError: A class is empty or has one image, images differ in size, are constant, or hold NaN or infinity.
        ConfigError: There are fewer images than components.
    """
    _check(source, target)
    per_class = min(len(rows) for rows in (*source.rows, *target.rows))
    rng = np.random.default_rng(seed)
    cut = [
        (dataset, np.sort(rng.choice(rows, per_class, replace=False)))
        for dataset in (source, target)
        for rows in dataset.rows
    ]
    if components is None:
        _check_finite(source, target, cut)
        components = principal_components(_joined(cut, source.width), n=n_components, share=share)
    points = [components.project(dataset.read(rows)) for dataset, rows in cut]
    sources, targets = points[: len(source.names)], points[len(source.names) :]
    table = [[hausdorff(a, b, modified=modified) for b in targets] for a in sources]
    return ClassDistances(
        source=source.names,
        target=target.names,
        forward=np.array([[each.forward for each in row] for row in table]),
        backward=np.array([[each.backward for each in row] for row in table]),
        components=components,
        per_class=per_class,
        points=tuple(points),
    )


def _joined(parts: Sequence[tuple[Classes, NDArray[np.int64]]], width: int) -> Source:
    """All chosen images of both datasets, one after the other."""
    ends = np.cumsum([0, *(len(rows) for _, rows in parts)])

    def read(start: int, stop: int) -> NDArray[np.float32]:
        found = [
            dataset.read(rows[max(0, start - first) : stop - first])
            for (dataset, rows), first, last in zip(parts, ends, ends[1:], strict=False)
            if start < last and stop > first
        ]
        return np.concatenate(found)

    return Source(int(ends[-1]), width, read)


def _check_finite(source: Classes, target: Classes, cut: Sequence[tuple[Classes, NDArray[np.int64]]]) -> None:
    """Refuse images with NaN or infinity, by class: on common components nobody could say where they came from."""
    named = [("source", name) for name in source.names] + [("target", name) for name in target.names]
    for (role, name), (dataset, rows) in zip(named, cut, strict=True):
        step = max(1, _BLOCK_BYTES // (4 * dataset.width))
        blocks = (dataset.read(rows[start : start + step]) for start in range(0, len(rows), step))
        bad = sum(int(len(block) - np.isfinite(block).all(1).sum()) for block in blocks)
        if bad:
            raise DataError(
                f"{bad} of {len(rows)} images of class {name!r} of the {role} hold values that are not finite. Leave "
                "them out, or preprocess them again."
            )


def _check(source: Classes, target: Classes) -> None:
    if source.width != target.width:
        raise DataError(
            f"Both datasets need images of one size; got {source.width} and {target.width} numbers an image. "
            "Preprocess them to the same shape and channels."
        )
    for role, dataset in (("source", source), ("target", target)):
        if not dataset.names:
            raise DataError(f"The {role} has no class. Name a dataset with a class for each image.")
        for name, rows in zip(dataset.names, dataset.rows, strict=True):
            if len(rows) < 2:
                count = f"{len(rows)} image{'s' * (len(rows) != 1)}"
                raise DataError(
                    f"Class {name!r} of the {role} has {count}, and two are needed. Add some or leave it out."
                )
