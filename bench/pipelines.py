"""What a cluster's user waits for before any work is done: a pod's start, the plan of a large benchmark, a claim.

    python -m bench pipelines                # 10 seconds

There is no rival; all but one have a limit in seconds. A start is that of a component in CTLR's image: Python, the
executor of Kubeflow Pipelines where it is installed, and what the first line of work needs, which is torch where it
trains. A container's start comes on top.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["rows"]

REPEATS = 5
STUDIES = 1000

BENCHMARK = f"""\
name: thousand
datasets: {{cohort: {{kind: cohort, subjects: 400}}}}
tasks: {{age: {{target: age, kind: regression}}, sex: {{target: sex, kind: classification}}}}
transfers: [{{source: {{data: cohort, task: sex}}, target: {{data: cohort, task: age}}}}]
encoders: {{small_cnn: {{}}}}
methods: {{scratch: {{}}, supervised: {{}}, simclr: {{}}, vat: {{}}}}
sample_sizes: [20, 50]
seeds: {list(range(STUDIES // 10))}
"""
"""Five lines (the mean predictor is one), two sizes."""


def rows() -> Iterator[dict[str, Any]]:
    """Seconds and their limits."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    yield "start of a component", partial(_row, "start of a component", _start, 3.0)
    yield "start of a component that trains", _training_start
    yield f"plan of {STUDIES} studies", partial(_row, f"plan of {STUDIES} studies", _plan, 2.0)
    yield "claim", partial(_row, "a step claimed and given back", _claim, 0.001)


def _row(name: str, work: Callable[[], float], limit: float) -> Iterator[dict[str, Any]]:
    yield {"name": name, "ours": work(), "theirs": None, "ratio": None, "target": limit}


def _start(needed: str = "") -> float:
    """Median seconds from the process's start to the first line of work.

    Args:
        needed: What that line imports beside the steps.
    """
    executor = "import kfp.dsl.executor_main; " if importlib.util.find_spec("kfp") else ""
    return _loaded(f"{executor}import ctlr.cluster.workers, ctlr.cluster.artefacts{needed}")


def _training_start() -> Iterator[dict[str, Any]]:
    """PyTorch is most of it, and takes two seconds here and three there."""
    torchs, ours = _loaded("import torch"), _start(", ctlr.steps.finetune")
    yield {"name": "start of a component that trains, s: at most twice that of PyTorch", "ours": ours, "theirs": torchs,
           "ratio": torchs / ours, "target": 0.5}  # fmt: skip


def _loaded(code: str) -> float:
    return statistics.median(_seconds_of([sys.executable, "-c", code]) for _ in range(REPEATS))


def _seconds_of(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, check=True)
    return time.perf_counter() - began


def _plan() -> float:
    """Median seconds until a task has placed a benchmark in the workspace and laid it out."""
    from ctlr.cluster.request import request_of
    from ctlr.cluster.submission import submitted
    from ctlr.config import load
    from ctlr.workspace import Workspace

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "thousand.yaml"
        file.write_text(BENCHMARK)
        request = request_of(load(file))
        for number in range(REPEATS):
            began = time.perf_counter()
            submitted("thousand", request.arguments["benchmark"], {}, Workspace(f"{folder}/{number}"))
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _claim() -> float:
    """Median seconds that a worker's claim of a step costs."""
    from ctlr.claims import claimed

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(200):
            began = time.perf_counter()
            with claimed(Path(folder), "studies", str(number)):
                pass
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
