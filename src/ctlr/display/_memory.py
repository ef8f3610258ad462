"""Memory of this process and of all that it has started."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import defaultdict
from pathlib import Path

__all__ = ["Memory", "resident"]

_PAUSE_SECONDS = 2.0
_SHARE = 0.02
"""Of the time that may be spent on looking."""


def resident(pid: int) -> int:
    """Bytes of memory of a process and its descendants, what they share counted once; 0 where it cannot be told."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            children[int(entry.read_text().rpartition(")")[2].split()[1])].append(int(entry.parent.name))
    total, waiting = 0, [pid]
    while waiting:
        each = waiting.pop()
        waiting += children[each]
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)
            total += 1024 * int(found[1]) if found else 0
    return total


class Memory:
    """That of the run's processes, looked at every now and then."""

    def __init__(self) -> None:
        self._next, self._bytes = 0.0, 0

    @property
    def words(self) -> str:
        """For people; empty where it is not known."""
        now = time.monotonic()
        if now >= self._next:
            self._bytes = resident(os.getpid())
            took = time.monotonic() - now
            self._next = now + max(_PAUSE_SECONDS, took / _SHARE)
        return f"{self._bytes / 1e9:.1f} GB" if self._bytes else ""
