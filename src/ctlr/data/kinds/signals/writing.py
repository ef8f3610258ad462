"""Write EDF+ files, whose bytes depend on what is written alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctlr.workspace import write_aside

__all__ = ["STEP", "write_edf"]

STEP = 0.1
"""Microvolts between two values that a file can hold; it ends at 32767 of them."""


def write_edf(
    path: Path,
    labels: Sequence[str],
    values: NDArray[np.floating],
    rate: int,
    annotations: Sequence[tuple[float, float, str]] = (),
    about: str = "X",
) -> None:
    """Write a recording without a gap as EDF+C, in records of a second; it names neither a person nor a date.

    Args:
        path: The file.
        labels: Of the channels.
        values: (C, T) in uV; T a multiple of the rate.
        rate: Samples a second.
        annotations: (onset, duration, text), in seconds.
        about: What recorded it, a word.
    """
    count, records = len(labels), values.shape[1] // rate
    lists = [f"+{record}\x14\x14\0" for record in range(records)]
    for number, (onset, seconds, text) in enumerate(annotations):
        lists[number * records // len(annotations)] += f"+{onset:g}\x15{seconds:g}\x14{text}\x14\0"
    texts = [each.encode() for each in lists]
    width = 2 * -(-max(map(len, texts)) // 2)
    stored = np.rint(np.clip(values / STEP, -32768, 32767)).astype("<i2")
    table = np.empty((records, count * rate + width // 2), "<i2")
    table[:, : count * rate] = stored.reshape(count, records, rate).transpose(1, 0, 2).reshape(records, -1)
    table[:, count * rate :] = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), "<i2").reshape(
        records, -1
    )
    write_aside(path, _header(labels, rate, records, width // 2, about) + table.tobytes())


def _header(labels: Sequence[str], rate: int, records: int, annotated: int, about: str) -> bytes:
    count = len(labels)
    fields = [
        (["0"], 8), (["X X X X"], 80), ([f"Startdate X X X {about}"], 80), (["01.01.85"], 8), (["00.00.00"], 8),
        ([str(256 * (count + 2))], 8), (["EDF+C"], 44), ([str(records)], 8), (["1"], 8), ([str(count + 1)], 4),
        ([*labels, "EDF Annotations"], 16), ([""] * (count + 1), 80), (["uV"] * count + [""], 8),
        ([f"{-32768 * STEP:.1f}"] * count + ["-1"], 8), ([f"{32767 * STEP:.1f}"] * count + ["1"], 8),
        (["-32768"] * (count + 1), 8), (["32767"] * (count + 1), 8), ([""] * (count + 1), 80),
        ([str(rate)] * count + [str(annotated)], 8), ([""] * (count + 1), 32),
    ]  # fmt: skip
    return b"".join(text.encode("ascii").ljust(length) for texts, length in fields for text in texts)
