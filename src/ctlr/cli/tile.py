"""`ctlr tile`: patches out of big pictures; and synthetic ones to try it on."""

from __future__ import annotations

import os
from pathlib import Path

import rich_click as click

__all__ = ["tile", "write_tissue"]


@click.command()
@click.argument("slides", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--size", type=click.IntRange(8, 4096), default=512, show_default=True, help="Pixels a side of a patch.")
@click.option("--overlap", type=click.IntRange(0), default=0, show_default=True, help="Pixels that neighbours share.")
@click.option(
    "--masks",
    type=click.Path(path_type=Path),
    help="Folder of annotation masks, one a slide, of its name; 0 is unmarked. Without, patches with tissue are cut.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="VALUE=CLASS",
    help="Class that a value of the masks stands for, e.g. `2=malignant`. Repeatable; by default the number.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Of a patch, that tissue or one label of the mask covers at least.",
)
@click.option("--level", type=click.IntRange(0), default=0, show_default=True, help="Of a pyramid; 0 is the finest.")
@click.option("--mpp", type=click.FloatRange(0, min_open=True), help="µm a pixel of the patches, instead of a level.")
@click.option("--case", help="Regular expression over a slide's path; its first group is the case.")
@click.option("--workers", type=click.IntRange(1), help="Threads; by default one a core.")
def tile(
    slides: Path, out: Path, size: int, overlap: int, masks: Path | None, labels: tuple[str, ...], share: float,
    level: int, mpp: float | None, case: str | None, workers: int | None,
) -> None:  # fmt: skip
    """Cut patches out of big pictures (a folder of TIFF, SVS, PNG or JPEG files), with a table of where they lie.

    Slides that are cut already are not read again. `kind: images` reads OUT with `table: patches.tsv` and
    `group_column: case`.
    """
    from ctlr.cli.show import counting
    from ctlr.data.tiling.cutting import Cutting, cut

    options = Cutting(
        size=size, overlap=overlap, share=share, level=level, mpp=mpp, labels=_labels(labels), case=_expression(case)
    )
    with counting("slides") as progress:
        count = cut(
            slides, out, options, masks=masks, workers=workers or len(os.sched_getaffinity(0)), progress=progress
        )
    click.echo(f"{count} patches in {out}")


def _labels(settings: tuple[str, ...]) -> dict[int, str]:
    from ctlr.errors import ConfigError

    labels: dict[int, str] = {}
    for setting in settings:
        value, _, name = setting.partition("=")
        if not (value.isdecimal() and 0 < int(value) < 256) or not name or not name.isprintable() or "/" in name:
            raise ConfigError(
                f"`--label` needs a value of the mask, 1 to 255, and a name: `2=malignant`; got {setting!r}."
            )
        labels[int(value)] = name
    return labels


def _expression(case: str | None) -> str | None:
    import re

    from ctlr.errors import ConfigError

    try:
        return case if case is None else re.compile(case).pattern
    except re.error as error:
        raise ConfigError(f"`--case` must be a regular expression; {case!r} is none: {error}.") from error


def write_tissue(out: Path, cases: int, seed: int, side: int, workers: int | None) -> None:
    """`ctlr cohort OUT --kind tissue`."""
    from ctlr.cli.show import counting
    from ctlr.data.kinds.tissue.writing import write_slides
    from ctlr.errors import ConfigError
    from ctlr.specs import TissueSpec

    if cases < 2:
        raise ConfigError(f"`--subjects` of tissue must be 2 or more; got {cases}.")
    with counting("slides") as progress:
        write_slides(
            TissueSpec(cases=cases, seed=seed), out, side=side, workers=workers or len(os.sched_getaffinity(0)),
            progress=progress,
        )  # fmt: skip
    click.echo(str(out))
