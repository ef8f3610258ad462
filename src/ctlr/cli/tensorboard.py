"""`ctlr tensorboard`: what a workspace's studies, pretrainings and trials learned, for TensorBoard."""

from __future__ import annotations

import shlex
from pathlib import Path

import rich_click as click

from ctlr.cli.options import workspace_option

__all__ = ["tensorboard"]


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@workspace_option("Folder that holds what steps made.")
def tensorboard(out: Path, workspace: Path) -> None:
    """Write what was run last, and searches, into the folder OUT, for `tensorboard --logdir OUT`.

    Each study, pretraining and trial that has ended is a run: its curves by epoch, its final scores, and what it was
    trained with. Give the command again while a benchmark runs: what has ended since is added.
    """
    from ctlr.errors import ConfigError
    from ctlr.outcome.boards import write_searches, write_studies
    from ctlr.running import read_benchmark
    from ctlr.tracking import Board

    board = Board(out)
    runs, written = write_searches(workspace, board)
    try:
        finished = read_benchmark(workspace)
    except ConfigError:
        if not runs:
            raise
    else:
        more, new = write_studies(finished, board)
        runs, written = runs + more, written + new
    board.finish()
    look = shlex.join(["tensorboard", "--logdir", str(out)])
    click.echo(f"{runs} runs in {out}, {written} of them new. Look at them with: {look}", err=True)
