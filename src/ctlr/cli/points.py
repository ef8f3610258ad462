"""`ctlr points`: generated points as tables."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

__all__ = ["points"]


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--generator", default="toroid", show_default=True,
              help="Which densities: gaussians, toroid, yin_yang, pinwheel or blurred_cat.")  # fmt: skip
@click.option("--points", "counts", type=click.IntRange(10), nargs=3, default=(10_000, 5_000, 5_000), show_default=True,
              help="Points that train, validate and test.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other points.")
def points(out: Path, generator: str, counts: tuple[int, int, int], seed: int) -> None:
    """Write generated points as train.csv, dev.csv and eval.csv, and say the least error that is possible."""
    from ctlr.data.kinds.points.generating import bayes_error
    from ctlr.data.kinds.points.writing import write_points
    from ctlr.errors import ConfigError, nearest
    from ctlr.specs import GENERATORS, GeneratedPointsSpec

    if generator not in GENERATORS:
        raise ConfigError(f"`--generator`: there is no {generator!r}. {nearest(generator, GENERATORS)}")
    spec = GeneratedPointsSpec.model_validate({"generator": generator, "points": counts, "seed": seed})
    files = write_points(spec, out)
    for file, side in files.items():
        click.echo(f"{file}  {bayes_error(generator, side):.2%} least error")
