"""What a run may be told beside its manifest."""

from __future__ import annotations

from dataclasses import dataclass

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
