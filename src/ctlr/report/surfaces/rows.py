"""Whose decisions are drawn, and what their studies left of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import DataError
from ctlr.report.findings import View
from ctlr.report.numbers.contests import Done
from ctlr.report.numbers.gaps import known_mean
from ctlr.specs import METRICS, SearchResult

__all__ = ["Surface", "drawn_systems", "read_surface"]

_MANY = 4
"""Methods at most, where no search is held against an expert; baselines come on top."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """What a classifier says of the plane. G lines along each axis."""

    x: NDArray[np.float64]
    """(G,)"""
    y: NDArray[np.float64]
    """(G,)"""
    codes: NDArray[np.uint8]
    """(G, G) predicted class where lines cross, rows by y."""
    points: Mapping[str, tuple[NDArray[np.float32], NDArray[np.uint8]]]
    """Side -> (n, 2) points and (n,) their classes."""


def read_surface(folder: Path) -> Surface | None:
    """Read `surface.npz` of a study; None where it left none.

    Raises:
        DataError: The file is damaged.
    """
    file = folder / "surface.npz"
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as found:
            sides = [name.removesuffix("_points") for name in found if name.endswith("_points")]
            points = {side: (found[f"{side}_points"], found[f"{side}_codes"]) for side in sides}
            return Surface(x=found["x"], y=found["y"], codes=found["codes"], points=points)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{folder.name}/surface.npz is damaged: {error}. Delete that folder and run `ctlr resume`: the study is "
            "done again."
        ) from error


def drawn_systems(view: View, searches: Sequence[SearchResult], by_hand: Sequence[str]) -> dict[str, Done]:
    """Label -> the first seed's study at the largest size: baselines, then the methods.

    Where an expert's options stand beside searches, of these the one that did best on validation subjects.
    """
    contest, size = view.contest, view.detail_size
    own = [method for method in view.drawn if (method, size) in contest.cells]
    experts = [method for method in own if method in by_hand]
    if experts:
        tuned = {search.study.method.label for search in searches}
        own = [*experts, *_best([method for method in own if method in tuned], view)]
    chosen = [*(label for label in contest.references if (label, size) in contest.cells), *own[:_MANY]]
    return {method: contest.cells[method, size][0] for method in chosen}


def _best(methods: Sequence[str], view: View) -> list[str]:
    contest = view.contest
    sign = 1 if METRICS[contest.task.headline] == "max" else -1
    known = {
        method: known_mean(
            [done.result.chosen_by.get(contest.task.headline) for done in contest.cells[method, view.detail_size]]
        )
        for method in methods
    }
    scores = {method: sign * score for method, score in known.items() if score is not None}
    return [max(scores, key=scores.__getitem__)] if scores else []
