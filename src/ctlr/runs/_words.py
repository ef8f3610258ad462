"""Lengths of time in words."""

from __future__ import annotations

import time

__all__ = ["ago", "duration"]


def ago(moment: float, now: float | None = None) -> str:
    """How long something is past."""
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    return f"{duration(seconds)} ago" if seconds >= 1 else "now"


def duration(seconds: float | None) -> str:
    """A length of time in two units at most."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"
