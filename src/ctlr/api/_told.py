"""Tells a function what happens in a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ctlr.api._watching import Progress
from ctlr.events import Silent
from ctlr.pool import Event

__all__ = ["Told"]

_UNTOLD = ("taken", "trial", "starting", "ready")
"""A step that is taken ends elsewhere, or is begun again; trials are told when they end."""


class Told(Silent):
    """Tells a function."""

    def __init__(self, tell: Callable[[Progress], object]) -> None:
        self._tell = tell
        self._names: Mapping[str, str] = {}
        self._began: dict[str, float] = {}
        self._done = 0

    def expect(self, names: Mapping[str, str]) -> None:
        """Know the readable names of what is to come."""
        self._names = names

    def __call__(self, event: Event) -> None:
        """Tell what happened."""
        if event.state in _UNTOLD:
            return
        job, now = event.job, time.monotonic()
        began = self._began.setdefault(job.id, now)
        if event.state in ("finished", "failed"):
            self._done += job.id in self._names
        # What a study answers is a record of some kilobytes, and no text for people.
        answer = event.state == "finished" and job.kind not in ("preprocess", "tune")
        self._tell(
            Progress(
                step=self._names.get(job.id, job.id), kind=job.kind, state=event.state,  # type: ignore[arg-type]
                done=event.done, total=event.total, text="" if answer else event.text, seconds=now - began,
                steps_done=self._done, steps=len(self._names),
            )
        )  # fmt: skip
