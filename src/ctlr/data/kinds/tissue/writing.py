"""Synthetic slides with annotations, for `ctlr tile` and whatever else cuts patches."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctlr.data.kinds.tissue import case_name
from ctlr.data.kinds.tissue.drawing import GLASS, section_of
from ctlr.data.tiling.png import png
from ctlr.errors import DataError, require
from ctlr.specs import ARCHITECTURES, TissueSpec
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["SHRUNK", "map_of", "write_slides"]

SHRUNK = 8
"""Pixels of a slide along each side of one of its mask."""


def write_slides(
    spec: TissueSpec, out: Path, *, side: int, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write slides as tiled TIFF files below `slides`, and their annotations below `masks`: 1 tubular, 2 cribriform.

    Every slide shows both architectures, each on a half of it, with glass around. README, written last, says that all
    of it is synthetic. A slide depends on seed, case and slide alone, whatever the number of workers.

    Args:
        spec: Cases and slides; `patches` and `side` are for patches.
        out: New or empty folder.
        side: Pixels a side of a slide.
        workers: Threads.
        progress: Told (slides done, slides in all).

    Raises:
        DataError: `out` holds something.
        MissingExtraError: tifffile is not installed.
    """
    tifffile = require("tifffile", extra="slides")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"Slides are written to a new or empty folder; {out} is none. Name another folder.")
    places = [(case, slide) for case in range(spec.cases) for slide in range(spec.slides)]

    def write(place: tuple[int, int]) -> None:
        case, slide = place
        name, regions = f"{case_name(case)}-slide{slide + 1}", map_of(spec, case, slide, side)
        pixels = section_of(regions, spec, case, slide)
        tifffile.imwrite(
            out / "slides" / f"{name}.tif", pixels, tile=(256, 256), compression="zlib", photometric="rgb",
            description="synthetic tissue by CTLR; MPP = 1", metadata=None, software=False,
        )  # fmt: skip
        marks = (regions[::SHRUNK, ::SHRUNK] + 1).astype(np.uint8)[..., None]
        (out / "masks" / f"{name}.png").write_bytes(png(marks))

    with disk_faults_named(out):
        for folder in ("slides", "masks"):
            (out / folder).mkdir(parents=True)
        with ThreadPoolExecutor(workers) as pool:
            for done, _ in enumerate(pool.map(write, places), start=1):
                if progress is not None:
                    progress(done, len(places))
        labels = ", ".join(f"{number + 1} {name}" for number, name in enumerate(ARCHITECTURES))
        options = spec.model_dump_json(include={"cases", "slides", "seed", "nuisance"})
        told = (
            f"Synthetic sections of imaginary glands, drawn by CTLR; no tissue was scanned. Masks: {labels}; one pixel "
            f"for {SHRUNK} x {SHRUNK} of the slide.\nOptions: {options}\n"
        )
        write_aside(out / "README", told.encode())


def map_of(spec: TissueSpec, case: int, slide: int, side: int) -> NDArray[np.int8]:
    """(side, side) architecture of each place of a slide, or `GLASS`: two halves of a lobed disk."""
    rng = np.random.default_rng([spec.seed, 2_000_003, case, slide])
    y, x = np.ogrid[:side, :side]
    down, across = (2 * y - side) / side, (2 * x - side) / side
    angle, lobes = np.arctan2(down, across), rng.normal(0, 0.05, (2, 4))
    waves = [amount[0] * np.cos(k * angle) + amount[1] * np.sin(k * angle) for k, amount in enumerate(lobes.T, start=2)]
    tissue = np.hypot(down, across) < 0.85 * (1 + np.sum(waves, axis=0))
    turn = rng.uniform(0, 2 * np.pi)
    halves = (down * np.sin(turn) + across * np.cos(turn) > 0).astype(np.int8)
    return np.where(tissue, halves, np.int8(GLASS)).astype(np.int8)
