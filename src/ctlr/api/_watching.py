"""Who is told while a run goes on: nobody, a function, or a person at a terminal or a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ctlr.pool import Event
    from ctlr.running import Watcher

__all__ = ["Progress", "watcher"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What happened to a step of a run, for the function that is given as `progress`."""

    step: str
    """Name of the step: a study's id, or what is done, e.g. `preprocess cohort`."""
    kind: str
    """preprocess, tune, pretrain, score or study."""
    state: Literal["started", "progress", "finished", "failed", "stopped"]
    """What happened."""
    done: int
    """Of `progress`: images that are preprocessed, or epochs that are trained."""
    total: int
    """Of how many; 0 where that is not known."""
    text: str
    """Of `progress`: the last epoch's numbers (`train_loss=0.4 val_mae=9.1`). Of `failed`: the reason."""
    seconds: float
    """Since the step started."""
    steps_done: int
    """Finished or failed ones of this run; preprocessing and tuning are not counted."""
    steps: int
    """Of this run; 0 as long as that is not known."""


class _Silent:
    """Tells nobody."""

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        """Nothing."""

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, *error: object) -> None:
        """Nothing."""

    def expect(self, names: Mapping[str, str]) -> None:
        """Nothing."""

    def __call__(self, event: Event) -> None:
        """Nothing."""


class _Told(_Silent):
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
        if event.state in ("taken", "trial"):  # it ends elsewhere, or is begun again; trials are told when they end
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


def watcher(progress: bool | Callable[[Progress], object] | None) -> Watcher:
    """Who is told: True for the display of the command line (on stderr), a function, or nobody."""
    if callable(progress):
        return _Told(progress)
    if progress:
        from ctlr.display import Display  # rich is slow to load

        return Display()
    return _Silent()
