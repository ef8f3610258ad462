"""`ctlr tune` and `ctlr suggest`: searches on this machine, and proposals for a cluster's."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from ctlr.cli.options import output_option, workspace_option

__all__ = ["suggest", "tune"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Trials at once; by default one a core or GPU, at most the manifest's `parallelTrialCount`.",
)
@click.option("--max-trials", type=click.IntRange(1), help="In place of the manifest's `maxTrialCount`.")
@click.option("--goal", type=float, help="In place of the manifest's `goal`.")
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), help="End after so long; `--resume` goes on.")
@click.option("--resume", is_flag=True, help="Go on with this search where it was ended.")
@workspace_option("Folder for the journal, and for what trials of `ctlr trial` share.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Of `ctlr trial`: `auto`, `cpu`, `cuda` (one trial a GPU) or one GPU, e.g. `cuda:1`.",
)
@output_option("Form of what goes to stdout; json and yaml are the Experiment with its status, as Katib has it.")
def tune(
    file: Path,
    workers: int | None,
    max_trials: int | None,
    goal: float | None,
    max_seconds: float | None,
    resume: bool,
    workspace: Path,
    device: str,
    output: str,
) -> int:
    """Run a search: a Katib Experiment manifest, on this machine.

    Trials run the manifest's command; its image is not used. Where the command is `ctlr trial`, warm workers run it.
    """
    from ctlr.cli.search import run_search
    from ctlr.tuning.local import Limits

    limits = Limits(workers=workers, max_trials=max_trials, goal=goal, max_seconds=max_seconds)
    return run_search(file, workspace, limits=limits, resume=resume, device=device, output=output)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=6789, show_default=True, help="To listen at; 0: any.")
def suggest(port: int) -> None:
    """Serve the search algorithms to a Katib, as one of its suggestion services (gRPC)."""
    from ctlr.tuning.service import serve

    serve(port, on_start=lambda taken: click.echo(f"Answering at port {taken}.", err=True))
