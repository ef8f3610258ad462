"""The search for copies: how many it finds, and time and peak memory among 100,000 volumes.

    python -m bench copies        # 2 minutes on two cores, 0.4 GB of disk

Each change makes copies of 50 volumes, of a cohort that was not there when the search was made. None may be missed, and
nobody taken for another; what changes a volume further than the search promises is counted beside it.

A quarter of the volumes is judged by the gate; 2,048 of them are searched for here, and the time is multiplied, since
every one costs the same. Memory is the peak of a process of its own, with Python and its libraries.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from bench.jobs import Row
from numpy.typing import NDArray

__all__ = ["jobs"]

IMAGES, JUDGED, SEARCHED = 100_000, 25_000, 2_048
SIDE = 12

PEOPLE, COPIED, SPACING = 200, 50, 4.0
GRIDS = {4: 48, 6: 32, 12: 16}
"""Side of the stored cube by its voxels' size in mm."""
Volume = NDArray[np.float32]


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[Row]]]]:
    """What the rows take, by a name for the case that it fails."""
    with tempfile.TemporaryDirectory() as folder:
        yield "copies found", lambda: _found(Path(folder))
    yield "copies among many", _many


# ---------------------------------------------------------------- what is found


def _changes() -> dict[str, tuple[bool, Callable[[Volume], Volume]]]:
    """Whether the search promises to find the copy, and what makes it of a volume with voxels of 4 mm."""
    from scipy import ndimage

    def noisy(share: float) -> Callable[[Volume], Volume]:
        return lambda brain: brain + np.random.default_rng(0).normal(0, share * np.ptp(brain), brain.shape)

    def moved(mm: float) -> Callable[[Volume], Volume]:
        return lambda brain: ndimage.shift(brain, (mm / SPACING, 0, 0), order=1, mode="nearest")

    def resampled(factor: float) -> Callable[[Volume], Volume]:
        def change(brain: Volume) -> Volume:
            small = ndimage.zoom(brain, 1 / factor, order=1)
            return ndimage.zoom(small, np.array(brain.shape) / small.shape, order=1)

        return change

    def turned(degrees: float) -> Callable[[Volume], Volume]:
        return lambda brain: ndimage.rotate(brain, degrees, axes=(0, 1), reshape=False, order=1, mode="nearest")

    def one_voxel(brain: Volume) -> Volume:
        brain = brain.copy()
        brain[tuple(n // 2 for n in brain.shape)] = brain.max()
        return brain

    return {
        "one voxel": (True, one_voxel),
        "padded, intensities doubled": (True, lambda brain: np.pad(2 * brain, 3)),
        "requantised to 8 bits": (True, lambda brain: np.rint(255 * brain / brain.max())),
        "mirrored": (True, lambda brain: brain[::-1]),
        "other intensities (power 0.9)": (True, lambda brain: (brain / brain.max()) ** 0.9),
        "noise, 0.5 % of the range": (True, noisy(0.005)),
        "noise, 2 %": (False, noisy(0.02)),
        "moved by 5 mm": (True, moved(5)),
        "resampled to 5 mm and back": (True, resampled(1.25)),
        "resampled to 8 mm and back": (False, resampled(2)),
        "turned by 2 degrees": (False, turned(2)),
        "turned by 5 degrees": (False, turned(5)),
    }


def _found(folder: Path) -> Iterator[Row]:
    """How many copies each change hides from the search, and how many people it takes for one another."""
    import nibabel as nib

    from ctlr.data.kinds.cohort.growing import write_cohort
    from ctlr.data.neighbours import find_copies
    from ctlr.data.preprocess import preprocess
    from ctlr.specs import BidsSpec, CohortSpec, DigitsSpec, PreprocessSpec
    from ctlr.workspace import Workspace

    workspace = Workspace(folder / "workspace")
    write_cohort(CohortSpec(name="people", subjects=PEOPLE, seed=2027, spacing=SPACING), folder / "people", workers=2)
    changes = _changes()
    for brain in sorted((folder / "people").rglob("*_T1w.nii.gz"))[:COPIED]:
        image = nib.as_closest_canonical(nib.load(brain))
        for place, (_, change) in enumerate(changes.values()):
            voxels = np.asarray(change(np.asarray(image.dataobj, np.float32)), np.float32)
            copy = folder / f"copies{place}" / brain.relative_to(folder / "people")
            copy.parent.mkdir(parents=True)
            nib.save(nib.Nifti1Image(np.ascontiguousarray(voxels), image.affine), copy)
    for place in range(len(changes)):
        names = sorted(path.name for path in (folder / f"copies{place}").iterdir())
        (folder / f"copies{place}" / "participants.tsv").write_text("\n".join(["participant_id", *names]) + "\n")

    for spacing, side in GRIDS.items():
        options = PreprocessSpec(spacing=spacing, shape=(side,) * 3)
        people, *copies = (
            preprocess(BidsSpec(name=name, root=str(folder / name), preprocess=options), workspace, workers=2)
            for name in ("people", *(f"copies{place}" for place in range(len(changes))))
        )
        images, everyone, missed = f"{side}^3 of {spacing} mm", np.arange(PEOPLE), 0
        for (name, (promised, _)), changed in zip(changes.items(), copies, strict=True):
            met = find_copies(everyone, [people, changed], workspace, correlation=0.99)
            hidden = COPIED - len({copy.row for copy in met if copy.part and copy.row == copy.other})
            if promised:
                missed += hidden
            else:
                yield _limit(f"{images}: copies missed of {COPIED}, {name}", hidden, None)
        number = COPIED * sum(promised for promised, _ in changes.values())
        yield _limit(f"{images}: copies missed of {number}, by all that is promised: at most 0", missed, 0)
        alone = find_copies(everyone, [people], workspace, correlation=0.99)
        yield _limit(f"{images}: people taken for others, of {PEOPLE}: at most 0", len(alone), 0)
    digits = preprocess(DigitsSpec(preprocess=PreprocessSpec(shape=(28, 28))), workspace)
    alone = find_copies(np.arange(digits.rows), [digits], workspace, correlation=0.99)
    yield _limit(f"digits of 28 x 28 taken for others, of {digits.rows:,}: at most 0", len(alone), 0)


def _limit(name: str, found: float, most: float | None) -> Row:
    return {"name": name, "ours": found, "theirs": None, "ratio": None, "target": most}


# ---------------------------------------------------------------- what it costs


def _many() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for images in (IMAGES // 10, IMAGES):
            done = subprocess.run(
                [sys.executable, "-m", "bench.copies", folder, str(images)], check=True, capture_output=True, text=True
            )
            found = json.loads(done.stdout)
            peaks[images] = found["mib"]
    seconds = found["seconds"] * JUDGED / SEARCHED
    yield _limit(f"copies of {JUDGED:,} among {IMAGES:,} volumes, s: at most 900", seconds, 900)
    more = peaks[IMAGES] - peaks[IMAGES // 10]
    yield _limit(f"peak memory of it, MiB beyond that among {IMAGES // 10:,}: at most 64", more, 64)
    yield _limit("peak memory of it, MiB: at most 1024", peaks[IMAGES], 1024)


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
