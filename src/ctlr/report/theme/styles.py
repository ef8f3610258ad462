"""How methods look in every drawing: colours, marks, labels at the ends of lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from ctlr.report.theme.svg import INK, MUTED, SERIES, SURFACE, Panel, mark, variable

__all__ = ["WIDE", "MethodPanels", "Style", "label_ends", "short", "styles"]

WIDE = 480
"""Pixels of a drawing that stands beside a table."""
LINE = 17
"""Pixels between two lines of labels."""
_MARKERS = "sD^vP*Xo"
_SHAPES = {"s": "square", "D": "diamond", "^": "up", "v": "down", "P": "plus", "*": "star", "X": "cross"}
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.4, 1.6), (6, 2, 1.4, 2))
"""Of lines whose colours come again."""


@dataclass(frozen=True)
class Style:
    """How a method looks in every drawing of a report."""

    colour: str
    marker: str
    dashed: bool = False
    hollow: bool = False
    quiet: bool = False
    """Drawn thin and grey, without intervals, behind the others."""
    dash: tuple[float, ...] = ()
    """Lengths of dashes and gaps in line widths; empty for a line without gaps."""

    @property
    def key(self) -> str:
        """The colour as a CSS value."""
        return variable(self.colour)

    @property
    def shape(self) -> str:
        """Of the mark, as a class of the style sheet; empty for a round one."""
        return _SHAPES.get(self.marker, "")

    @property
    def line(self) -> tuple[float, tuple[float, ...]] | str:
        """Style of the line that joins the marks, as matplotlib takes it."""
        return (0, self.dash) if self.dash else "-"


@dataclass(frozen=True)
class MethodPanels:
    """Drawings of one method, side by side."""

    label: str
    panels: tuple[Panel, ...]


def styles(
    contenders: Sequence[str], baselines: Sequence[str], floors: Sequence[str], references: Sequence[str] = ()
) -> dict[str, Style]:
    """Colours and marks by order of appearance; after eight methods colours come again, with other marks and dashes."""
    chosen = {label: Style(MUTED, "", dashed=True) for label in floors}
    chosen |= {
        label: Style(MUTED, _MARKERS[index % len(_MARKERS)], hollow=True, quiet=True)
        for index, label in enumerate(references)
    }
    chosen |= {label: Style(SERIES[0], "o") for label in baselines}
    colours = SERIES[1:]
    for index, label in enumerate(contenders):
        marker = _MARKERS[(index + index // len(colours)) % len(_MARKERS)]
        dash = _DASHES[index // len(colours) % len(_DASHES)]
        chosen[label] = Style(colours[index % len(colours)], marker, dash=dash)
    return chosen


def short(text: str, limit: int = 16) -> str:
    """Cut the middle out of a label that would run into its neighbours: what tells labels apart is at their ends."""
    head = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:head]}…{text[head + 1 - limit :]}"


def label_ends(
    axes: Axes, ends: Sequence[tuple[str, float]], style: Mapping[str, Style], *, height: int, limit: int = 13
) -> None:
    """Name each line at its right end, by so many letters; (method, value) each, in a drawing of so many pixels."""
    low, high = axes.get_ylim()
    inside = axes.get_position().height * height
    ordered = sorted(ends, key=lambda end: end[1])
    places = spread([(value - low) / (high - low) * inside for _, value in ordered], inside)
    for (method, _), place in zip(ordered, places, strict=True):
        look, y = style[method], place / inside
        if look.dashed:
            (sign,) = axes.plot(
                [1.015, 1.05], [y, y], color=look.colour, linestyle=(0, (2, 1.5)), linewidth=1.4,
                transform=axes.transAxes, clip_on=False,
            )  # fmt: skip
        else:
            (sign,) = axes.plot(
                [1.033], [y], look.marker, color=look.colour, markersize=7.5,
                markerfacecolor=SURFACE if look.hollow else look.colour, markeredgewidth=1.8 if look.hollow else 0,
                transform=axes.transAxes, clip_on=False,
            )  # fmt: skip
        word = axes.text(1.07, y, short(method, limit), transform=axes.transAxes, va="center_baseline", color=INK)
        for part in (sign, word):
            mark(part, of=method)
    axes.set_ylim(low, high)


def spread(places: Sequence[float], height: float) -> list[float]:
    """Move ascending labels apart to at least `LINE` pixels, as little as may be, inside 0..height if they fit."""
    moved = list(places)
    for _ in range(200):
        for index in range(len(moved) - 1):
            push = (LINE - (moved[index + 1] - moved[index])) / 2
            if push > 0:
                moved[index] -= push
                moved[index + 1] += push
        moved = [min(max(place, 0.0), height) for place in moved]
    return moved
