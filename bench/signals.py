"""Recordings: CTLR beside MNE, on the same file, to the same numbers.

    python -m bench signals        # needs mne; 3 minutes on 2 cores

A recording of two hours, 20 channels at 250 Hz, goes from EDF to 0.5-35 Hz at 50 samples a second: with MNE by
`read_raw_edf`, `filter` and `resample`, with CTLR segment by segment, as it is read for a run: that includes looking
for bad electrodes and taking digests. `r` is the correlation of both results. MNE filters by the same Butterworth
filter and resamples by its polyphase filter; in the second row it does both in its default ways, an FIR filter of
another shape and a Fourier transform whose rate is rounded. All work in one thread, and take turns.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ctlr.data.kinds.signals.writing import write_edf
from ctlr.data.preprocess import preprocess
from ctlr.data.reader import reader_of
from ctlr.specs import SignalsPreprocess, SignalsSpec
from ctlr.workspace import Workspace

__all__ = ["main", "rows"]

ROUNDS = 3
TARGET = 3.0
"""How many times as fast as MNE."""
MEMORY = 1024
"""MiB at most."""
LABELS = [f"E{number}" for number in range(1, 21)]
RATE, SECONDS = 250, 7200
OPTIONS = SignalsPreprocess(montage=tuple(LABELS), normalise="none", dtype="float32")
SPEC = SignalsSpec(root="", events="none", preprocess=OPTIONS)
NAME = "sub-1_eeg.edf"


def rows() -> Iterator[dict[str, Any]]:
    """One row a comparison."""
    for _, job in jobs():
        yield from job()


def jobs() -> Iterator[tuple[str, Callable[[], Iterable[dict[str, Any]]]]]:
    """What each row takes, by a name for the case that it fails."""
    warnings.filterwarnings("ignore")  # of MNE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield "recordings beside MNE", functools.partial(_compare, folder)
        yield "memory of a recording", functools.partial(_memory, folder)


def ctlr(folder: Path) -> NDArray[np.float32]:
    """(20, T) in uV."""
    images = reader_of(SPEC.at(str(folder / "recordings"))).open(Workspace(folder / "workspace"))
    return np.concatenate([images.row(image).values for image in images.listing.images], axis=1)


def mne(folder: Path, *, alike: bool) -> NDArray[np.float64]:
    """(20, T) in uV."""
    import mne

    raw = mne.io.read_raw_edf(folder / "recordings" / NAME, preload=True, verbose="error")
    if alike:
        raw.filter(*OPTIONS.band, method="iir", iir_params={"order": 4, "ftype": "butter"}, verbose="error")
        raw.resample(OPTIONS.rate, method="polyphase", verbose="error")
    else:
        raw.filter(*OPTIONS.band, verbose="error")
        raw.resample(OPTIONS.rate, verbose="error")
    return np.asarray(1e6 * raw.get_data())


def _compare(folder: Path) -> list[dict[str, Any]]:
    _write(folder)
    works = {"CTLR": ctlr, "alike": functools.partial(mne, alike=True), "default": functools.partial(mne, alike=False)}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    found: dict[str, NDArray[Any]] = {}
    with threadpool_limits(1):
        for _ in range(ROUNDS):
            for name, work in works.items():
                began = time.perf_counter()
                found[name] = work(folder)
                seconds[name].append(time.perf_counter() - began)
    median = {name: statistics.median(each) for name, each in seconds.items()}
    return [
        {
            "name": f"2 h of 20 channels to 50 Hz, s: MNE, {words} (r = {_r(found['CTLR'], found[name]):.4f})",
            "ours": median["CTLR"],
            "theirs": median[name],
            "ratio": median[name] / median["CTLR"],
            "target": target,
        }
        for name, words, target in (("alike", "the same filter", TARGET), ("default", "its defaults", None))
    ]


def _r(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    return float(np.corrcoef(ours.ravel(), theirs[:, : ours.shape[1]].ravel())[0, 1])


def _memory(folder: Path) -> list[dict[str, Any]]:
    """Of a process of its own that preprocesses the recording; libraries included."""
    _write(folder)
    code = f"import bench.signals as b; b.stored({str(folder)!r})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return [{"name": "2 h of 20 channels, preprocessed: peak MiB (target: below)", "ours": float(told), "theirs": None,
             "ratio": None, "target": MEMORY}]  # fmt: skip


def stored(folder: str) -> None:
    """Preprocess the recording as a run does, and print the most memory that this process held, MiB."""
    preprocess(SPEC.at(f"{folder}/recordings"), Workspace(f"{folder}/workspace"), workers=2)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) / 1024)


def _write(folder: Path) -> None:
    """Write the recording: noise that falls with frequency, and mains."""
    file = folder / "recordings" / NAME
    if not file.exists():
        file.parent.mkdir()
        rng = np.random.default_rng(0)
        samples = RATE * SECONDS
        hz = np.fft.rfftfreq(samples, 1 / RATE)
        shape = np.maximum(hz, 0.5) ** -0.75
        values = np.empty((len(LABELS), samples), np.float32)
        for row in values:
            wave = np.fft.irfft(shape * (rng.normal(size=len(hz)) + 1j * rng.normal(size=len(hz))), samples)
            row[:] = 15 * wave / wave.std() + 3 * np.sin(2 * np.pi * 50 * np.arange(samples) / RATE)
        write_edf(file, LABELS, values, RATE)


def main() -> None:
    """Print the table."""
    for row in rows():
        print(row)


if __name__ == "__main__":
    main()
