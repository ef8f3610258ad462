"""Patches out of a slide of 10,000 x 10,000 pixels: `ctlr tile` beside plain loops over tifffile and OpenSlide.

    python -m bench tiling        # 2 minutes on two cores, 0.7 GB of disk

All cut patches of 512 x 512 pixels in two threads, keep those that are tissue by the same threshold, and write PNG
files. The loops save with Pillow, as such scripts do, at its default level and at 1, the quickest. The row of seconds
counts what both cores worked, and has a limit: 100 patches a second. Memory is the peak of a process
of its own, with Python and its libraries.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from bench.jobs import Row
from numpy.typing import NDArray
from PIL import Image

__all__ = ["jobs"]

SIDE, SIZE, THREADS = 10_000, 512, 2
RIVAL_PATCHES = 60
"""Rivals take patches one like the other: so many give the same rate sooner."""
PATCHES_A_SECOND = 100
MIB_AT_MOST = 1024


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[Row]]]]:
    """What the rows take, by a name for the case that it fails."""
    with tempfile.TemporaryDirectory() as folder:
        yield "tiling", lambda: _compare(Path(folder))


def _compare(folder: Path) -> Iterator[Row]:
    slide = write_slide(folder / "slides/s1.tif")
    program = f"from bench.tiling import measure; measure({str(slide)!r}, {str(folder / 'out')!r})"
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    count, (seconds, worked, mib) = int(told[0]), map(float, told[1:])
    name = f"tiling {SIDE} x {SIDE}"
    yield {"name": f"{name}: {count} patches, s of two cores", "ours": worked, "theirs": None, "ratio": None,
           "target": count / PATCHES_A_SECOND}  # fmt: skip
    yield {"name": f"{name}: peak memory, MiB", "ours": mib, "theirs": None, "ratio": None, "target": MIB_AT_MOST}
    ours = count / seconds
    for rival, read in (("tifffile", _by_tifffile), ("OpenSlide", _by_openslide)):
        for level in (6, 1):
            theirs = _rate(read, slide, folder / f"{rival}{level}", level)
            yield {"name": f"{name}: {rival} + Pillow at level {level}, patches/s", "ours": ours, "theirs": theirs,
                   "ratio": ours / theirs, "target": None}  # fmt: skip


def write_slide(path: Path) -> Path:
    """A tiled JPEG TIFF of pink texture, with glass at the right edge."""
    import tifffile

    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 40, (64, 64, 3)).repeat(32, 0).repeat(32, 1)
    block = np.clip(np.array([200, 110, 170]) + coarse + rng.normal(0, 8, coarse.shape), 0, 255).astype(np.uint8)
    whole = np.tile(block, (5, 5, 1))[:SIDE, :SIDE].copy()
    whole[:, 9_500:] = 244
    path.parent.mkdir(parents=True)
    tifffile.imwrite(path, whole, tile=(256, 256), compression="jpeg", photometric="rgb")
    return path


def measure(slide: str, out: str) -> None:
    """Cut, and print patches, seconds, seconds that each of two cores worked, and the process's peak in MiB."""
    from ctlr.data.tiling.cutting import Cutting, cut

    started, busy = time.perf_counter(), time.process_time()
    count = cut(Path(slide), Path(out), Cutting(size=SIZE), workers=THREADS)
    seconds, worked = time.perf_counter() - started, (time.process_time() - busy) / THREADS
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(count, seconds, worked, int(peak.split()[1]) / 1024)


Reader = Callable[[Path], Callable[[int, int], NDArray[np.uint8]]]


def _by_tifffile(slide: Path) -> Callable[[int, int], NDArray[np.uint8]]:
    import tifffile

    whole = tifffile.imread(slide)
    return lambda x, y: whole[y : y + SIZE, x : x + SIZE]


def _by_openslide(slide: Path) -> Callable[[int, int], NDArray[np.uint8]]:
    import openslide

    opened = openslide.OpenSlide(slide)
    return lambda x, y: np.asarray(opened.read_region((x, y), 0, (SIZE, SIZE)).convert("RGB"))


def _rate(reader: Reader, slide: Path, out: Path, level: int) -> float:
    """Patches a second, the time of reading a slide as a whole shared among all its patches."""
    out.mkdir()
    places = [(x, y) for y in range(0, SIDE - SIZE + 1, SIZE) for x in range(0, SIDE - SIZE + 1, SIZE)]
    started = time.perf_counter()
    read = reader(slide)
    opening = (time.perf_counter() - started) / len(places)

    def take(place: tuple[int, int]) -> None:
        pixels = read(*place)
        saturation = 1 - pixels[::4, ::4].min(-1) / np.maximum(pixels[::4, ::4].max(-1), 1)
        if (saturation > 0.1).mean() >= 0.5:
            Image.fromarray(pixels).save(out / f"{place[0]}_{place[1]}.png", compress_level=level)

    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(take, places[:RIVAL_PATCHES]))
    return 1 / (opening + (time.perf_counter() - started) / RIVAL_PATCHES)
