"""Options chosen by cross-validation among the labelled subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["chosen", "folds_of"]

FOLDS = 5
_C = TypeVar("_C")
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def folds_of(subjects: NDArray[np.int64]) -> list[Fold]:
    """(fitted, held out) positions of each fold; the images of a subject stay together."""
    codes = np.unique(subjects, return_inverse=True)[1]
    count = int(codes.max()) + 1
    fold_of = np.random.default_rng(0).permutation(count) % min(FOLDS, count)
    held = fold_of[codes]
    return [(np.flatnonzero(held != fold), np.flatnonzero(held == fold)) for fold in range(min(FOLDS, count))]


def chosen(
    candidates: Sequence[_C],
    loss: Callable[[_C, NDArray[np.int64], NDArray[np.int64]], NDArray[Any]],
    subjects: NDArray[np.int64],
) -> _C:
    """The candidate with the least mean loss over the held-out images; the first of equal ones.

    Args:
        candidates: In order of preference.
        loss: (candidate, fitted, held out) -> (H,) loss of each held-out image.
        subjects: (N,) of the images.
    """
    folds = folds_of(subjects)
    if len(folds) < 2:
        return candidates[0]
    means = [np.concatenate([loss(each, *fold) for fold in folds]).mean() for each in candidates]
    return candidates[int(np.argmin(means))]
