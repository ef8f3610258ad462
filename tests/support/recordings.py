"""Recordings for tests, and the same with something wrong in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import edfio
import numpy as np
from numpy.typing import NDArray

from ctlr.data.kinds.signals.edf import read_recording

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
    recording = read_recording(path)
    holder = recording.channels[-1]
    data, onset = bytearray(path.read_bytes()), -1
    data[192:197] = b"EDF+D"
    for record in range(recording.records):
        onset += 1 + 60 * (record in gaps)
        begin = recording.start + 2 * (record * (holder.at + holder.samples) + holder.at)
        part = slice(begin, begin + 2 * holder.samples)
        held = bytes(data[part]).replace(f"+{record}\x14\x14".encode(), f"+{onset}\x14\x14".encode(), 1)
        data[part] = held[: 2 * holder.samples]
    path.write_bytes(data)
    return path
