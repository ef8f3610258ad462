"""EDF, EDF+ and BDF files: what the header says, annotations, and samples.

Kemp et al. 1992 (doi:10.1016/0013-4694(92)90009-7), Kemp & Olivan 2003 (doi:10.1016/S1388-2457(03)00123-8); BDF has 24
instead of 16 bits. Whose recording it is, by whom and when it was made are fields of the header that are never read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ctlr.data.fetched import refuse_pointer, unreadable
from ctlr.data.sources import open_regular
from ctlr.errors import DataError

if TYPE_CHECKING:  # numpy is slow to load, and a plan reads headers alone
    from numpy.typing import NDArray

__all__ = ["Annotation", "Channel", "Recording", "Stretch", "read_recording"]

_FIXED, _EACH = 256, 256
_MICROVOLTS = {"nv": 1e-3, "uv": 1.0, "mv": 1e3, "v": 1e6}
_AT_ONCE = 2**23
"""Bytes that are read at once, of which the channels that are wanted are kept."""
_SIGNALS = 4096
"""Channels above which a header is taken for damaged."""
_TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?((?:\x14[^\x14\x00]*)*)\x14")
"""A list of annotations: onset, duration, texts."""
_COPY = "Copy the file again, or repair its header."


class Annotation(NamedTuple):
    """What somebody wrote about a part of a recording; seconds from its start."""

    onset: Fraction
    seconds: Fraction
    text: str


class Stretch(NamedTuple):
    """Records without a gap between them."""

    onset: Fraction
    """Seconds from the recording's start."""
    first: int
    """Record."""
    records: int


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel, as its part of the header says."""

    number: int
    """From 1."""
    label: str
    unit: str
    ranges: tuple[str, ...]
    """Physical minimum and maximum, digital minimum and maximum; judged only where the channel is used."""
    samples: int
    """In a record."""
    at: int
    """Sample of the record with which it begins."""

    @property
    def place(self) -> str:
        """What messages call it."""
        return f"channel {self.number}, {self.label!r}"

    @property
    def holds_annotations(self) -> bool:
        """Whether it is no signal, but the annotations of EDF+ or BDF+."""
        return self.label in ("EDF Annotations", "BDF Annotations")

    @cached_property
    def digital(self) -> tuple[int, int]:
        """Smallest and largest number that it can hold.

        Raises:
            DataError: The numbers are none, or the same.
        """
        low, high = (round(self._number(text, "digital")) for text in self.ranges[2:])
        if low >= high:
            raise DataError(
                f"the digital minimum must be below the digital maximum; the header says {low} and {high}. {_COPY}",
                place=self.place,
            )
        return low, high

    @cached_property
    def microvolts(self) -> tuple[float, float]:
        """(gain, offset) with uV = gain * stored + offset.

        Raises:
            DataError: The unit is none of voltage, or the ranges give no scale.
        """
        unit = self.unit.replace("µ", "u").replace("μ", "u").lower()
        if unit not in _MICROVOLTS:
            raise DataError(
                f"the unit must be nV, uV, mV or V; the header says {self.unit!r}. Choose other channels with "
                "`montage`, or correct the header.",
                place=self.place,
            )
        low, high = (self._number(text, "physical") for text in self.ranges[:2])
        lowest, highest = self.digital
        if low == high:
            raise DataError(
                f"physical minimum and maximum must differ; the header says {low:g} for both. {_COPY}",
                place=self.place,
            )
        gain = (high - low) / (highest - lowest)
        return gain * _MICROVOLTS[unit], (low - gain * lowest) * _MICROVOLTS[unit]

    def _number(self, text: str, kind: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise DataError(
                f"the {kind} minimum and maximum must be numbers; the header says {text!r}. {_COPY}", place=self.place
            ) from error


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording that can be read."""

    path: Path
    width: int
    """Bytes a sample: 2, or 3 in BDF."""
    gaps: bool
    """Whether there may be gaps between records (EDF+D)."""
    start: int
    """Byte with which the first record begins."""
    records: int
    seconds: Fraction
    """Of a record."""
    channels: tuple[Channel, ...]

    @cached_property
    def signals(self) -> tuple[Channel, ...]:
        """The channels that are no annotations."""
        return tuple(channel for channel in self.channels if not channel.holds_annotations)

    def rate(self, channel: Channel) -> Fraction:
        """Samples a second."""
        return channel.samples / self.seconds

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The records without gaps, in the order of time: all of them, unless the file is discontinuous."""
        if not self.gaps:
            return (Stretch(Fraction(0), 0, self.records),)
        onsets = [onset for onset, _ in self._lists()]
        if any(later < earlier + self.seconds for earlier, later in pairwise(onsets)):
            raise DataError(f"records must follow one another in time; some overlap. {_COPY}")
        begins = [0, *(n for n in range(1, len(onsets)) if onsets[n] != onsets[n - 1] + self.seconds), len(onsets)]
        return tuple(Stretch(onsets[first] - onsets[0], first, stop - first) for first, stop in pairwise(begins))

    @cached_property
    def annotations(self) -> tuple[Annotation, ...]:
        """What EDF+ says of parts of the recording, by onset."""
        found: list[Annotation] = []
        begin: Fraction | None = None
        for onset, listed in self._lists():
            begin = onset if begin is None else begin
            found += [each._replace(onset=each.onset - begin) for each in listed]
        return tuple(sorted(found))

    def _lists(self) -> Iterator[tuple[Fraction, list[Annotation]]]:
        """Onset of each record, and the annotations that stand in it."""
        holders = [channel for channel in self.channels if channel.holds_annotations]
        if not holders:
            return
        record = self.width * sum(channel.samples for channel in self.channels)
        with open_regular(self.path) as file:
            for number in range(self.records):
                found: list[Annotation] = []
                onset: Fraction | None = None
                for holder in holders:
                    at = self.start + number * record + holder.at * self.width
                    held = os.pread(file.fileno(), holder.samples * self.width, at)
                    for begin, duration, texts in _TAL.findall(held):
                        words = texts.split(b"\x14")[1:]
                        if onset is None and holder is holders[0]:
                            onset = Fraction(begin.decode())
                            words = words[1:]
                        length = Fraction((duration or b"0").decode())
                        found += [_annotation(begin, length, word, number) for word in words if word]
                if onset is None:
                    raise DataError(
                        f"the first annotation of a record must be its onset; it has none. {_COPY}",
                        place=f"record {number + 1}",
                    )
                yield onset, found

    def read(self, channels: Sequence[Channel], first: int, records: int) -> NDArray[Any]:
        """Read samples of channels that have one rate.

        Args:
            channels: Which.
            first: Record.
            records: How many.

        Returns:
            (len(channels), records * samples) as they are stored: int16, or int32 for BDF.
        """
        import numpy as np

        samples, each = sum(channel.samples for channel in self.channels), channels[0].samples
        record = samples * self.width
        step = max(1, _AT_ONCE // record)
        out = np.empty((len(channels), records, each), np.int16 if self.width == 2 else np.int32)
        with open_regular(self.path) as file:
            for done in range(0, records, step):
                count = min(step, records - done)
                held = os.pread(file.fileno(), count * record, self.start + (first + done) * record)
                if len(held) < count * record:
                    raise DataError(f"the file ends before its last record. {_COPY}")
                table = np.frombuffer(held, np.uint8).reshape(count, samples, self.width)
                for row, channel in zip(out, channels, strict=True):
                    part = table[:, channel.at : channel.at + each]
                    row[done : done + count] = part.view("<i2")[..., 0] if self.width == 2 else _from_24_bits(part)
        return out.reshape(len(channels), records * each)

    def digest(self) -> str:
        """SHA-256 of all that follows the header: the same for a recording under another name and patient."""
        import hashlib

        with open_regular(self.path) as file:
            file.seek(self.start)
            return hashlib.file_digest(file, "sha256").hexdigest()


def _from_24_bits(values: NDArray[Any]) -> NDArray[Any]:
    """(..., 3) bytes, the least first, as signed numbers."""
    import numpy as np

    wide = np.zeros((*values.shape[:-1], 4), np.uint8)
    wide[..., 1:] = values
    return wide.view("<i4")[..., 0] >> 8


def _annotation(onset: bytes, seconds: Fraction, text: bytes, record: int) -> Annotation:
    try:
        return Annotation(Fraction(onset.decode()), seconds, text.decode().strip())
    except UnicodeDecodeError as error:
        raise DataError(
            "annotations must be UTF-8; this one is something else. Export the file again.",
            place=f"record {record + 1}",
        ) from error


def read_recording(path: Path) -> Recording:
    """Read a recording's header, and hold it against the size of the file.

    Raises:
        DataError: It cannot be used; says the rule, the value and the remedy. The caller names the file.
    """
    try:
        with open_regular(path) as file:
            fixed = file.read(_FIXED)
            refuse_pointer(fixed)
            size = os.fstat(file.fileno()).st_size
            width = {b"0       ": 2, b"\xffBIOSEMI": 3}.get(fixed[:8])
            if width is None or len(fixed) < _FIXED:
                raise DataError("an EDF, EDF+ or BDF file is needed; this one begins otherwise. Export it again.")
            count = _whole(fixed, 252, 4, "number of channels")
            if not 1 <= count <= _SIGNALS:
                raise DataError(f"a recording has 1 to {_SIGNALS} channels; the header says {count}. {_COPY}")
            each = file.read(_EACH * count)
    except OSError as error:
        raise unreadable(path, error) from error
    start = _whole(fixed, 184, 8, "number of bytes of the header")
    if start != _FIXED + _EACH * count or len(each) < _EACH * count:
        raise DataError(
            f"the header of {count} channels takes {_FIXED + _EACH * count} bytes; it says {start} and the file has "
            f"{size}. {_COPY}"
        )
    seconds = _duration(fixed)
    channels = tuple(_channels(each, count))
    if any(not channel.holds_annotations for channel in channels) and seconds <= 0:
        raise DataError(f"a record must last longer than 0 s; the header says {float(seconds):g}. {_COPY}")
    record = width * sum(channel.samples for channel in channels)
    return Recording(
        path=path,
        width=width,
        gaps=fixed[192:197] in (b"EDF+D", b"BDF+D"),
        start=start,
        records=_records(_whole(fixed, 236, 8, "number of records"), size - start, record),
        seconds=seconds or Fraction(1),
        channels=channels,
    )


def _records(said: int, size: int, record: int) -> int:
    """How many records there are; the header must agree with the file's size, or leave it open (-1)."""
    there, rest = divmod(size, record)
    if said == -1 and rest == 0 and there:
        return there
    if said == there and rest == 0 and said:
        return said
    told = "the header leaves their number open" if said == -1 else f"the header says {said}"
    what = f"{there} records and {rest} bytes of another" if rest else f"{there} records"
    raise DataError(
        f"the file must hold the records that its header promises, whole ones and one at least; it holds {what}, and "
        f"{told}. {_COPY}"
    )


