"""What is known of generated data: the least error that is possible, and how dense its classes lie."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.report.numbers.contests import Contest

__all__ = ["LeastRow", "class_densities", "least_error"]

Densities = Callable[[str, NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class LeastRow:
    """The least error that is possible on each side: the Bayes error of densities that are known."""

    train: float
    validation: float
    test: float


def least_error(contest: Contest) -> LeastRow | None:
    """None where nobody knows it, and where a task keeps some of the classes only."""
    data = contest.target.data
    if not data.least_error or not _whole(contest):
        return None
    known = pkgutil.resolve_name(data.least_error)
    return LeastRow(train=known(data, "train"), validation=known(data, "validation"), test=known(data, "test"))


def class_densities(contest: Contest) -> Densities | None:
    """(side, (N, 2) points) -> (N, K) densities of the classes; None where nobody knows them."""
    data = contest.target.data
    if not data.class_densities or not _whole(contest):
        return None
    known = pkgutil.resolve_name(data.class_densities)
    return lambda side, points: np.asarray(known(data, side, points))


def _whole(contest: Contest) -> bool:
    """Whether the task asks for the classes as the data have them."""
    return contest.task.classes is None and contest.task.target == "class"
