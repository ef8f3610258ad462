"""What goes to stdout, and counts that go to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = ["counting", "show", "show_rows"]


def show(value: Any, output: str) -> None:
    """Print a value to stdout as JSON or YAML, or text as it is."""
    if output == "json":
        click.echo(json.dumps(value, indent=2))
    elif output == "yaml":
        from ruamel.yaml import YAML

        yaml = YAML()
        yaml.default_flow_style = False
        yaml.dump(value, sys.stdout)
    else:
        click.echo(value)


def show_rows(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows of equal keys as a table to stdout."""
    table = Table()
    for name in rows[0] if rows else ():
        table.add_column(name, justify="right" if isinstance(rows[0][name], int | float) else "left")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    # A pipe has no width; rows must not be cut for a reader that is a program.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    console.print(table)


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many of something are done, on stderr, while the block runs."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
