"""Follows a run on stderr: a live table on a terminal, else one line a finished step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ctlr.pool import Event

__all__ = ["Display"]


class Display:
    """Told what happens to the steps of a run; a `Watcher`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._names: Mapping[str, str] = {}
        self._done = 0
        self._began: dict[str, float] = {}
        self._running: dict[str, Event] = {}

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        """Say what begins, and where."""
        self._say(f"{benchmark}: {studies} studies, {workers} workers, workspace {workspace}")

    def expect(self, names: Mapping[str, str]) -> None:
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
        """Take in what happened to a job; of trials, that one has ended."""
        if event.state == "trial":
            return
        job = event.job.id
        if event.state in ("started", "progress"):
            self._began.setdefault(job, time.monotonic())
            self._running[job] = event
        else:
            self._running.pop(job, None)
            if event.state == "taken":  # it ends elsewhere, or is begun again
                self._began.pop(job, None)
            else:
                self._finish(event)
        if self._live is not None:
            self._live.update(self._table())

    def _finish(self, event: Event) -> None:
        counted = event.job.id in self._names
        self._done += counted
        began = self._began.pop(event.job.id, None)
        took = "done by another run" if began is None else f"{time.monotonic() - began:.1f} s"
        name = self._names.get(event.job.id, event.job.id)
        place = f"[{self._done}/{len(self._names)}] " if counted else ""
        if event.state == "failed":
            self._say(f"{place}{name} FAILED: {event.told or event.text}", style="red")
        else:
            note = f", {event.text}" if event.job.kind in ("preprocess", "tune") else ""
            self._say(f"{place}{name} {took}{note}")

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
