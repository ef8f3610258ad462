"""`ctlr automl`: from a folder of labelled pictures to a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli.options import output_option, workspace_option
from ctlr.cli.voice import say, spoken

if TYPE_CHECKING:
    from ctlr.automl import Guidance, Prepared

__all__ = ["automl"]


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--minutes", type=float, default=10.0, help="Time on the clock, from the first search to the last model.")
@click.option("--goal", type=float, help="Validation score at which all searching ends, within an epoch.")
@click.option("--metric", help="By which models are compared, e.g. `balanced_accuracy`, `roc_auc`, `mae`.")
@click.option("--target", default="class", help="The folder that a picture lies in, or a column of `--table`.")
@click.option("--table", help="CSV or TSV below the folder, a line a picture.")
@click.option("--file-column", default="file", help="Of the table: the picture.")
@click.option("--group-column", help="Of the table: whose picture it is; all of one's pictures stand on one side.")
@click.option("--inputs", help="Of the table: columns that a model reads beside the picture, with commas.")
@click.option("--also", help="Of the table: columns that the same model answers beside the target, with commas.")
@click.option("--regression/--classification", default=None, help="By default as the target's values look.")
@click.option("--families", help="Searches that compete, with commas; by default all that there is time for.")
@click.option("--features", help="What models without a network see, with commas; by default their search decides.")
@click.option("--algorithm", help="That searches, by Katib's name; by default `tpe`, or what a network states.")
@click.option("--trials", type=click.IntRange(1), default=100, help="The most that any search may have.")
@click.option("--weights", multiple=True, metavar="FILE:ENCODER",
              help="Pretrained weights to begin from, e.g. `resnet18.pth:resnet18`. Repeatable.")  # fmt: skip
@click.option("--warm-start", type=click.Path(file_okay=False), metavar="WORKSPACE",
              help="Begin with what was best for the most similar pictures that were searched there.")  # fmt: skip
@click.option("--most-megabytes", type=float, help="Largest model.")
@click.option("--most-milliseconds", type=float, help="Longest time for one picture on this machine.")
@click.option("--side", type=click.IntRange(8, 1024), help="Pixels that pictures are brought to; by default 32 to 64.")
@click.option("--test", type=float, default=0.2, help="Share that nobody looks at before the end.")
@click.option("--validation", type=float, default=0.2, help="Share of the others by which trials are judged.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Another seed, other sides and other draws.")
@click.option("--name", help="Of the benchmark; by default the folder's.")
@workspace_option("Folder that holds what steps made.")
@click.option("--workers", type=click.IntRange(1), help="Trials at once; by default one a core or GPU.")
@click.option("--device", default="cpu", help="`cpu`, `cuda` or one GPU, e.g. `cuda:1`.")
@click.option("--dry-run", is_flag=True, help="Look at the folder, write the benchmark file, and search nothing.")
@output_option()
def automl(folder: Path, workspace: Path, workers: int | None, device: str, dry_run: bool, output: str,
           **told: Any) -> int:  # fmt: skip
    """Find the best model for a folder of labelled pictures: one folder a class, or a table.

    Looks at every picture first and says what is wrong; then lets models race for the time, and asks the winners a test
    set that nobody has looked at. All of it is a benchmark file in the workspace, which `ctlr run` runs again.
    """
    from ctlr.api import load
    from ctlr.automl import prepare
    from ctlr.cli.session import run_config
    from ctlr.cli.show import counting
    from ctlr.engine import check_device, default_workers

    check_device(device)
    guidance = _guidance(told)
    with spoken(output):
        with counting("pictures") as progress:
            prepared = prepare(
                folder, guidance, workspace, workers=workers or default_workers(device, 1), device=device,
                progress=progress,
            )  # fmt: skip
        _show(prepared, output)
        if dry_run:
            return 0
        config = load(prepared.file).config
        return run_config(config, prepared.file.parent, workspace, workers, device, output)


def _guidance(told: Mapping[str, Any]) -> Guidance:
    """What the options say.

    Raises:
        ConfigError: A value breaks its rule; one a line.
    """
    from ctlr.automl import Guidance

    given = {name: value for name, value in told.items() if value is not None}
    for name in ("families", "features", "inputs", "also"):
        given[name] = [each.strip() for each in str(given.get(name, "")).split(",") if each.strip()]
    given["weights"] = [_weights(text) for text in told["weights"]]
    return Guidance.of(given, spelled=lambda name: f"--{name.replace('_', '-')}")


def _weights(text: str) -> dict[str, str]:
    file, colon, encoder = text.rpartition(":")
    if not colon or not file:
        from ctlr.errors import ConfigError

        raise ConfigError(f"`--weights {text}` must be FILE:ENCODER, e.g. --weights resnet18.pth:resnet18.")
    return {"file": file, "encoder": encoder}


def _show(prepared: Prepared, output: str) -> None:
    looked, proposal = prepared.looked, prepared.proposal
    height, width = looked.sizes
    shape = " x ".join(map(str, looked.stored.shape[1:]))
    colours = "grey" if looked.stored.shape[0] == 1 else "in colour"
    lines = [
        f"{looked.summary.known} pictures, {colours}, some {height} x {width} pixels, brought to {shape}.",
        f"{looked.task.target}: {looked.summary.words}.",
        *looked.warnings,
        f"{len(proposal.families)} searches race for {proposal.seconds / 60:.3g} min: {', '.join(proposal.families)}.",
        *(f"Left out: {name}; {why}. Name it in `--families`, or give more minutes." for name, why in
          proposal.left_out.items()),
        f"{prepared.file} says all of it.",
    ]  # fmt: skip
    for line in lines:
        say(line, output)
