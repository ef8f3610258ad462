"""Recordings for tests, and the same with something wrong in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import edfio
import numpy as np
from numpy.typing import NDArray

__all__ = ["overwritten", "with_gaps", "write_by_edfio"]


def write_by_edfio(
    path: Path,
    signals: Sequence[NDArray[np.float64]],
    rates: Sequence[int],
    labels: Sequence[str],
    *,
    units: Sequence[str] = (),
    annotations: Sequence[tuple[float, float | None, str]] = (),
    seconds: float | None = None,
) -> None:
    """Write EDF+ (or BDF, by the file's name) with another implementation."""
    bits = {".edf": (edfio.Edf, edfio.EdfSignal), ".bdf": (edfio.Bdf, edfio.BdfSignal)}
    whole, single = bits[path.suffix]
    each = [
        single(values, rate, label=label, physical_dimension=unit)
        for values, rate, label, unit in zip(signals, rates, labels, units or ["uV"] * len(labels), strict=True)
    ]
    given = [edfio.EdfAnnotation(*annotation) for annotation in annotations]
    more = {"annotations": given} if annotations else {}
    if seconds is not None:
        more["data_record_duration"] = seconds
    whole(each, **more).write(path)


def overwritten(path: Path, at: int, text: str | bytes) -> Path:
    """Overwrite bytes of a file."""
    data = bytearray(path.read_bytes())
    new = text.encode() if isinstance(text, str) else text
    data[at : at + len(new)] = new
    path.write_bytes(data)
    return path


def with_gaps(path: Path, gaps: Sequence[int]) -> Path:
    """Make a file of ours discontinuous: before each of these records a minute is missing."""
    data = path.read_bytes()
    data = data.replace(b"EDF+C", b"EDF+D", 1)
    onset = 0
    records = data.count(b"\x14\x14\0")
    for record in range(records):
        onset += (record > 0) + 60 * (record in gaps)
        old = f"+{record}\x14\x14\0".encode()
        new = f"+{onset}\x14\x14\0".encode()
        begin = data.index(old)
        end = begin + len(old)
        spare = len(new) - len(old)
        # What follows in the list of annotations moves up; zeros fill its end.
        stop = data.index(b"\0" * (spare + 1), end) if spare else end
        data = data[:begin] + new + data[end:stop] + data[stop + spare :]
    path.write_bytes(data)
    return path
