"""What runs trials: the port that the engine speaks to, and its events.

A launcher starts programs (`processes.ProcessLauncher`), calls a function (`functions.FunctionLauncher`) or keeps warm
workers; the engine (`engine.run_experiment`) proposes, listens and decides. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ctlr.specs import Trial

__all__ = ["NO_TIME", "Ended", "Launcher", "Reported"]

NO_TIME = -62_135_596_800 * 10**9
"""Of what bears no time: the beginning of year 1, as in Go."""


@dataclass(frozen=True)
class Reported:
    """A running trial has reported metrics.

    Attributes:
        number: Of the trial.
        metrics: By name. A value that is no number is NaN.
        seconds: Since the trial started.
        time: That its own log says, in nanoseconds since 1970; before all others where it says none.
    """

    number: int
    metrics: dict[str, float]
    seconds: float
    time: int = NO_TIME


@dataclass(frozen=True)
class Ended:
    """A trial has ended; nothing more comes from it.

    Attributes:
        number: Of the trial.
        ok: Whether it ran to its end by itself and without a fault.
        reason: Of the fault, in one line.
        tail: The last lines that it printed.
        seconds: How long it ran.
        stopped: It ended because `stop` was called.
        pretrained: Of `seconds`: those of each pretraining that other searches may start from too, by its key.
    """

    number: int
    ok: bool
    reason: str = ""
    tail: str = ""
    seconds: float = 0.0
    stopped: bool = False
    pretrained: Mapping[str, float] = field(default_factory=dict)


class Launcher(Protocol):
    """Run trials.

    Contract: `start` never waits for a trial and never raises for one that cannot run, which is an `Ended` with its
    reason. Every trial started brings exactly one `Ended`, after all of its `Reported`. Whoever makes a launcher
    closes it; the engine ends the trials that it has started. The engine holds signals back (`ctlr.interrupts`); they
    act in `wait`, at a moment when the launcher has taken nothing that it has not told.
    """

    def start(self, trial: Trial, parent: Trial | None = None) -> None:
        """Start a trial.

        Args:
            trial: Its number is not running.
            parent: The trial whose checkpoint it carries on from (population-based training).
        """

    def wait(self, seconds: float | None) -> list[Reported | Ended]:
        """Block until something has happened, or the time is over, and tell what; None waits for ever.

        With no trial running it returns at once.
        """

    def seconds(self, number: int) -> float:
        """How long a trial has run by now; 0 as long as it waits for its place."""

    def stop(self, number: int) -> None:
        """End a running trial and all that it started; `Ended(stopped=True)` follows. Unknown numbers are ignored."""

    def close(self) -> None:
        """End everything; no event follows."""
