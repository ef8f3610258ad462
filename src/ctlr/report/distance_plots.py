"""Drawings of two datasets on their joint components: eigen-images, scatters, neighbourhoods."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ctlr.report.plots import short
from ctlr.report.svg import INK, MUTED, SERIES, SURFACE, Panel, canvas, panel, sheet
from ctlr.transferability.pictures import Embedding, Pictures

__all__ = ["CAVEATS", "MOST_CLASSES", "distance_drawings"]

MOST_CLASSES = 24
"""Of a dataset: more cannot be told apart by colour and mark."""
CAVEATS = (
    "t-SNE keeps neighbours together, and little else. The size of a cluster, the distance between clusters and the "
    "axes mean nothing; clumps appear in pure noise too, above all at a low perplexity. Another seed gives another "
    "picture. Believe what stands at every perplexity, and measure it elsewhere."
)  # fmt: skip
"""Wattenberg, Viegas & Johnson 2016, How to use t-SNE effectively, in short."""

_CIRCLES, _TRIANGLES = "osD", "^v<"
_COLOURS = SERIES[1:]
_TILE = 104
_DASHES = (0, (4, 3))


@dataclass(frozen=True)
class _Group:
    """Points that look alike."""

    name: str
    chosen: NDArray[np.bool_]
    colour: str
    marker: str


def distance_drawings(pictures: Pictures, *, source: str, target: str, prefix: str = "") -> dict[str, Panel]:
    """Every drawing, by the stem of its file.

    Those by class are left out where a dataset has more than `MOST_CLASSES`, embeddings where images are too few.

    Args:
        pictures: What to draw.
        source: Name of the source dataset.
        target: Name of the target dataset.
        prefix: Of the drawings' names on a page.
    """
    domains = _domains(pictures, source, target)
    drawn = {"eigen-images": _eigen_images, "explained-variance": _explained_variance}
    found = {name: draw(pictures, f"{prefix}{name}") for name, draw in drawn.items()}
    found["components-by-domain"] = _domain_scatter(pictures, domains, f"{prefix}components-by-domain")
    if pictures.embeddings:
        found["tsne-by-domain"] = _embeddings(pictures, domains, "domain", f"{prefix}tsne-by-domain")
    if max(len(pictures.source), len(pictures.target)) <= MOST_CLASSES:
        sides = _classes(pictures, source, target)
        found["components-by-class"] = _class_scatters(pictures, sides, f"{prefix}components-by-class")
        if pictures.embeddings:
            groups = [group for side in sides.values() for group in side]
            found["tsne-by-class"] = _embeddings(pictures, groups, "class", f"{prefix}tsne-by-class")
    return found


def _domains(pictures: Pictures, source: str, target: str) -> list[_Group]:
    own = pictures.from_target
    names = (source, target) if source != target else (f"{source} (source)", f"{target} (target)")
    return [
        _Group(f"{short(names[0], 20)}, n = {np.count_nonzero(~own)}", ~own, _COLOURS[0], "o"),
        _Group(f"{short(names[1], 20)}, n = {np.count_nonzero(own)}", own, _COLOURS[1], "^"),
    ]


def _classes(pictures: Pictures, source: str, target: str) -> dict[str, list[_Group]]:
    """Groups by dataset; classes of equal number share a colour, datasets differ in the mark."""
    first = len(pictures.source)
    sides = ((source, pictures.source, 0, _CIRCLES), (target, pictures.target, first, _TRIANGLES))
    return {
        f"{role}: {short(dataset, 24)}": [
            _Group(short(name, 14), pictures.classes == start + index, _COLOURS[index % len(_COLOURS)],
                   markers[index // len(_COLOURS)])
            for index, name in enumerate(names)
        ]
        for role, (dataset, names, start, markers) in zip(("Source", "Target"), sides, strict=True)
    }  # fmt: skip


# ---------------------------------------------------------------- components


def _eigen_images(pictures: Pictures, name: str) -> Panel:
    """The mean image, and the components as images: what each one adds, from least (purple) to most (orange)."""
    tiles = [pictures.mean_image, *pictures.eigen_images]
    titles = ["mean", *(f"{i + 1}: {_percent(share)}" for i, share in enumerate(pictures.explained[: len(tiles) - 1]))]
    columns = min(4, len(tiles))
    rows = -(-len(tiles) // columns)
    width, height = columns * (_TILE + 12) + 12, rows * (_TILE + 30) + 34
    with sheet(width, height) as figure:
        for index, (tile, title) in enumerate(zip(tiles, titles, strict=True)):
            left = 12 + (index % columns) * (_TILE + 12)
            top = 24 + (index // columns) * (_TILE + 30)
            axes = figure.add_axes((left / width, 1 - (top + _TILE) / height, _TILE / width, _TILE / height))
            _show(axes, tile, signed=index > 0)
            axes.set_title(title, fontsize=11, color=INK, pad=4)
            axes.axis("off")
        note = f"Share of the variance of {pictures.images} images; {_colours_of(pictures)}"
        figure.text(12 / width, 10 / height, note, fontsize=10, color=MUTED)
        shares = ", ".join(titles[1:])
        return panel(figure.axes[0], name=name, alt=f"Mean image and eigen-images with their share: {shares}.")


def _show(axes: Axes, image: NDArray[np.float32], *, signed: bool) -> None:
    """Draw (C, H, W): one channel by a colour map, around zero where it is signed; three as they are."""
    grey = _is_grey(image)
    reach = float(np.abs(image).max()) or 1.0
    if grey and signed:
        axes.imshow(image[0], cmap="PuOr_r", vmin=-reach, vmax=reach, interpolation="none")
    elif grey:
        axes.imshow(image[0], cmap="gray", interpolation="none")
    else:
        low, high = (-reach, reach) if signed else (float(image.min()), float(image.max()))
        axes.imshow(((image - low) / ((high - low) or 1.0)).transpose(1, 2, 0).clip(0, 1), interpolation="none")


def _is_grey(image: NDArray[np.float32]) -> bool:
    return len(image) != 3 or bool(np.allclose(image, image[:1], atol=1e-4 * float(np.abs(image).max() or 1)))


def _colours_of(pictures: Pictures) -> str:
    return "orange adds, purple takes." if _is_grey(pictures.eigen_images[0]) else "middle grey is zero."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _explained_variance(pictures: Pictures, name: str) -> Panel:
    """Share of the variance that the first k components hold, with the k that hold half and nine tenths."""
    held = np.concatenate([[0.0], np.cumsum(pictures.explained)])
    count = len(held) - 1
    marks = [(share, int(np.searchsorted(held, share))) for share in (0.5, 0.9) if held[-1] >= share]
    with canvas(420, 280, left=58, right=20, top=12) as axes:
        axes.plot(range(1, count + 1), 100 * held[1:], color=_COLOURS[0], linewidth=2)
        axes.set_xscale("log")
        for share, at in marks:
            axes.plot([at, at, 0.9], [0, 100 * held[at], 100 * held[at]], color=MUTED, linestyle=_DASHES, linewidth=1)
            axes.plot([at], [100 * held[at]], "o", color=_COLOURS[0], markersize=7, markeredgecolor=SURFACE)
            axes.annotate(
                f"{at} for {100 * share:.0f} %", (at, 100 * held[at]), (8, -12), textcoords="offset points", color=INK,
                fontsize=11,
            )  # fmt: skip
        axes.text(
            0.98, 0.05, f"all {count}: {_percent(float(held[-1]))}", transform=axes.transAxes, ha="right", color=INK,
            weight="bold",
        )  # fmt: skip
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= count]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(0.9, count * 1.1)
        axes.set_ylim(0, 103)
        axes.set_xlabel("Components, largest variance first (log scale)")
        axes.set_ylabel(f"Variance held, % (n = {pictures.images})")
        told = "; ".join(f"{at} hold {100 * share:.0f} %" for share, at in marks)
        return panel(
            axes, name=name, alt=f"Variance by components: {f'{told}; ' if told else ''}all {count} {held[-1]:.0%}."
        )


def _domain_scatter(pictures: Pictures, domains: Sequence[_Group], name: str) -> Panel:
    with sheet(470, 420) as figure:
        axes = figure.add_axes((0.13, 0.13, 0.84, 0.76))
        _points(axes, pictures.points, domains)
        _component_axes(axes, pictures)
        _key(axes, domains, columns=2, place=(0.0, 1.12))
        return panel(axes, name=name, alt=f"First two components: {'; '.join(group.name for group in domains)}.")


def _class_scatters(pictures: Pictures, sides: Mapping[str, Sequence[_Group]], name: str) -> Panel:
    """The same plane twice: classes of one dataset in colour, the other one behind."""
    most = max(map(len, sides.values()))
    rows = -(-most // 4)
    height = 408 + 18 * rows
    with sheet(880, height) as figure:
        bottom, share = 52 / height, 318 / height
        for index, (title, groups) in enumerate(sides.items()):
            axes = figure.add_axes((0.07 + 0.5 * index, bottom, 0.42, share))
            mine = np.any([group.chosen for group in groups], axis=0)
            x, y = pictures.points[~mine].T
            axes.scatter(x, y, s=9, color=MUTED, alpha=0.16, linewidths=0)
            _points(axes, pictures.points, groups)
            _component_axes(axes, pictures)
            _key(axes, groups, columns=4, place=(0.0, 1.0 + (18 * rows + 10) / 318))
            axes.set_title(
                f"{title}, n = {np.count_nonzero(mine)}", loc="left", fontsize=12, color=INK, pad=18 * rows + 18
            )
        names = "; ".join(f"{title}: {', '.join(group.name for group in groups)}" for title, groups in sides.items())
        return panel(figure.axes[0], name=name, alt=f"First two components by class. {names}.")


def _drawn(pictures: Pictures) -> str:
    drawn = len(pictures.classes)
    return f"{drawn} of {pictures.images} images" if drawn < pictures.images else f"All {drawn} images"


def _component_axes(axes: Axes, pictures: Pictures) -> None:
    first, second = (_percent(float(share)) for share in pictures.explained[:2])
    axes.set_xlabel(f"Component 1 ({first} of the variance), image units")
    axes.set_ylabel(f"Component 2 ({second})")
    axes.text(1.0, 1.02, _drawn(pictures), transform=axes.transAxes, ha="right", va="bottom", color=MUTED, fontsize=10)


# ---------------------------------------------------------------- embeddings


def _embeddings(pictures: Pictures, groups: Sequence[_Group], what: str, name: str) -> Panel:
    """A small plane a perplexity, and what they do not say in the last cell."""
    side, gap = 236, 22
    columns = 2 if len(pictures.embeddings) in (1, 3) else 3
    rows = -(-(len(pictures.embeddings) + 1) // columns)
    listed = 16 * -(-len(groups) // 2) + 150
    width, height = columns * (side + gap) + gap, rows * (max(side, listed) + 30) + 12
    cell = max(side, listed)
    with sheet(width, height) as figure:

        def place(index: int) -> tuple[float, float, float, float]:
            left, top = gap + (index % columns) * (side + gap), 26 + (index // columns) * (cell + 30)
            return left / width, 1 - (top + side) / height, side / width, side / height

        for index, embedding in enumerate(pictures.embeddings):
            _plane(figure.add_axes(place(index)), embedding, groups)
        left, bottom, _, _ = place(len(pictures.embeddings))
        _words(figure, pictures, groups, left, bottom + side / height, height)
        names = ", ".join(group.name for group in groups)
        told = ", ".join(str(embedding.perplexity) for embedding in pictures.embeddings)
        return panel(figure.axes[0], name=name, alt=f"t-SNE by {what} at perplexities {told}: {names}. {CAVEATS}")


def _plane(axes: Axes, embedding: Embedding, groups: Sequence[_Group]) -> None:
    _points(axes, embedding.points, groups)
    axes.set_title(f"perplexity {embedding.perplexity}", loc="left", fontsize=12, color=INK, pad=5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)


def _words(figure: Figure, pictures: Pictures, groups: Sequence[_Group], left: float, top: float, height: int) -> None:
    """Key and caveats, from the cell's upper left corner down."""
    drawn = len(pictures.classes)
    dropped = ", ".join(map(str, pictures.left_out))
    lines = [
        f"{_drawn(pictures)}{', as many of each class' if drawn < pictures.images else ''}.",
        *([f"Too few for perplexity {dropped}."] if dropped else []),
        CAVEATS,
    ]
    text = "\n".join(textwrap.fill(line, 44) for line in lines)
    figure.text(left, top, text, fontsize=10, color=MUTED, va="top", linespacing=1.35)
    below = 13.5 * (text.count("\n") + 1) + 10
    figure.legend(
        handles=list(_handles(figure, groups)), loc="upper left", bbox_to_anchor=(left, top - below / height),
        frameon=False, fontsize=10, ncols=2 if len(groups) > 2 else 1, borderpad=0, borderaxespad=0, handlelength=1.0,
        handletextpad=0.4, columnspacing=1.2, labelspacing=0.3,
    )  # fmt: skip


