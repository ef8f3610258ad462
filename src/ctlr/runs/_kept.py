"""What an interrupted run keeps, and from where the next one goes on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ctlr.runs._fold import Run, Step

__all__ = ["Kept", "kept"]

_STAGES = {"study": "finetuned", "pretrain": "pretrained"}
"""Kind of a step -> where its training lies."""
_SHOWN = 4
_LONGEST_HEADER = 2**27


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Steps that are done, and trainings that go on from a checkpoint."""

    done: int
    of: int | None
    """None as long as the run did not know: it was interrupted while images were stored or searches ran."""
    trials: int = 0
    """Of searches, that have ended."""
    checkpoints: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Step -> (epoch of its checkpoint, epochs at the most; 0 where that is not known)."""
    anew: tuple[str, ...] = ()
    """Steps that were under way and have none."""

    @property
    def words(self) -> str:
        """For people."""
        steps = f"{self.done} of {self.of} steps" if self.of is not None else ""
        trials = f"{self.trials} trials of searches" if self.trials else ""
        places = [
            f"{name} (epoch {epoch}" + (f" of {total})" if total else ")")
            for name, (epoch, total) in list(self.checkpoints.items())[:_SHOWN]
        ]
        more = len(self.checkpoints) - len(places)
        parts = [steps, trials]
        if places:
            parts.append("the checkpoints of " + ", ".join(places) + (f" and {more} more" if more else ""))
        said = f"Kept: {', and '.join(filter(None, parts)) or 'every image that is stored, and every finished step'}."
        return f"{said} Begun anew: {_listed(self.anew)}." if self.anew else said


def _listed(names: tuple[str, ...]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def kept(run: Run, root: Path) -> Kept:
    """What stands of a run that was interrupted, or killed.

    Args:
        run: As its events tell it, to their end.
        root: Of its workspace.
    """
    broken = [step for step in run.steps.values() if step.state in ("interrupted", "running") and step.of in _STAGES]
    found = {step.name: (epoch, step.total) for step in broken if (epoch := _checkpoint(step, root))}
    trials = sum(len(search.order) for search in run.searches.values()) if run.planned is None else 0
    anew = tuple(step.name for step in broken if step.name not in found)
    done = sum(run.steps[name].state == "finished" for name in run.ended)
    return Kept(done=done, of=run.planned, trials=trials, checkpoints=found, anew=anew)


def _checkpoint(step: Step, root: Path) -> int:
    """Epoch of a step's last checkpoint; 0 where it has none."""
    key = step.id.rpartition(" ")[2]
    for path in sorted((root / _STAGES[step.of]).glob(f"{key}*.partial/checkpoint.safetensors")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length < _LONGEST_HEADER:
                meta = json.loads(json.loads(file.read(length))["__metadata__"]["meta"])
                return len(meta["history"])
    return 0
