"""Whole commands: start-up, planning, the demo and its rerun.

    python bench/commands.py        # as long as the demo takes

The demo runs in a new workspace, with packages installed and nothing else running.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["main", "rows"]

ROUNDS = 7
ROOT = Path(__file__).parent.parent
DEMO = ROOT / "benchmarks" / "demo.yaml"
BIG = ["--set", f"seeds={list(range(834))}"]
"""4 planned methods x 3 sizes x 834 seeds: 10,008 studies and more."""


def rows() -> Iterator[dict[str, Any]]:
    """One row a command: seconds, the limit, their ratio (limit / seconds; 1 or more is within it)."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    with tempfile.TemporaryDirectory() as folder:
        run = ["run", str(DEMO), "--workspace", folder]
        works: dict[str, tuple[Callable[[], float], float]] = {
            "ctlr --help": (partial(_median, ["--help"]), 0.3),
            "planning 10,000 studies (in process)": (_planning, 1.0),
            "ctlr plan benchmarks/demo.yaml": (partial(_median, ["plan", str(DEMO)]), 0.5),
            "make demo's job without the installation": (partial(_seconds, run), 300.0),
            "the same again, unchanged": (partial(_median, run, 3), 5.0),
        }
        for name, (work, limit) in works.items():
            yield name, partial(_row, name, work, limit)


def _row(name: str, work: Callable[[], float], limit: float) -> Iterator[dict[str, Any]]:
    seconds = work()
    yield {"name": f"{name}, s: at most {limit:g}", "ours": seconds, "theirs": limit, "ratio": limit / seconds,
            "target": 1.0}  # fmt: skip


def _median(words: list[str], rounds: int = ROUNDS) -> float:
    return statistics.median(_seconds(words) for _ in range(rounds))


def _seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([Path(sys.executable).parent / "ctlr", *words], capture_output=True, check=True)
    return time.perf_counter() - began


def _planning() -> float:
    from ctlr.config import load
    from ctlr.plan import make_plan

    config = load(DEMO, BIG[1:])
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        plan = make_plan(config)
        _ = [study.id for study in plan.studies]
        seconds.append((time.perf_counter() - began) * 10_000 / len(plan.studies))
    return statistics.median(seconds)


def main() -> None:
    """Print the table."""
    for row in rows():
        print(f"{row['name']:75s} {row['ours']:8.2f} {row['theirs']:8.2f} {row['ratio']:6.2f}")


if __name__ == "__main__":
    main()
