"""Drawings of two datasets on their joint components: eigen-images, scatters, neighbourhoods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ctlr.report.distances.embeddings import embeddings_plot
from ctlr.report.distances.marks import CIRCLES, TRIANGLES, Group, draw_key, draw_points, drawn_words
from ctlr.report.theme.styles import short
from ctlr.report.theme.svg import INK, MUTED, SERIES, SURFACE, Panel, canvas, panel, sheet
from ctlr.transferability.pictures import Pictures

__all__ = ["MOST_CLASSES", "distance_drawings"]

MOST_CLASSES = 24
"""Of a dataset: more cannot be told apart by colour and mark."""
_COLOURS = SERIES[1:]
_TILE = 104
_DASHES = (0, (4, 3))


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
        found["tsne-by-domain"] = embeddings_plot(pictures, domains, "domain", f"{prefix}tsne-by-domain")
    if max(len(pictures.source), len(pictures.target)) <= MOST_CLASSES:
        sides = _classes(pictures, source, target)
        found["components-by-class"] = _class_scatters(pictures, sides, f"{prefix}components-by-class")
        if pictures.embeddings:
            groups = [group for side in sides.values() for group in side]
            marks = f"Triangles: {short(target, 24)}; other marks: {short(source, 24)}."
            found["tsne-by-class"] = embeddings_plot(pictures, groups, "class", f"{prefix}tsne-by-class", marks)
    return found


def _domains(pictures: Pictures, source: str, target: str) -> list[Group]:
    own = pictures.from_target
    names = (source, target) if source != target else (f"{source} (source)", f"{target} (target)")
    return [
        Group(f"{short(names[0], 20)}, n = {np.count_nonzero(~own)}", ~own, _COLOURS[0], "o"),
        Group(f"{short(names[1], 20)}, n = {np.count_nonzero(own)}", own, _COLOURS[1], "^"),
    ]


def _classes(pictures: Pictures, source: str, target: str) -> dict[str, list[Group]]:
    """Groups by dataset; classes of equal number share a colour, datasets differ in the mark."""
    first = len(pictures.source)
    sides = ((source, pictures.source, 0, CIRCLES), (target, pictures.target, first, TRIANGLES))
    return {
        f"{role}: {short(dataset, 24)}": [
            Group(short(name, 14), pictures.classes == start + index, _COLOURS[index % len(_COLOURS)],
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


def _domain_scatter(pictures: Pictures, domains: Sequence[Group], name: str) -> Panel:
    with sheet(470, 420) as figure:
        axes = figure.add_axes((0.13, 0.13, 0.84, 0.76))
        draw_points(axes, pictures.points, domains)
        _component_axes(axes, pictures)
        draw_key(axes, domains, columns=2, place=(0.0, 1.12))
        return panel(axes, name=name, alt=f"First two components: {'; '.join(group.name for group in domains)}.")


def _class_scatters(pictures: Pictures, sides: Mapping[str, Sequence[Group]], name: str) -> Panel:
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
            draw_points(axes, pictures.points, groups)
            _component_axes(axes, pictures)
            draw_key(axes, groups, columns=4, place=(0.0, 1.0 + (18 * rows + 10) / 318))
            axes.set_title(
                f"{title}, n = {np.count_nonzero(mine)}", loc="left", fontsize=12, color=INK, pad=18 * rows + 18
            )
        names = "; ".join(f"{title}: {', '.join(group.name for group in groups)}" for title, groups in sides.items())
        return panel(figure.axes[0], name=name, alt=f"First two components by class. {names}.")


def _component_axes(axes: Axes, pictures: Pictures) -> None:
    first, second = (_percent(float(share)) for share in pictures.explained[:2])
    axes.set_xlabel(f"Component 1 ({first} of the variance), image units")
    axes.set_ylabel(f"Component 2 ({second})")
    axes.text(
        1.0, 1.02, drawn_words(pictures), transform=axes.transAxes, ha="right", va="bottom", color=MUTED, fontsize=10
    )
