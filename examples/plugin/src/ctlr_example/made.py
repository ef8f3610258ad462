"""Pictures to try the example on: `python -m ctlr_example.made FOLDER`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from ctlr_example.arrays import TABLE


def write_arrays(folder: Path, subjects: int = 60) -> None:
    """Write noisy rings: the older, the wider; those of one group are brighter."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    rows = []
    for number in range(subjects):
        age, group = rng.uniform(20, 80), rng.choice(["a", "b"])
        ring = np.exp(-(((np.hypot(x, y) - age / 100) / 0.15) ** 2))
        picture = (1 + (group == "b")) * ring + rng.normal(0, 0.2, ring.shape)
        np.save(folder / f"s{number:03d}.npy", picture.astype(np.float32))
        rows.append({"subject": f"s{number:03d}", "age": f"{age:.1f}", "group": group})
    with (folder / TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    write_arrays(Path(sys.argv[1]))
