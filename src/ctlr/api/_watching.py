"""Who is told while a run goes on: nobody, a function, or a person at a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
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


def watcher(progress: bool | Callable[[Progress], object] | None) -> Watcher:
    """Who is told: True for the display of the command line (on stderr), a function, or nobody."""
    if callable(progress):
        from ctlr.api._told import Told

        return Told(progress)
    if progress:
        from ctlr.display import Display  # rich is slow to load

        return Display()
    from ctlr.events import Silent

    return Silent()
