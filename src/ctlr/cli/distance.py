"""`ctlr distance`: how far the classes of one dataset lie from those of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli.options import output_option, workspace_option

if TYPE_CHECKING:
    from ctlr.specs import DatasetSpec, StoredArrays, TaskSpec
    from ctlr.transferability.distance import ClassDistances, Classes
    from ctlr.workspace import Workspace

__all__ = ["distance"]


@click.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--side",
    type=click.IntRange(8, 1024),
    default=32,
    show_default=True,
    help="Pixels a side that every image of a folder is brought to.",
)
@click.option(
    "--channels",
    type=click.Choice(["1", "3"]),
    default="3",
    show_default=True,
    help="Of an image of a folder; grey ones are repeated.",
)
@click.option(
    "--components",
    type=click.IntRange(1),
    default=148,
    show_default=True,
    help="Principal components, of both together.",
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
    source: str, target: str, side: int, channels: str, components: int, share: float | None, plain: bool,
    seed: int, figures: Path | None, workspace: Path, output: str,
) -> None:  # fmt: skip
    """Show how far the classes of SOURCE lie from those of TARGET.

    Each is a folder of images, one folder a class, or FILE:NAME, a dataset of a benchmark file. The distance is the
    modified Hausdorff distance (Dubuisson & Jain 1994) on common principal components.
    """
    from ctlr.cli.show import show
    from ctlr.transferability.distance import class_distances
    from ctlr.workspace import Workspace

    opened = Workspace(workspace)
    datasets = [_dataset(place, side, int(channels)) for place in (source, target)]
    both = [_stored(data, task, opened) for data, task in datasets]
    found = class_distances(
        *(classes for classes, _ in both), seed=seed, n_components=components, share=share, modified=not plain
    )
    drawn: list[Path] = []
    if figures is not None:
        from ctlr.cli.distance_figures import write_figures

        (first, _), (second, _) = datasets
        drawn = write_figures(found, figures, names=(first.name, second.name), shape=both[0][1].shape, seed=seed)
    if output == "table":
        _print(found)
        for path in drawn:
            click.echo(f"Drawn: {path}")
    else:
        show(_plain(found) | ({"figures": [str(path) for path in drawn]} if drawn else {}), output)


def _dataset(place: str, side: int, channels: int) -> tuple[DatasetSpec, TaskSpec]:
    """What a place on the command line names, and the task whose classes are told apart."""
    from ctlr.errors import DataError
    from ctlr.specs import ImagesSpec, PreprocessSpec, TaskSpec

    file, _, name = place.rpartition(":")
    if Path(file).is_file():
        return _of_benchmark(Path(file), name)
    folder = Path(place)
    if not folder.is_dir():
        raise DataError(
            f"{place} must be a folder of images, one folder a class, or FILE:NAME, a dataset of a benchmark file; "
            "there is none."
        )
    options = PreprocessSpec(shape=(side, side), channels=3 if channels == 3 else 1, normalise="percentile")
    dataset = ImagesSpec(name=folder.name, root=str(folder.absolute()), preprocess=options)
    return dataset, TaskSpec(target="class", kind="classification")


def _of_benchmark(file: Path, name: str) -> tuple[DatasetSpec, TaskSpec]:
    from ctlr.config import load
    from ctlr.errors import ConfigError, nearest

    config = load(file)
    if name not in config.datasets:
        raise ConfigError(f"{file}: unknown dataset {name!r}. {nearest(name, config.datasets)}")
    ends = [end for transfer in config.transfers for end in (transfer.source, transfer.target) if end is not None]
    tasks = [config.tasks[end.task] for end in ends if end.data == name]
    if not tasks:
        raise ConfigError(f"{file}: no transfer has a task on {name!r}, which would tell its classes. Name another.")
    # Classes say more than the bins that stand for them in a numeric target.
    return config.datasets[name], min(tasks, key=lambda task: task.kind != "classification")


def _stored(dataset: DatasetSpec, task: TaskSpec, workspace: Workspace) -> tuple[Classes, StoredArrays]:
    """The images of a dataset, preprocessed, as one row of numbers each."""
    import numpy as np

    from ctlr.cli.show import counting
    from ctlr.data.preprocess import preprocess
    from ctlr.data.store import ArrayStore
    from ctlr.data.targets import read_targets
    from ctlr.engine import default_workers
    from ctlr.steps.transferability import classes_of

    with counting(f"images of {dataset.name}") as progress:
        arrays = preprocess(dataset, workspace, workers=default_workers("cpu", 1), progress=progress)
    store = ArrayStore(arrays, workspace)
    targets = read_targets(store.table, task, dataset.name)
    return classes_of(store, targets, np.flatnonzero(targets.known)), arrays


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
