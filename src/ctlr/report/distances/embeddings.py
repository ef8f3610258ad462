"""Neighbourhoods of images in the plane, by t-SNE at several perplexities, with what they do not say."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctlr.report.distances.marks import Group, draw_points, drawn_words, handles
from ctlr.report.theme.svg import INK, MUTED, Panel, panel, sheet
from ctlr.transferability.pictures import Embedding, Pictures

__all__ = ["CAVEATS", "embeddings_plot"]

CAVEATS = (
    "t-SNE keeps neighbours together, and little else. The size of a cluster, the distance between clusters and the "
    "axes mean nothing; clumps appear in pure noise too, above all at a low perplexity. Another seed gives another "
    "picture. Believe what stands at every perplexity, and measure it elsewhere."
)
"""Wattenberg, Viegas & Johnson 2016, How to use t-SNE effectively, in short."""


def embeddings_plot(pictures: Pictures, groups: Sequence[Group], what: str, name: str, marks: str = "") -> Panel:
    """Draw a small plane a perplexity; in the last cell stand the key and what t-SNE does not say.

    Args:
        pictures: With one embedding at least.
        groups: Of its points.
        what: The points are grouped by, in a word.
        name: Of the drawing on its page.
        marks: A sentence on what the marks mean, where the key does not say it.
    """
    side, gap = 236, 22
    columns = 2 if len(pictures.embeddings) in (1, 3) else 3
    rows = -(-(len(pictures.embeddings) + 1) // columns)
    last = max(side, 16 * -(-len(groups) // 2) + 190)  # the words stand in the last row
    width, height = columns * (side + gap) + gap, (rows - 1) * (side + 30) + last + 36
    with sheet(width, height) as figure:

        def place(index: int) -> tuple[float, float, float, float]:
            left, top = gap + (index % columns) * (side + gap), 26 + (index // columns) * (side + 30)
            return left / width, 1 - (top + side) / height, side / width, side / height

        for index, embedding in enumerate(pictures.embeddings):
            _plane(figure.add_axes(place(index)), embedding, groups)
        left, bottom, _, _ = place(len(pictures.embeddings))
        _words(figure, pictures, groups, marks, (left, bottom + side / height), height)
        names = ", ".join(group.name for group in groups)
        told = ", ".join(str(embedding.perplexity) for embedding in pictures.embeddings)
        return panel(figure.axes[0], name=name, alt=f"t-SNE by {what} at perplexities {told}: {names}. {CAVEATS}")


def _plane(axes: Axes, embedding: Embedding, groups: Sequence[Group]) -> None:
    draw_points(axes, embedding.points, groups)
    axes.set_title(f"perplexity {embedding.perplexity}", loc="left", fontsize=12, color=INK, pad=5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)


def _words(
    figure: Figure, pictures: Pictures, groups: Sequence[Group], marks: str, corner: tuple[float, float], height: int
) -> None:
    """Key and caveats, from the cell's upper left corner down."""
    left, top = corner
    drawn = len(pictures.classes)
    dropped = ", ".join(map(str, pictures.left_out))
    lines = [
        f"{drawn_words(pictures)}{', as many of each class' if drawn < pictures.images else ''}.",
        *([f"Too few for perplexity {dropped}."] if dropped else []),
        *([marks] if marks else []),
        CAVEATS,
    ]
    text = "\n".join(textwrap.fill(line, 44) for line in lines)
    figure.text(left, top, text, fontsize=10, color=MUTED, va="top", linespacing=1.35)
    below = 13.5 * (text.count("\n") + 1) + 10
    figure.legend(
        handles=list(handles(groups)), loc="upper left", bbox_to_anchor=(left, top - below / height),
        frameon=False, fontsize=10, ncols=2 if len(groups) > 2 else 1, borderpad=0, borderaxespad=0, handlelength=1.0,
        handletextpad=0.4, columnspacing=1.2, labelspacing=0.3,
    )  # fmt: skip
