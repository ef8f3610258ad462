"""Points in a plane, told apart by colour and mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ctlr.transferability.pictures import Pictures

__all__ = ["CIRCLES", "TRIANGLES", "Group", "draw_key", "draw_points", "drawn_words", "handles"]

CIRCLES, TRIANGLES = "osD", "^v<"
"""Marks of the source and of the target; the next one where colours have to come again."""


@dataclass(frozen=True)
class Group:
    """Points that look alike."""

    name: str
    chosen: NDArray[np.bool_]
    colour: str
    marker: str


def drawn_words(pictures: Pictures) -> str:
    """How many images are drawn, of how many."""
    drawn = len(pictures.classes)
    return f"{drawn} of {pictures.images} images" if drawn < pictures.images else f"All {drawn} images"


def draw_points(axes: Axes, points: NDArray[np.float32], groups: Sequence[Group]) -> None:
    """Draw the groups in turns, a part of each at a time, so that the last one does not hide the others."""
    parts = 8
    size = 16 if len(points) > 400 else 28
    for part in range(parts):
        for group in groups:
            x, y = points[group.chosen][part::parts].T
            axes.scatter(
                x, y, s=size * (1.3 if group.marker in TRIANGLES else 1.0), color=group.colour, marker=group.marker,
                alpha=0.6, linewidths=0,
            )  # fmt: skip


def handles(groups: Sequence[Group]) -> Iterator[Line2D]:
    """Entries of a key."""
    for group in groups:
        yield Line2D([], [], linestyle="", marker=group.marker, color=group.colour, markersize=6.5,
                     markeredgewidth=0, label=group.name)  # fmt: skip


def draw_key(axes: Axes, groups: Sequence[Group], *, columns: int, place: tuple[float, float]) -> None:
    """Name the groups above the axes; `place` is the key's upper left corner, in parts of the axes."""
    axes.legend(
        handles=list(handles(groups)), loc="upper left", bbox_to_anchor=place, frameon=False, fontsize=11,
        ncols=columns, borderpad=0, borderaxespad=0, handlelength=1.0, handletextpad=0.4, columnspacing=1.4,
        labelspacing=0.3,
    )  # fmt: skip
