"""Preprocessing, indexing and reading: CTLR beside MONAI, TorchIO and scipy, on the same files.

    python bench/preprocess.py        # needs monai and torchio; 4 minutes on 2 cores

Every contender takes a file to the same thing: RAS, isotropic voxels, a cube around the centre, z-scores. The figures
are volumes/s, files in the page cache. Contenders take turns in every round and each figure is a median over rounds,
so that a busy machine slows all alike. On two cores CTLR works in two threads, as `preprocess(workers=2)` does, and
each rival in two processes that are started and warm before the clock runs. CTLR smooths before it shrinks and rejects
damaged files, the rivals' usual pipelines do neither; `r` is the correlation of each result with CTLR's.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ctlr.data.kinds import bids
from ctlr.data.kinds.cohort.growing import Cohort
from ctlr.data.listing import IndexedImage
from ctlr.data.preprocess import preprocess
from ctlr.data.rows import volume_row
from ctlr.data.store import ArrayStore, ArrayWriter, ImageRecord, write_table
from ctlr.specs import BidsSpec, CohortSpec, PreprocessSpec, StoredArrays
from ctlr.workspace import Workspace

__all__ = ["main", "rows"]

ROUNDS = 5
TARGET = 5.0
"""How many times as fast as MONAI and as TorchIO."""

Image = NDArray[Any]
Work = Callable[[Path], Image]


class Case:
    """One size of files, and what becomes of them."""

    def __init__(self, shape: tuple[int, int, int], edge: float, side: int, spacing: float, files: int) -> None:
        self.shape, self.edge, self.side, self.spacing, self.files = shape, edge, side, spacing, files
        self.name = f"{' x '.join(map(str, shape))} to {side}^3"


CASES = (
    Case((240, 256, 176), edge=1.0, side=96, spacing=2.0, files=4),
    Case((64, 64, 64), edge=3.0, side=48, spacing=4.0, files=16),
)


def rows() -> Iterator[dict[str, Any]]:
    """One row a comparison: name, ours, theirs, ratio, and the least ratio aimed at (or None).

    Rows that compare with nobody have `theirs` and `ratio` None; their target is what `ours` should reach.
    """
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    warnings.filterwarnings("ignore")  # of the rivals
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in CASES:
            yield case.name, functools.partial(_compare, case, folder / f"{case.side}")
        yield "indexing, preprocessing again and reading", functools.partial(_own, folder)


# ---------------------------------------------------------------- contenders: each takes a file to z-scores


def ctlr(path: Path, *, side: int, spacing: float) -> Image:
    options = PreprocessSpec(shape=(side, side, side), spacing=spacing)
    stored, *_ = volume_row(IndexedImage(subject="", file=path.name), path.parent, options)
    return stored[0]


def monai(path: Path, *, side: int, spacing: float, lazy: bool = False) -> Image:
    return np.asarray(_monai(side, spacing, lazy)(path)[0])


@functools.cache
def _monai(side: int, spacing: float, lazy: bool) -> Any:
    from monai import transforms

    return transforms.Compose(
        [
            transforms.LoadImage(image_only=True, ensure_channel_first=True),
            transforms.Orientation("RAS", lazy=lazy),
            transforms.Spacing((spacing,) * 3, mode="bilinear", lazy=lazy),
            transforms.ResizeWithPadOrCrop((side,) * 3, lazy=lazy),
            transforms.NormalizeIntensity(),
        ],
        lazy=lazy,
    )


def torchio(path: Path, *, side: int, spacing: float) -> Image:
    import torchio as tio

    return np.asarray(_torchio(side, spacing)(tio.ScalarImage(path)).data[0])


@functools.cache
def _torchio(side: int, spacing: float) -> Any:
    import torchio as tio

    steps = [tio.ToCanonical(), tio.Resample(spacing), tio.CropOrPad((side,) * 3), tio.ZNormalization()]
    return tio.Compose(steps)


def scipy(path: Path, *, side: int, spacing: float) -> Image:
    """What a script of ten lines does."""
    from scipy import ndimage

    image = nib.as_closest_canonical(nib.load(path))
    small = ndimage.zoom(image.get_fdata(), np.array(image.header.get_zooms()[:3]) / spacing, order=1)
    out = np.zeros((side,) * 3, np.float32)
    starts = [(n - side) // 2 for n in small.shape]
    into = tuple(
        slice(max(0, -start), max(0, -start) + min(n, side)) for start, n in zip(starts, small.shape, strict=True)
    )
    of = tuple(slice(max(0, start), max(0, start) + min(n, side)) for start, n in zip(starts, small.shape, strict=True))
    out[into] = small[of]
    return (out - out.mean()) / out.std()


def _contenders(case: Case) -> dict[str, Work]:
    size = {"side": case.side, "spacing": case.spacing}
    return {
        "CTLR": functools.partial(ctlr, **size),
        "MONAI": functools.partial(monai, **size),
        "MONAI, lazy": functools.partial(monai, lazy=True, **size),
        "TorchIO": functools.partial(torchio, **size),
        "scipy": functools.partial(scipy, **size),
    }


# ---------------------------------------------------------------- the comparison


def _compare(case: Case, folder: Path) -> list[dict[str, Any]]:
    files = _write_files(case, folder)
    works = _contenders(case)
    likeness = _likeness(works, files[0])
    table = []
    for cores in (1, 2):
        with _executors(works, cores) as executors:
            rates = _rates(works, executors, files)
        table += [
            {
                "name": f"{case.name}, {cores} core{'s' * (cores - 1)}: {name} (r = {likeness[name]:.3f})",
                "ours": rates["CTLR"],
                "theirs": rate,
                "ratio": rates["CTLR"] / rate,
                "target": None if name == "scipy" else TARGET,
            }
            for name, rate in rates.items()
            if name != "CTLR"
        ]
    return table


def _write_files(case: Case, folder: Path) -> list[Path]:
    """int16 .nii.gz as a scanner's converter writes them: gzip level 6, sagittal slices, also other orientations."""
    folder.mkdir()
    cohort = Cohort(CohortSpec(subjects=case.files, spacing=case.edge))
    files = []
    for index in range(case.files):
        volume = _fitted(cohort.volume(index % 4), (case.shape[2], case.shape[0], case.shape[1]))
        image = nib.Nifti1Image((1000 * volume).astype(np.int16), np.diag([case.edge] * 3 + [1.0]))
        turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt("PSR"))
        files.append(folder / f"{index}.nii.gz")
        nib.save(image.as_reoriented(turn), files[-1])
    return files


