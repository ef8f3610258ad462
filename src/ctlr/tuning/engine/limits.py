"""What a run may be told beside its manifest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from ctlr.errors import ConfigError

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What takes the place of a manifest's own limits on this machine; None leaves them."""

    workers: int | None = None
    """Trials at once; at most the manifest's `parallelTrialCount` run."""
    max_trials: int | None = None
    """Ends the run after so many trials, in place of the manifest's `maxTrialCount`."""
    goal: float | None = None
    """Takes the place of the manifest's goal."""
    max_seconds: float | None = None
    """Ends the run: no trial starts any more, and those that run are ended as Killed. `resume` runs them again."""
    device_seconds: float | None = None
    """Ends the run likewise when its trials, those of earlier runs among them, have taken so long together."""
    gentle: bool = False
    """Once `device_seconds` are spent no trial starts any more, and those that run go on to their own end."""
    trial_seconds: float | None = None
    """Ends a trial as EarlyStopped after so long, with the value that it has; one that has none gets four times as
    much."""
    at_goal: bool = False
    """A trial that reports the goal is ended at once, as EarlyStopped with that value, not only counted at its end."""
    asked_goal: Callable[[], float | None] = lambda: None
    """Asked while it runs for a goal that takes the place of all others, at once, as `at_goal` says."""
    elsewhere: float | None = None
    """Best value of the searches that it competes with, for that goal."""

    def __post_init__(self) -> None:
        counts: dict[str, Any] = {"workers": self.workers, "max_trials": self.max_trials}  # a caller gives anything
        for name, value in counts.items():
            if value is not None and not (isinstance(value, Integral) and int(value) >= 1):
                raise ConfigError(f"`{name}` must be a whole number, 1 or more; got {value!r}.")
        numbers: dict[str, Any] = {"goal": self.goal, "max_seconds": self.max_seconds}
        for name, number in numbers.items():
            if number is not None and not isinstance(number, Real):
                raise ConfigError(f"`{name}` must be a number; got {number!r}.")
        if self.max_seconds is not None and not self.max_seconds > 0:  # so that no number is refused too
            raise ConfigError(f"`max_seconds > 0` must hold; got {self.max_seconds:g}.")
        if self.goal is not None and not math.isfinite(self.goal):
            raise ConfigError(f"`goal` must be a finite number; got {self.goal:g}.")
