"""What somebody wants of a run that is under way: that it pauses, or that its searches end at a score.

    runs/<benchmark>/wishes.json    {"paused": true, "goal": 0.93}

Whoever watches a run writes the file; the run looks at it while it waits for its workers. While it is paused, workers
hold at their next epoch, with all that they have in memory, and its clock stands: no budget is spent meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ctlr.workspace import write_aside

__all__ = ["LOOK_SECONDS", "Wishes", "awake", "clock", "heeded", "held_up", "now", "read_wishes", "write_wishes"]

LOOK_SECONDS = 0.5
"""Between two looks at the file."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is wanted of a run."""

    paused: bool = False
    goal: float | None = None
    """Validation score of a trial at which its searches end, within an epoch; in place of the benchmark's own."""


@dataclass
class _Heeding:
    """The file that this process heeds."""

    path: Path | None = None
    seen: tuple[int, int] | None = None
    wishes: Wishes = Wishes()
    tell: Callable[[bool], object] = bool
    """Told when the run pauses (True), and when it goes on."""
    paused: float = 0.0
    """Seconds so far."""
    over: bool = False
    """Whether a signal has ended the run, which pauses no more."""


_heeding = _Heeding()


def _path(root: Path, benchmark: str) -> Path:
    return root / "runs" / benchmark / "wishes.json"


def read_wishes(root: Path, benchmark: str) -> Wishes:
    """What is wanted of a benchmark's run; nothing where nobody has said so, or the file is damaged."""
    return _read(_path(root, benchmark))


def _read(path: Path) -> Wishes:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        told = json.loads(path.read_bytes())
        goal = told.get("goal")
        known = isinstance(goal, int | float) and not isinstance(goal, bool) and math.isfinite(goal)
        return Wishes(paused=told.get("paused") is True, goal=float(goal) if known else None)
    return Wishes()


def write_wishes(root: Path, benchmark: str, wishes: Wishes) -> None:
    """Say what is wanted; its run heeds it within a second."""
    path = _path(root, benchmark)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, json.dumps({"paused": wishes.paused, "goal": wishes.goal}).encode())


@contextlib.contextmanager
def heeded(root: Path, benchmark: str, tell: Callable[[bool], object] | None = None) -> Iterator[None]:
    """Heed the wishes for a benchmark's run in this process during the block.

    Args:
        root: Of the workspace.
        benchmark: Its name.
        tell: Of the run that leads, which begins awake: told when it pauses (True), and when it goes on. None for one
            that joins it.
    """
    global _heeding
    before, path = _heeding, _path(root, benchmark)
    _heeding = _Heeding(path, tell=tell or bool, paused=before.paused)
    if (wishes := _read(path)).paused and tell is not None:
        write_wishes(root, benchmark, Wishes(goal=wishes.goal))
    try:
        yield
    finally:
        before.paused = _heeding.paused
        _heeding = before


def now() -> Wishes:
    """What is wanted of the run that this process is at."""
    path = _heeding.path
    if path is None:
        return _heeding.wishes
    try:
        status = path.stat()
        seen = (status.st_mtime_ns, status.st_ino)
    except OSError:
        seen = None
    if seen != _heeding.seen:
        _heeding.seen, _heeding.wishes = seen, _read(path) if seen else Wishes()
    return _heeding.wishes


def awake() -> bool:
    """Whether nobody wants the run that this process is at to pause."""
    return _heeding.over or not now().paused


@contextlib.contextmanager
def held_up() -> Iterator[None]:
    """Stop this process's clock for the block, and tell; a signal that ends the block ends all pausing."""
    began, heeding = time.monotonic(), _heeding
    heeding.tell(True)
    try:
        yield
    except KeyboardInterrupt:
        heeding.over = True
        raise
    finally:
        heeding.paused += time.monotonic() - began
        heeding.tell(False)


def clock() -> float:
    """`time.monotonic`, without the time that the run has been paused."""
    return time.monotonic() - _heeding.paused
