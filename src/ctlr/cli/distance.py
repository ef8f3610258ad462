"""`ctlr distance`: how far the classes of one folder of images lie from those of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli.options import output_option, workspace_option

if TYPE_CHECKING:
    from ctlr.transferability.distance import ClassDistances, Classes
    from ctlr.workspace import Workspace

__all__ = ["distance"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--side",
    type=click.IntRange(8, 1024),
    default=32,
    show_default=True,
    help="Pixels a side that every image is brought to.",
)
@click.option(
    "--channels",
    type=click.Choice(["1", "3"]),
    default="3",
    show_default=True,
    help="Of an image; grey ones are repeated.",
)
@click.option(
    "--components",
    type=click.IntRange(1),
    default=148,
    show_default=True,
    help="Principal components, of both folders together.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of variance that the components hold, instead of their number.",
)
@click.option("--plain", is_flag=True, help="Hausdorff's own distance, which the farthest image decides.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of cutting classes to one size.")
@click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to draw eigen-images, components and t-SNE into.",
)
@workspace_option("Folder that holds what steps made.")
@output_option()
def distance(
    source: Path, target: Path, side: int, channels: str, components: int, share: float | None, plain: bool,
    seed: int, figures: Path | None, workspace: Path, output: str,
) -> None:  # fmt: skip
    """Show how far the classes of SOURCE lie from those of TARGET: folders of images, one folder a class.

    The distance is the modified Hausdorff distance (Dubuisson & Jain 1994) on common principal components.
    """
    from ctlr.cli.show import show
    from ctlr.transferability.distance import class_distances
    from ctlr.workspace import Workspace

    opened = Workspace(workspace)
    both = [_classes(folder, side, int(channels), opened) for folder in (source, target)]
    found = class_distances(*both, seed=seed, n_components=components, share=share, modified=not plain)
    drawn: list[Path] = []
    if figures is not None:
        from ctlr.cli.distance_figures import write_figures

        shape = (int(channels), side, side)
        drawn = write_figures(found, figures, names=(source.name, target.name), shape=shape, seed=seed)
    if output == "table":
        _print(found)
        for path in drawn:
            click.echo(f"Drawn: {path}")
    else:
        show(_plain(found) | ({"figures": [str(path) for path in drawn]} if drawn else {}), output)


def _classes(folder: Path, side: int, channels: int, workspace: Workspace) -> Classes:
    """The images of a folder, preprocessed, as one row of numbers each."""
    import numpy as np

    from ctlr.cli.show import counting
    from ctlr.data.preprocess import preprocess
    from ctlr.data.store import ArrayStore
    from ctlr.data.targets import read_targets
    from ctlr.engine import default_workers
    from ctlr.errors import DataError
    from ctlr.specs import ImagesSpec, PreprocessSpec, TaskSpec
    from ctlr.transferability.distance import Classes

    if not folder.is_dir():
        raise DataError(f"{folder} must be a folder of images, one folder a class; there is none.")
    options = PreprocessSpec(shape=(side, side), channels=3 if channels == 3 else 1, normalise="percentile")
    dataset = ImagesSpec(name=folder.name, root=str(folder.absolute()), preprocess=options)
    with counting(f"images of {folder.name}") as progress:
        arrays = preprocess(dataset, workspace, workers=default_workers("cpu", 1), progress=progress)
    store = ArrayStore(arrays, workspace)
    targets = read_targets(store.table, TaskSpec(target="class", kind="classification"), folder.name)
    rows = tuple(np.flatnonzero(targets.values == code) for code in range(len(targets.classes)))
    width = int(np.prod(arrays.shape))
    return Classes(targets.classes, rows, lambda wanted: store.read(wanted).reshape(len(wanted), width), width)


def _plain(found: ClassDistances) -> dict[str, Any]:
    return {
        "source_classes": list(found.source),
        "target_classes": list(found.target),
        "source_to_target": found.forward.tolist(),
        "target_to_source": found.backward.tolist(),
        "distance": found.both.tolist(),
        "nearest_source_class": {
            name: found.source[row] for name, row in zip(found.target, found.nearest.tolist(), strict=True)
        },
        "mean": found.mean,
        "images_per_class": found.per_class,
        "components": len(found.components.axes),
        "explained_variance": float(found.components.explained.sum()),
    }


def _print(found: ClassDistances) -> None:
    """Classes of the source down, of the target across; the nearest source class of each is marked."""
    from ctlr.cli.show import show_rows

    rows = []
    for row, name in enumerate(found.source):
        cells = {
            target: f"{found.both[row, column]:.4g}{' *' if found.nearest[column] == row else ''}"
            for column, target in enumerate(found.target)
        }
        rows.append({"source class": name} | cells)
    show_rows("Distance of each source class from each target class (* the nearest)", rows)
    share = found.components.explained.sum()
    click.echo(
        f"Mean {found.mean:.4g}; {found.per_class} images a class, {len(found.components.axes)} components with "
        f"{share:.0%} of the variance."
    )