def _duration(fixed: bytes) -> Fraction:
    text = _text(fixed[244:252], "the duration of a record")
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise DataError(f"the duration of a record must be a number of seconds; it is {text!r}. {_COPY}") from error


def _channels(each: bytes, count: int) -> Iterator[Channel]:
    """Channels of the header, whose fields stand field by field."""

    def fields(before: int, length: int, name: str) -> list[str]:
        begin = before * count
        return [
            _text(each[begin + n * length : begin + (n + 1) * length], f"the {name} of channel {n + 1}")
            for n in range(count)
        ]

    labels, units = fields(0, 16, "label"), fields(96, 8, "unit")
    ranges = [
        fields(before, 8, "range") for before in (104, 112, 120, 128)
    ]  # physical minimum and maximum, digital minimum and maximum
    at = 0
    for number, text in enumerate(fields(216, 8, "number of samples")):
        if not text.isdecimal() or int(text) < 1:
            raise DataError(
                f"a channel has 1 sample in a record at least; the header says {text!r}. {_COPY}",
                place=f"channel {number + 1}, {labels[number]!r}",
            )
        yield Channel(
            number=number + 1, label=labels[number], unit=units[number],
            ranges=tuple(bounds[number] for bounds in ranges), samples=int(text), at=at,
        )  # fmt: skip
        at += int(text)


def _whole(fixed: bytes, at: int, length: int, name: str) -> int:
    text = _text(fixed[at : at + length], f"the {name}")
    if not re.fullmatch(r"-?\d+", text):
        raise DataError(f"the {name} must be a whole number; the header says {text!r}. {_COPY}")
    return int(text)


def _text(field: bytes, name: str) -> str:
    """A field without the spaces (some write zeros) that fill it; many write the micro sign as Latin-1."""
    text = field.replace(b"\xc2\xb5", b"u").replace(b"\xb5", b"u").strip(b" \0").decode("latin-1")
    if not text.isascii() or not (text.isprintable() or not text):
        raise DataError(
            f"a header is plain text (ASCII); {name} is {text!r}. Export the file again, or repair its header."
        )
    return text
