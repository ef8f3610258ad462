"""What goes to stdout, and the progress that goes to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ctlr.pool import Event

__all__ = ["Display", "counting", "show", "show_rows"]


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


class Display:
    """Follows a run on stderr: a live table on a terminal, else one line a finished step."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._names: dict[str, str] = {}
        self._done = 0
        self._began: dict[str, float] = {}
        self._running: dict[str, Event] = {}

    def expect(self, names: dict[str, str]) -> None:
        """Say which jobs the run has left to do: their readable names by id."""
        self._names = names
        if not names:
            self._say("Everything is finished already.")

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live = Live(self._table(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in what happened to a job."""
        job = event.job.id
        if event.state in ("started", "progress"):
            self._began.setdefault(job, time.monotonic())
            self._running[job] = event
        else:
            self._running.pop(job, None)
            self._finish(event)
        if self._live is not None:
            self._live.update(self._table())

    def _finish(self, event: Event) -> None:
        counted = event.job.id in self._names
        self._done += counted
        now = time.monotonic()
        seconds = now - self._began.pop(event.job.id, now)
        name = self._names.get(event.job.id, event.job.id)
        place = f"[{self._done}/{len(self._names)}] " if counted else ""
        if event.state == "failed":
            self._say(f"{place}{name} FAILED: {event.told or event.text}", style="red")
        else:
            note = f", {event.text}" if event.job.kind in ("preprocess", "tune") else ""
            self._say(f"{place}{name} {seconds:.1f} s{note}")

    def _say(self, line: str, style: str | None = None) -> None:
        """One line, however long: a log is read by programs too."""
        self._console.print(line, style=style, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(
            title=f"{self._done} of {len(self._names)} steps done", title_justify="left", box=None, expand=True
        )
        for column in ("step", "epoch", "seconds"):
            table.add_column(column, no_wrap=True, justify="left" if column == "step" else "right")
        # What is left of the width; the first numbers, losses, matter most.
        table.add_column("last epoch", no_wrap=True, overflow="ellipsis", ratio=1)
        for job, event in self._running.items():
            share = f"{event.done}/{event.total}" if event.total else ""
            seconds = f"{time.monotonic() - self._began[job]:.0f}"
            table.add_row(self._names.get(job, job), share, seconds, event.text)
        return table