def _fitted(volume: Image, shape: Sequence[int]) -> Image:
    """Crop or pad around the centre, noise where nothing is."""
    rng = np.random.default_rng(0)
    out = np.abs(rng.normal(0, 0.04, shape)).astype(np.float32)
    into, of = [], []
    for have, want in zip(volume.shape, shape, strict=True):
        n = min(have, want)
        into.append(slice((want - n) // 2, (want - n) // 2 + n))
        of.append(slice((have - n) // 2, (have - n) // 2 + n))
    out[tuple(into)] = volume[tuple(of)]
    return out


def _likeness(works: Mapping[str, Work], file: Path) -> dict[str, float]:
    ours = works["CTLR"](file).astype(np.float32).ravel()
    return {name: float(np.corrcoef(ours, np.float32(work(file)).ravel())[0, 1]) for name, work in works.items()}


@contextmanager
def _executors(works: Mapping[str, Work], cores: int) -> Iterator[dict[str, Executor]]:
    """Threads for CTLR, and processes of one thread each for every rival."""
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        executors: dict[str, Executor] = {}
        for name in works:
            executors[name] = stack.enter_context(
                ThreadPoolExecutor(cores)
                if name == "CTLR"
                else ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), _one_thread)
            )
        yield executors


def _one_thread() -> None:
    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    threadpool_limits(1)


def _silent(work: Work, file: Path) -> None:
    """Work, and leave the result where it was made: sending it between processes is not what is compared."""
    work(file)


def _rates(works: Mapping[str, Work], executors: Mapping[str, Executor], files: list[Path]) -> dict[str, float]:
    """Volumes/s of each: median over rounds in which all take turns, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(1 + ROUNDS):
        for name, work in works.items():
            start = time.perf_counter()
            list(executors[name].map(functools.partial(_silent, work), files))
            seconds[name].append(time.perf_counter() - start)
    return {name: len(files) / statistics.median(each[1:]) for name, each in seconds.items()}


# ---------------------------------------------------------------- figures without a rival


def _own(folder: Path) -> list[dict[str, Any]]:
    root = _write_subjects(folder / "bids", 1000)
    spec = BidsSpec(root=str(root), preprocess=PreprocessSpec(shape=(16, 16, 16), spacing=3.0))
    workspace = Workspace(folder / "workspace")
    preprocess(spec, workspace, workers=2)
    return [
        _alone("index 1,000 subjects, s (target: below)", _seconds(lambda: bids.index(spec)), 0.2),
        _alone(
            "preprocess 1,000 unchanged files again, s (target: below)",
            _seconds(lambda: preprocess(spec, workspace)),
            1,
        ),
        *(_reading(workspace, side, n) for side, n in ((96, 64), (48, 512))),
    ]


def _alone(name: str, ours: float, target: float | None = None) -> dict[str, Any]:
    return {"name": name, "ours": ours, "theirs": None, "ratio": None, "target": target}


def _seconds(job: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _write_subjects(root: Path, n: int) -> Path:
    volume = np.zeros((16, 16, 16), np.int16)
    lines = ["participant_id\tage\tsex"]
    for index in range(n):
        volume[4:12, 4:12, 4:12] = np.random.default_rng(index).integers(400, 1000, (8, 8, 8))
        path = root / f"sub-{index:04d}" / "anat" / f"sub-{index:04d}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(volume, np.diag([3.0, 3, 3, 1])), path)
        lines.append(f"sub-{index:04d}\t{20 + index % 60}\tF")
    (root / "participants.tsv").write_text("\n".join(lines))
    return root


def _reading(workspace: Workspace, side: int, n: int) -> dict[str, Any]:
    """Volumes/s from the store to float32 in batches of 16 random rows, beside NumPy's memory map."""
    arrays = StoredArrays(
        fingerprint="x", path=f"arrays/{side}", rows=n, subjects=n, shape=(1, side, side, side), dtype="float16"
    )
    with workspace.publish("arrays", str(side)) as folder, ArrayWriter(folder, arrays.shape, "float16") as writer:
        for seed in range(n):
            writer.append(np.random.default_rng(seed).standard_normal(arrays.shape, np.float32).astype(np.float16))
        write_table(folder, [ImageRecord(subject=str(row), file="x", sha256="x") for row in range(n)])
    store = ArrayStore(arrays, workspace)
    memory_map = np.load(workspace.root / arrays.path / "images.npy", mmap_mode="r")
    batches = np.random.default_rng(0).permutation(n).reshape(-1, 16)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_seconds_of(lambda batch: store.read(batch), batches))
        theirs.append(_seconds_of(lambda batch: memory_map[np.sort(batch)].astype(np.float32), batches))
    rates = n / statistics.median(ours), n / statistics.median(theirs)
    name = f"read {side}^3 float16, volumes/s: np.memmap (whose pages stay in memory)"
    return {"name": name, "ours": rates[0], "theirs": rates[1], "ratio": rates[0] / rates[1], "target": None}


def _seconds_of(job: Callable[[NDArray[np.int64]], object], batches: NDArray[np.int64]) -> float:
    start = time.perf_counter()
    for batch in batches:
        job(batch)
    return time.perf_counter() - start


def main() -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in rows():
        cells = [
            f"{row[key]:10.3g}" if row[key] is not None else " " * 10 for key in ("ours", "theirs", "ratio", "target")
        ]
        print(f"{row['name']:75s}", *cells)


if __name__ == "__main__":
    main()
