"""On a GPU: the training loop beside a bare one, rows read from disk, views, and small studies beside each other.

python -m bench gpu        # 3 minutes on an H100
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from bench.training import rates

__all__ = ["jobs"]

SIDE = 96
CASES = (("sfcn", 64), ("resnet18", 64), ("small_cnn", 128))
"""(encoder, volumes an epoch)."""
BATCH = 8
VIEWS = 16


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    for name, volumes in CASES:
        yield f"training epoch on a GPU, {name}", partial(_epoch, name, volumes)
    for name, volumes in CASES[:2]:
        yield f"rows read from disk, {name}", partial(_from_disk, name, volumes)
    yield "views on a GPU", _views


def _epoch(name: str, volumes: int) -> Iterator[dict[str, Any]]:
    import torch

    ours, theirs = rates(name, (1, SIDE, SIDE, SIDE), volumes, device="cuda", batch=BATCH)
    yield {
        "name": f"{torch.cuda.get_device_name()}: epoch, {name}, {volumes} x {SIDE}^3, volumes/s: bare loop",
        "ours": ours, "theirs": theirs, "ratio": ours / theirs, "target": 0.95,
    }  # fmt: skip


def _from_disk(name: str, volumes: int) -> Iterator[dict[str, Any]]:
    """How much of the rate stays where every row is read from the stored arrays."""
    stored, held = rates(name, (1, SIDE, SIDE, SIDE), volumes, device="cuda", batch=BATCH, stored=True)
    yield {
        "name": f"epoch from stored float16, {name}, {volumes} x {SIDE}^3, volumes/s: bare loop in memory",
        "ours": stored, "theirs": held, "ratio": stored / held, "target": 0.9,
    }  # fmt: skip


def _views() -> Iterator[dict[str, Any]]:
    import torch

    from ctlr.data.augment import random_views
    from ctlr.specs import ViewsSpec

    def rate(device: str) -> float:
        images = torch.randn(VIEWS, 1, *[SIDE] * 3, device=device)
        rng, seconds = torch.Generator().manual_seed(0), []
        for _ in range(7):
            began = time.perf_counter()
            random_views(images, ViewsSpec(), rng)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        return VIEWS / statistics.median(seconds[1:])

    ours, theirs = rate("cuda"), rate("cpu")
    yield {
        "name": f"views {SIDE}^3 x {VIEWS}, volumes/s: {torch.get_num_threads()} threads of the CPU beside it",
        "ours": ours, "theirs": theirs, "ratio": ours / theirs, "target": None,
    }  # fmt: skip
