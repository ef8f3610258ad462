"""Figures of `ctlr distance`: two datasets on their joint components, drawn into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from ctlr.transferability.distance import ClassDistances
    from ctlr.transferability.pictures import Pictures

__all__ = ["write_figures"]

POINTS = "points.csv"


def write_figures(
    found: ClassDistances, folder: Path, *, names: tuple[str, str], shape: tuple[int, ...], seed: int
) -> list[Path]:
    """Draw what was measured; equal distances give equal bytes.

    Args:
        found: What was measured.
        folder: Where to; made where it is not there.
        names: Of source and target.
        shape: (C, H, W) of an image.
        seed: Of what is drawn, and of the embeddings.

    Returns:
        The files: SVG drawings, and the points that they show as CSV.

    Raises:
        ConfigError: There are fewer than two components.
        WorkspaceError: The folder cannot be written.
    """
    from ctlr.report.distances.drawings import MOST_CLASSES, distance_drawings
    from ctlr.report.theme.formats import records_csv
    from ctlr.report.theme.standalone import standalone
    from ctlr.transferability.pictures import pictures_of
    from ctlr.workspace import disk_faults_named, write_aside

    components = found.components
    pictures = pictures_of(
        found.source, found.target, found.points, mean=components.mean, axes=components.axes,
        explained=components.explained, shape=shape, seed=seed,
    )  # fmt: skip
    drawn = distance_drawings(pictures, source=names[0], target=names[1])
    if max(len(pictures.source), len(pictures.target)) > MOST_CLASSES:
        click.echo(f"No figure by class: more than {MOST_CLASSES} classes cannot be told apart by colour.", err=True)
    files = {f"{name}.svg": standalone(panel) for name, panel in drawn.items()}
    files[POINTS] = records_csv(_records(pictures, names))
    with disk_faults_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_aside(folder / name, text.encode())
    return [folder / name for name in files]


def _records(pictures: Pictures, names: tuple[str, str]) -> list[dict[str, object]]:
    """One record a drawn image: where it comes from, and its places."""
    classes = (*pictures.source, *pictures.target)
    return [
        {
            "dataset": names[int(pictures.from_target[row])], "class": classes[code],
            "component_1": float(pictures.points[row, 0]), "component_2": float(pictures.points[row, 1]),
        }
        | {
            f"tsne_{each.perplexity}_{axis}": float(each.points[row, place])
            for each in pictures.embeddings for place, axis in enumerate("xy")
        }
        for row, code in enumerate(pictures.classes)
    ]  # fmt: skip
