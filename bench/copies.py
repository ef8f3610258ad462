"""The search for copies among 100,000 volumes: time and peak memory.

    python -m bench copies        # 2 minutes on two cores, 0.4 GB of disk

A quarter of the images is judged by the gate; 2,048 of them are searched for here, and the time is multiplied, since
every one costs the same. Memory is the peak of a process of its own, with Python and its libraries.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["rows"]

IMAGES, JUDGED, SEARCHED = 100_000, 25_000, 2_048
SIDE = 12


def rows() -> Iterator[dict[str, Any]]:
    """One row a limit: name, ours, and the most that is aimed at."""
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for images in (IMAGES // 10, IMAGES):
            done = subprocess.run(
                [sys.executable, "-m", "bench.copies", folder, str(images)], check=True, capture_output=True, text=True
            )
            found = json.loads(done.stdout)
            peaks[images] = found["mib"]
    yield {"name": f"copies of {JUDGED:,} among {IMAGES:,} volumes, s: at most 900",
           "ours": found["seconds"] * JUDGED / SEARCHED, "theirs": None, "ratio": None, "target": 900.0}  # fmt: skip
    yield {"name": f"peak memory of it, MiB beyond that among {IMAGES // 10:,}: at most 64",
           "ours": peaks[IMAGES] - peaks[IMAGES // 10], "theirs": None, "ratio": None, "target": 64.0}  # fmt: skip
    yield {"name": "peak memory of it, MiB: at most 1024",
           "ours": peaks[IMAGES], "theirs": None, "ratio": None, "target": 1024.0}  # fmt: skip


def _search(folder: Path, images: int) -> None:
    """Search once, and print seconds and the peak of this process."""
    from ctlr.data.neighbours import Likenesses, nearest_rows
    from ctlr.data.store import LIKENESS, ArrayWriter
    from ctlr.specs import StoredArrays
    from ctlr.workspace import Workspace

    workspace = Workspace(folder)
    arrays = StoredArrays(
        fingerprint=f"n{images}", path=f"arrays/n{images}", rows=images, subjects=images, shape=(1, 32, 32, 32),
        dtype="float16",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    with (
        workspace.publish("arrays", arrays.fingerprint) as place,
        ArrayWriter(place, (SIDE**3,), "float16", LIKENESS) as writer,
    ):
        for _ in range(images):
            values = rng.standard_normal(SIDE**3, np.float32)
            writer.append((values / np.linalg.norm(values)).astype(np.float16))
    began = time.perf_counter()
    for start in range(0, SEARCHED, 1024):
        nearest_rows(np.arange(start, start + 1024), [Likenesses(arrays, workspace)], [np.arange(images)])
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.perf_counter() - began, "mib": mib}))


if __name__ == "__main__":
    _search(Path(sys.argv[1]), int(sys.argv[2]))
