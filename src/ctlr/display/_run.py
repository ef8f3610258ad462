"""Follows a run on stderr: lines that stay at a terminal's bottom, else lines of a log; or its events as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from ctlr import interrupts
from ctlr.display._board import Sight, board, status
from ctlr.display._memory import Memory
from ctlr.display._screen import Screen
from ctlr.events import Recorded, Silent, UnkeptLog, Watcher
from ctlr.pool import Event
from ctlr.runs import Run, Step, images_seen, outlook

__all__ = ["LINE_SECONDS", "Display", "JsonLines", "following"]

_WINDOW_SECONDS = 20.0
"""Over which images a second are counted."""
LINE_SECONDS = 60.0
"""Where there is no terminal, a line at least every so often."""
_ENDING = "Ending the workers; what is finished is kept. Ctrl-C again ends at once."


class Display(Silent):
    """Told what happens to the steps of a run; a `Watcher`.

    On a terminal one bar, a line a worker and the best so far stand below what has ended; elsewhere each step that has
    ended is a line, and every minute one says how far the run is.
    """

    def __init__(self) -> None:
        self._run = Run("")
        self._screen = Screen(self._lines, self._tick)
        self._memory = Memory()
        self._reasons: dict[str, str] = {}
        """What a person may know of a failure, by step: with its place."""
        self._here: set[str] = set()
        """Steps that began here, and not in another run."""
        self._seen: deque[tuple[float, float]] = deque()
        self._last = time.monotonic()
        self._told_of_end = False

    @property
    def run(self) -> Run:
        """The run, as it has been told."""
        return self._run

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        """Say what begins, and where."""
        self._run.name = benchmark
        self._say(f"{benchmark}: {studies} studies, {workers} workers, workspace {workspace}")

    def expect(self, names: Mapping[str, str]) -> None:
        """Say where nothing is left to do."""
        if not names:
            self._say("Everything is finished already.")

    def __enter__(self) -> Display:
        self._screen.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._screen.__exit__(*error)

    def __call__(self, event: Event) -> None:
        """Keep what the events do not tell."""
        if event.state == "failed":
            self._reasons[event.job.id] = event.told or event.text
        elif event.state == "started":
            self._here.add(event.job.id)
        elif event.state == "taken":
            self._here.discard(event.job.id)

    def told(self, event: Mapping[str, Any]) -> None:
        """Take an event in, and show it; what only moves is drawn at the next look."""
        with self._screen.lock:
            self._run.take(event)
        if event["kind"] in ("step.finished", "step.failed"):
            self._say(self._ended(self._run.steps[event["step"]]))
        elif event["kind"] in ("run.paused", "run.continued"):
            self._say("Paused." if event["kind"] == "run.paused" else "Going on.")

    def _ended(self, step: Step) -> Text:
        run = self._run
        place = f"[{run.settled}/{run.planned}] " if step.id in run.ended else ""
        if step.state == "failed":
            return Text(f"{place}{step.name} FAILED: {self._reasons.get(step.id) or step.text}", style="red")
        took = f"{step.seconds or 0.0:.1f} s" if step.id in self._here else "done by another run"
        line = Text(f"{place}{step.name} {took}" + (f", {step.text}" if step.text else ""))
        if step.validation is not None:
            line.append(f", val_{step.facts['metric']} {step.validation:.4g}", style="cyan")
        return line

    def _say(self, line: str | Text) -> None:
        self._last = time.monotonic()
        self._screen.say(line)

    def _tick(self) -> None:
        if interrupts.came() and not self._told_of_end:
            self._told_of_end = True
            if not self._screen.is_live:
                self._say(_ENDING)
        if not self._screen.is_live and time.monotonic() - self._last >= LINE_SECONDS and self._run.began:
            self._say(status(self._run, self._sight()))

    def _lines(self, width: int, height: int) -> list[Text]:
        return board(self._run, self._sight(), width, height) if self._run.n else []

    def _sight(self) -> Sight:
        now = time.time()
        seen = self._seen
        seen.append((now, images_seen(self._run)))
        while len(seen) > 2 and seen[1][0] < now - _WINDOW_SECONDS:
            seen.popleft()
        (since, first), (until, last) = seen[0], seen[-1]
        speed = (last - first) / (until - since) if until - since >= 1 and last > first else None
        return Sight(
            now=now, outlook=outlook(self._run, now), images=speed, memory=self._memory.words,
            note=_ENDING if self._told_of_end else "",
        )  # fmt: skip


class JsonLines(Silent):
    """Writes each event to stderr as a line of JSON; a `Watcher`."""

    def told(self, event: Mapping[str, Any]) -> None:
        """Write it."""
        print(json.dumps(event, separators=(",", ":")), file=sys.stderr, flush=True)


def following(watcher: Watcher) -> Recorded:
    """A watcher for steps that are part of no run: shown, and recorded nowhere."""
    return Recorded(watcher, UnkeptLog(watcher.told))