# ---------------------------------------------------------------- marks


def _points(axes: Axes, points: NDArray[np.float32], groups: Sequence[_Group]) -> None:
    """Draw the groups in turns, a part of each at a time, so that the last one does not hide the others."""
    parts = 8
    size = 16 if len(points) > 400 else 28
    for part in range(parts):
        for group in groups:
            x, y = points[group.chosen][part::parts].T
            axes.scatter(
                x, y, s=size * (1.3 if group.marker in _TRIANGLES else 1.0), color=group.colour, marker=group.marker,
                alpha=0.6, linewidths=0,
            )  # fmt: skip


def _handles(figure: Figure, groups: Sequence[_Group]) -> Iterator[object]:
    from matplotlib.lines import Line2D

    for group in groups:
        yield Line2D([], [], linestyle="", marker=group.marker, color=group.colour, markersize=6.5,
                     markeredgewidth=0, label=group.name)  # fmt: skip


def _key(axes: Axes, groups: Sequence[_Group], *, columns: int, place: tuple[float, float]) -> None:
    figure = axes.get_figure(root=True)
    assert figure is not None
    axes.legend(
        handles=list(_handles(figure, groups)), loc="upper left", bbox_to_anchor=place, frameon=False, fontsize=11,
        ncols=columns, borderpad=0, borderaxespad=0, handlelength=1.0, handletextpad=0.4, columnspacing=1.4,
        labelspacing=0.3,
    )  # fmt: skip
