"""Benches that go on where one of their rows fails, and the process that a bench runs in."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Row", "each", "rows_of"]

Row = dict[str, Any]
"""`name`, `ours`, `theirs`, `ratio` and `target` of a comparison; or `name` and why it `failed`."""
_MARK = "\x1e"
"""Begins a row on a bench's standard output; what its rivals print does not."""


def each(jobs: Iterable[tuple[str, Callable[[], Iterable[Row]]]]) -> Iterator[Row]:
    """The rows of one job after another; of one that raises, a row that says why."""
    for name, job in jobs:
        try:
            yield from job()
        except Exception as error:  # noqa: BLE001 (whatever one row does, the others are wanted)
            yield {"name": name, "failed": _reason(error)}


def rows_of(bench: str) -> Iterator[Row]:
    """The rows of `bench.<bench>`, which runs in a process of its own: it may die."""
    child = subprocess.Popen([sys.executable, "-m", "bench.jobs", bench], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if line.startswith(_MARK):
                yield json.loads(line.removeprefix(_MARK))
            else:
                print(line, end="", flush=True)
    if child.returncode:
        died = signal.Signals(-child.returncode).name if child.returncode < 0 else f"code {child.returncode}"
        yield {"name": bench, "failed": f"its process ended with {died}"}


def _reason(error: Exception) -> str:
    """Kind and message in one line; of a command that failed, the last thing that it said."""
    said = getattr(error, "stderr", None) or b""
    lines = (said.decode(errors="replace") if isinstance(said, bytes) else said).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    told = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return f"{told} {last}".strip()


def main() -> None:
    """Write a bench's rows, one a line."""
    name = sys.argv[1]
    for row in each([(name, lambda: _found(name))]):
        print(_MARK + json.dumps(row), flush=True)


def _found(name: str) -> Iterator[Row]:
    bench = importlib.import_module(f"bench.{name}")
    return each(bench.jobs()) if hasattr(bench, "jobs") else bench.rows()


if __name__ == "__main__":
    main()
