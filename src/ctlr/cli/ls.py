"""`ctlr ls`: the runs of workspaces."""

from __future__ import annotations

import os
from pathlib import Path

import rich_click as click

from ctlr.cli import candidates
from ctlr.cli.options import output_option

__all__ = ["ls"]


@click.command()
@click.argument("workspaces", nargs=-1, type=click.Path(path_type=Path), metavar="[WORKSPACE]...",
                shell_complete=candidates.workspaces)  # fmt: skip
@output_option()
def ls(workspaces: tuple[Path, ...], output: str) -> None:
    """List the runs of workspaces: how each one is, since when, and the best of it.

    Without a name, of `workspace` or CTLR_WORKSPACE. The best of a run that has ended is told with its test score and
    interval, that of another with its validation score.
    """
    from ctlr.cli.show import show, show_rows
    from ctlr.runs import ago, duration, listed

    roots = workspaces or (Path(os.environ.get("CTLR_WORKSPACE") or "workspace"),)
    found = [run for root in roots for run in listed(root)]
    if output != "table":
        show([run.record for run in found], output)
        return
    rows = [
        ({"workspace": str(each.workspace)} if len(roots) > 1 else {})
        | {
            "run": each.run.name, "state": each.life,
            "began": ago(each.run.began["time"]) if each.run.began else "",
            "took": duration(each.run.seconds) if each.run.seconds else "",
            "studies": f"{each.run.studies_done}/{each.run.began.get('studies', '?')}" if each.run.began else "",
            "best, on the test set": each.headline,
        }
        for each in found
    ]  # fmt: skip
    if rows:
        show_rows("Runs" if len(roots) > 1 else f"Runs of {roots[0]}", rows)
    else:
        click.echo(f"Nothing was run yet in {', '.join(map(str, roots))}. Start with: ctlr run FILE")
