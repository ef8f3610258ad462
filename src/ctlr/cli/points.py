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
@click.option("--parameter", "given", multiple=True, metavar="NAME=NUMBER",
              help="Of the generator, e.g. noise=0.1; several times. The guide lists them.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, other points.")
def points(
    out: Path, generator: str, counts: tuple[int, int, int], given: tuple[str, ...], seed: int
) -> None:  # fmt: skip
    """Write generated points as train.csv, dev.csv and eval.csv, and say the least error that is possible."""
    from pydantic import ValidationError

    from ctlr.data.kinds.points.generating import least_error
    from ctlr.data.kinds.points.writing import write_points
    from ctlr.errors import ConfigError, nearest
    from ctlr.specs import GENERATORS, GeneratedPointsSpec

    if generator not in GENERATORS:
        raise ConfigError(f"`--generator`: there is no {generator!r}. {nearest(generator, GENERATORS)}")
    values = {"generator": generator, "points": counts, "seed": seed, "parameters": dict(map(_parted, given))}
    try:
        spec = GeneratedPointsSpec.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.") from error
    for file, side in write_points(spec, out).items():
        least = least_error(spec, "validation" if side == "val" else side)
        click.echo(f"{file}  {least:.2%} least error")


def _parted(text: str) -> tuple[str, float]:
    from ctlr.errors import ConfigError

    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError as error:
        raise ConfigError(f"`--parameter` must be NAME=NUMBER, such as noise=0.1; got {text!r}.") from error
