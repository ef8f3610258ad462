"""What was seen in a recording, and when: annotations of EDF+, and the label files that lie beside TUH's recordings."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from ctlr.data.kinds.signals.edf import Recording
from ctlr.data.tsv import content_of
from ctlr.errors import DataError, nearest

__all__ = ["Event", "events_of"]

_COLUMNS = ("channel", "start_time", "stop_time", "label")
_WHOLE = "TERM"
"""What a label file calls all channels together."""


class Event(NamedTuple):
    """A part of a recording with a label; seconds from its start."""

    start: Fraction
    stop: Fraction
    label: str
    channel: str
    """On which it was seen; empty: on all together."""
    line: int
    """Of the label file; 0 for annotations of EDF+."""

    @property
    def place(self) -> str:
        """Where messages find it."""
        return f"{float(self.start):g} to {float(self.stop):g} s" + (f", line {self.line}" if self.line else "")


def events_of(recording: Recording, labels: Path | None, name: str) -> list[Event]:
    """The events of a recording, by their start.

    Args:
        recording: Which one.
        labels: Its label file, CSV or TSE; None: the annotations in the recording.
        name: What messages call that file.

    Raises:
        DataError: They cannot be read, or break a rule; names line or time.
    """
    if labels is None:
        found = [
            Event(each.onset, each.onset + each.seconds, each.text, "", 0)
            for each in recording.annotations
            if each.seconds
        ]
    else:
        text = _text(labels, name)
        found = list(_tse(text, name) if labels.suffix == ".tse" else _csv(text, name))
    return sorted(found)


def _csv(text: str, name: str) -> Iterator[Event]:
    """`channel,start_time,stop_time,label,confidence` below comments, as in version 2 of the TUH seizure corpus."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    if not lines:
        raise DataError(f"a header line {','.join(_COLUMNS)} is needed. Write it.", place=name)
    header = [cell.strip() for cell in lines[0][1].split(",")]
    if missing := [column for column in _COLUMNS if column not in header]:
        raise DataError(
            f"a column {missing[0]!r} is needed. {nearest(missing[0], header)} Separate cells by commas.",
            place=f"{name}, line {lines[0][0]}",
        )
    for (number, _), row in zip(
        lines[1:], csv.reader(io.StringIO("\n".join(line for _, line in lines[1:]))), strict=False
    ):
        if len(row) != len(header):
            raise DataError(
                f"every line needs as many cells as the header ({len(header)}); got {len(row)}.",
                place=f"{name}, line {number}",
            )
        cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
        channel = "" if cells["channel"] == _WHOLE else cells["channel"]
        yield _event(cells["start_time"], cells["stop_time"], cells["label"], channel, number, name)


def _tse(text: str, name: str) -> Iterator[Event]:
    """`start stop label probability` on each line below `version = ...`, as in older versions of the corpus."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.startswith(("version", "#")):
            continue
        if len(words) not in (3, 4):
            raise DataError(
                f"a line is `start stop label probability`; got {len(words)} words.", place=f"{name}, line {number}"
            )
        yield _event(words[0], words[1], words[2], "", number, name)


def _event(start: str, stop: str, label: str, channel: str, line: int, name: str) -> Event:
    place = f"{name}, line {line}"
    try:
        event = Event(Fraction(start), Fraction(stop), label, channel, line)
    except (ValueError, ZeroDivisionError) as error:
        raise DataError(
            f"start and stop must be numbers of seconds, with a decimal point; got {start!r} and {stop!r}. Correct "
            "them.",
            place=place,
        ) from error
    if not 0 <= event.start < event.stop:
        raise DataError(
            f"an event starts at 0 s or later, and stops after that; got {float(event.start):g} to "
            f"{float(event.stop):g} s. Correct the line.",
            place=place,
        )
    if not label:
        raise DataError("an event needs a label. Correct the line.", place=place)
    return event


def _text(path: Path, name: str) -> str:
    try:
        return content_of(path, name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"UTF-8 is needed; byte {error.start} is something else. Save it as UTF-8.", place=name
        ) from error
