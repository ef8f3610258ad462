"""Distances between datasets: Hausdorff beside scipy and scikit-learn, joint components beside scikit-learn's.

    python -m bench distances        # 5 minutes on two cores, 3 GB of disk

The components are those of 4,800 pictures of 224 x 224 x 3; scikit-learn's IncrementalPCA takes four minutes for them,
so it is given three of its ten batches and its time is multiplied. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["main", "rows"]

ROUNDS = 5
POINTS, WIDTH = 2400, 148
MANY_POINTS = 50_000
IMAGES, PIXELS, COMPONENTS = 4800, 224 * 224 * 3, 148
BATCH, BATCHES = 480, 3


def rows() -> Iterator[dict[str, Any]]:
    """One row a comparison: name, ours, theirs, ratio and the least ratio aimed at."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    yield "Hausdorff distance", _hausdorff
    yield "peak memory, Hausdorff", _peak
    yield "joint components", _components


def _peak() -> Iterator[dict[str, Any]]:
    peak = _alone("hausdorff")["mib"]
    yield {"name": f"peak memory, Hausdorff of {MANY_POINTS:,} x {WIDTH} twice, MiB: at most 2048",
           "ours": peak, "theirs": 2048.0, "ratio": 2048 / peak, "target": 1.0}  # fmt: skip


def _components() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.f32"
        _write_images(file)
        ours, theirs = _alone("components", str(file)), _alone("incremental", str(file))
    what = f"joint components of {IMAGES} x 224 x 224 x 3"
    yield {"name": f"{what}, s: IncrementalPCA", "ours": ours["seconds"], "theirs": theirs["seconds"],
           "ratio": theirs["seconds"] / ours["seconds"], "target": 8.0}  # fmt: skip
    yield {"name": f"{what}, peak MiB: IncrementalPCA", "ours": ours["mib"], "theirs": theirs["mib"],
           "ratio": theirs["mib"] / ours["mib"], "target": 1.0}  # fmt: skip


def _hausdorff() -> Iterator[dict[str, Any]]:
    from scipy.spatial.distance import cdist
    from sklearn.neighbors import NearestNeighbors

    from ctlr.transferability.hausdorff import hausdorff

    torch.set_num_threads(len(os.sched_getaffinity(0)))  # benches before this one want one thread
    rng = np.random.default_rng(0)
    first = rng.standard_normal((POINTS, WIDTH), dtype=np.float32)
    second = rng.standard_normal((POINTS, WIDTH), dtype=np.float32) + np.float32(0.1)

    def scipys() -> float:
        table = cdist(first, second)
        return float(max(table.min(1).mean(), table.min(0).mean()))

    def neighbours(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        return float(NearestNeighbors(n_neighbors=1).fit(b).kneighbors(a)[0].mean())

    works: dict[str, Callable[[], float]] = {
        "ours": lambda: hausdorff(first, second).both,
        "scipy's cdist": scipys,
        "scikit-learn's neighbours": lambda: max(neighbours(first, second), neighbours(second, first)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    values = {}
    for _ in range(1 + ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            values[name] = work()
            seconds[name].append(time.perf_counter() - start)
    taken = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    for name, target in (("scipy's cdist", 15.0), ("scikit-learn's neighbours", 2.5)):
        off = abs(values["ours"] / values[name] - 1)
        yield {"name": f"modified Hausdorff, {POINTS} x {WIDTH} twice, ms: {name} (values {off:.0e} apart)",
               "ours": 1e3 * taken["ours"], "theirs": 1e3 * taken[name], "ratio": taken[name] / taken["ours"],
               "target": target}  # fmt: skip


def _write_images(file: Path) -> None:
    """Pictures whose variance falls along 200 hidden axes, with noise."""
    rng = np.random.default_rng(0)
    images = np.memmap(file, np.float32, "w+", shape=(IMAGES, PIXELS))
    axes = rng.standard_normal((200, PIXELS), dtype=np.float32)
    scale = (np.arange(1, 201) ** -0.7).astype(np.float32)
    for start in range(0, IMAGES, 200):
        hidden = rng.standard_normal((200, 200), dtype=np.float32) * scale
        images[start : start + 200] = hidden @ axes + rng.standard_normal((200, PIXELS), dtype=np.float32)
    images.flush()


def _alone(*words: str) -> dict[str, float]:
    answer = subprocess.run([sys.executable, __file__, "--alone", *words], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def _by_itself(what: str, *files: str) -> None:
    """Do one thing in this process; print its seconds and the peak of memory."""
    start = time.perf_counter()
    factor = 1.0
    if what == "hausdorff":
        from ctlr.transferability.hausdorff import hausdorff

        rng = np.random.default_rng(0)
        sets = [rng.standard_normal((MANY_POINTS, WIDTH), dtype=np.float32) for _ in range(2)]
        hausdorff(*sets)
    elif what == "components":
        from ctlr.transferability.pca import Source, principal_components

        with open(files[0], "rb") as file:

            def read(first: int, stop: int) -> NDArray[np.float32]:
                file.seek(4 * PIXELS * first)
                return np.fromfile(file, np.float32, (stop - first) * PIXELS).reshape(-1, PIXELS)

            principal_components(Source(IMAGES, PIXELS, read), n=COMPONENTS)
    else:
        from sklearn.decomposition import IncrementalPCA

        pca = IncrementalPCA(COMPONENTS)
        for number in range(BATCHES):
            pca.partial_fit(np.fromfile(files[0], np.float32, BATCH * PIXELS, offset=4 * number * BATCH * PIXELS)
                            .reshape(BATCH, PIXELS))  # fmt: skip
        factor = IMAGES / (BATCHES * BATCH)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(json.dumps({"seconds": factor * (time.perf_counter() - start), "mib": int(peak[1]) / 1024}))


def main() -> None:
    """Print the rows, or do one thing for the parent."""
    if sys.argv[1:2] == ["--alone"]:
        _by_itself(*sys.argv[2:])
        return
    for row in rows():
        print(f"{row['name']:95s} {row['ours']:9.4g} {row['theirs']:9.4g} {row['ratio']:7.2f} {row['target']}")


if __name__ == "__main__":
    main()
