"""Random affine + elastic views: CTLR beside MONAI and TorchIO, on volumes already in memory.

    OMP_WAIT_POLICY=PASSIVE python bench/views.py        # needs monai and torchio; 2 minutes on 2 cores

Contenders take turns in every round and each figure is a median over rounds, so that a busy machine slows all alike.
All see the same float32 volumes, turn, shift and scale them alike and interpolate linearly. MONAI stands there twice:
with its elastic transform, and with the quickest pair of its transforms that comes to the same (a coarse random field,
enlarged), which no target names. Threads that spin while they wait (the default) make figures for two threads worthless
on a machine that does something else besides.
"""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ctlr.data.augment import random_views
from ctlr.specs import ViewsSpec

__all__ = ["main", "rows"]

ROUNDS = 5
THREADS = (1, 2)
BATCHES = {48: 32, 96: 8}
"""Volumes at a time, by side."""
RIVAL_VOLUMES = 2
"""Rivals take volumes one by one: two of them give the same rate sooner."""
ELASTIC, SMOOTH, TORCHIO = (
    "MONAI Rand3DElastic",
    "MONAI RandAffine + RandSmoothDeform",
    "TorchIO RandomAffine + RandomElasticDeformation",
)
TARGETS = {(48, ELASTIC): 4.0, (48, TORCHIO): 10.0, (96, ELASTIC): 6.0}
"""How many times as fast as the rival, by side."""

Job = tuple[int, Callable[[], object]]
"""Number of volumes, and what makes a view of each."""


def rows() -> Iterator[dict[str, Any]]:
    """One row a comparison: name, ours and theirs in volumes/s, their ratio, and the ratio aimed at (or None)."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    for threads in THREADS:
        for side, batch in BATCHES.items():
            name = f"views {side}^3 x {batch}, {threads} thread{'s' * (threads > 1)}"
            yield name, partial(_compare, name, threads, side, batch)


def _compare(name: str, threads: int, side: int, batch: int) -> Iterator[dict[str, Any]]:
    with _threads(threads):
        rates = _rates(_jobs(side, batch))
    ours = rates.pop("CTLR")
    for rival, theirs in rates.items():
        yield {
            "name": f"{name}: {rival}",
            "ours": ours,
            "theirs": theirs,
            "ratio": ours / theirs,
            "target": TARGETS.get((side, rival)),
        }


def _jobs(side: int, batch: int) -> dict[str, Job]:
    rng = torch.Generator().manual_seed(0)
    volumes = torch.rand(batch, 1, side, side, side, generator=rng)
    few = volumes[:RIVAL_VOLUMES]
    transforms = {**_monai(side), TORCHIO: _torchio(side)}
    jobs: dict[str, Job] = {"CTLR": (batch, lambda: random_views(volumes, ViewsSpec(), rng))}
    return jobs | {name: (len(few), partial(_each, transform, few)) for name, transform in transforms.items()}


def _each(transform: Callable[[Tensor], object], volumes: Tensor) -> None:
    for volume in volumes:
        transform(volume)


def _monai(side: int) -> dict[str, Callable[[Tensor], object]]:
    import monai.transforms as mt

    spec = ViewsSpec()
    radians = torch.tensor(spec.rotate).deg2rad().item()
    common: dict[str, Any] = {
        "prob": 1.0,
        "rotate_range": (radians,) * 3,
        "translate_range": (spec.translate * side,) * 3,
        "scale_range": (spec.scale,) * 3,
        "mode": "bilinear",
        "padding_mode": "border",
    }
    smooth = mt.Compose([
        mt.RandAffine(**common),
        mt.RandSmoothDeform(
            spatial_size=(side,) * 3, rand_size=(spec.warp_points,) * 3, def_range=2 * spec.warp, prob=1.0
        ),
    ])  # fmt: skip
    elastic = mt.Rand3DElastic(sigma_range=(side / 12, side / 10), magnitude_range=(50, 100), **common)
    return {ELASTIC: elastic, SMOOTH: smooth}


def _torchio(side: int) -> Callable[[Tensor], object]:
    os.environ["TORCHIO_HIDE_CITATION_PROMPT"] = "1"
    import torchio as tio

    spec = ViewsSpec()
    transform = tio.Compose([
        tio.RandomAffine(scales=spec.scale, degrees=spec.rotate, translation=spec.translate * side),
        tio.RandomElasticDeformation(num_control_points=spec.warp_points, max_displacement=2 * spec.warp * side),
    ])  # fmt: skip
    return lambda volume: transform(tio.ScalarImage(tensor=volume))


def _rates(jobs: Mapping[str, Job]) -> dict[str, float]:
    """Median volumes per second of each job, taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(ROUNDS + 1):
        for name, (volumes, job) in jobs.items():
            start = time.perf_counter()
            job()
            if turn:  # the first one warms up
                seconds[name].append((time.perf_counter() - start) / volumes)
    return {name: 1 / statistics.median(times) for name, times in seconds.items()}


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the rivals'
            yield
    finally:
        torch.set_num_threads(before)


def main() -> None:
    """Print the table."""
    print(f"volumes/s, medians of {ROUNDS} rounds\n{'':75s}    CTLR   rival   ratio  target")
    for row in rows():
        target = f"{row['target']:g}" if row["target"] else "-"
        print(f"{row['name']:75s} {row['ours']:7.1f} {row['theirs']:7.1f} {row['ratio']:7.1f} {target:>7s}")


if __name__ == "__main__":
    main()
