"""Runs: neighbouring segments of one recording, which are read and filtered together.

A run ends after two minutes, so that memory does not grow with the recording. What a segment becomes depends on the
listing alone, not on who reads beside whom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from math import ceil, floor
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ctlr.data.kinds.signals.edf import Channel, Recording, Stretch, read_recording
from ctlr.data.kinds.signals.electrodes import Derivation, derivations, used
from ctlr.data.kinds.signals.filtering import band_passed, settled
from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.rows import Row
from ctlr.data.scaling import scaled
from ctlr.errors import DataError
from ctlr.specs import SignalsPreprocess

__all__ = ["Runs"]

_LONGEST = 120
"""Seconds between the beginnings of the first and the last segment of a run."""
_AT_RAILS = 0.01
"""Share of a segment's samples that may stand at the smallest or largest number that the channel can hold."""

_Rows = Mapping[str, Row | DataError]
"""By the segment's onset: its row, or why there is none."""


class Runs:
    """Prepares the segments of a listing, run by run, in any thread.

    Whoever would have to wait for a run prepares one of the next meanwhile: threads that ask for segments in order work
    on several runs at once.

    Args:
        listing: The segments.
        options: What becomes of them.
        workers: Threads that ask at once.
    """

    def __init__(self, listing: Listing, options: SignalsPreprocess, workers: int = 1) -> None:
        self._root, self._options, self._workers = listing.root, options, workers
        self._runs = list(_divided(listing.images))
        self._run_of = {(image.file, image.session): n for n, run in enumerate(self._runs) for image in run}
        self._prepared: dict[int, Future[_Rows]] = {}
        self._opened = lru_cache(workers + 1)(self._open)
        self._lock = Lock()

    def row(self, image: IndexedImage) -> Row:
        """A segment's row.

        Raises:
            DataError: It cannot be used. The caller names the file.
        """
        wanted = self._run_of[image.file, image.session]
        while True:
            run, claimed = self._claim(wanted)
            if claimed is None:
                found = run.result()[image.session]
                break
            number, future = claimed
            try:
                future.set_result(self._read(self._runs[number]))
            except BaseException as error:
                future.set_exception(error)
                raise
        if isinstance(found, DataError):
            raise DataError(found.reason, place=found.place)
        return found

    def _claim(self, wanted: int) -> tuple[Future[_Rows], tuple[int, Future[_Rows]] | None]:
        """The wanted run, and which to prepare first: that one, or while another thread does so one of the next."""
        with self._lock:
            ahead = range(wanted, min(wanted + self._workers, len(self._runs)))
            number = next((run for run in ahead if run not in self._prepared), None)
            known = self._prepared.get(wanted)
            if known is not None and (number is None or known.done()):
                return known, None
            assert number is not None
            claimed = self._prepared[number] = Future()
            for old in [run for run in self._prepared if run < wanted - 2 * self._workers]:
                del self._prepared[old]
            return known or claimed, (number, claimed)

    def _open(self, file: str) -> tuple[Recording, list[Derivation]]:
        recording = read_recording(self._root / file)
        return recording, derivations(self._options.montage, recording.signals)

    def _read(self, images: Sequence[IndexedImage]) -> _Rows:
        """All segments of a run."""
        try:
            recording, rows = self._opened(images[0].file)
            found: dict[str, Row | DataError] = {}
            for stretch, segments in groupby(
                images, key=lambda image: _stretch_of(image, recording, self._options.rate)
            ):
                found |= self._rows(recording, rows, stretch, [image.session for image in segments])
        except DataError as error:
            return {image.session: error for image in images}
        return found

    def _rows(
        self, recording: Recording, rows: Sequence[Derivation], stretch: Stretch, onsets: Sequence[str]
    ) -> dict[str, Row | DataError]:
        """Segments of a run that lie in one stretch."""
        options, samples = self._options, self._options.samples()
        at = {onset: round((Fraction(onset) - stretch.onset) * options.rate) for onset in onsets}
        begin, stop = min(at.values()), max(at.values()) + samples
        places = used(rows)
        electrodes = np.empty((len(places), stop - begin), np.float32)
        faults, digests = dict[str, DataError](), {onset: hashlib.sha256() for onset in onsets}
        of_rate: dict[Fraction, list[int]] = {}
        for number, place in enumerate(places):
            of_rate.setdefault(recording.rate(recording.signals[place]), []).append(number)
        for rate, numbers in of_rate.items():
            channels = [recording.signals[places[number]] for number in numbers]
            first, records = _needed(recording, stretch, begin, stop, options)
            raw = recording.read(channels, stretch.first + first, records)
            gains, offsets = np.array([channel.microvolts for channel in channels], np.float32).T[:, :, None]
            values = raw.astype(np.float32)
            values *= gains
            values += offsets
            ends = first == 0, first + records == stretch.records
            passed = band_passed(values, rate, options.rate, options.band, ends)
            skipped = begin - int(first * recording.seconds * options.rate)
            electrodes[numbers] = passed[:, skipped : skipped + stop - begin]
            for onset, sample in at.items():
                start = round((Fraction(sample, options.rate) - first * recording.seconds) * rate)
                part = raw[:, start : start + ceil(samples * rate / options.rate)]
                digests[onset].update(f"{rate} {[channel.microvolts for channel in channels]} ".encode())
                digests[onset].update(np.ascontiguousarray(part).data)
                if (fault := _fault_of(part, channels)) is not None:
                    faults.setdefault(onset, fault)
        seen = _weights(rows, places) @ electrodes
        names = [row.name for row in rows]
        found: dict[str, Row | DataError] = dict(faults)
        for onset, sample in at.items():
            if onset not in faults:
                part = seen[:, sample - begin : sample - begin + samples]
                try:
                    stored = scaled(part, options.normalise, options.dtype, names)
                    found[onset] = Row(stored, digests[onset].hexdigest())
                except DataError as error:
                    found[onset] = error
        return {onset: _placed(each, onset, options.segment) for onset, each in found.items()}


def _divided(images: Sequence[IndexedImage]) -> Iterator[list[IndexedImage]]:
    run: list[IndexedImage] = []
    for image in images:
        if run and (image.file != run[0].file or float(image.session) - float(run[0].session) > _LONGEST):
            yield run
            run = []
        run.append(image)
    if run:
        yield run


def _stretch_of(image: IndexedImage, recording: Recording, rate: int) -> Stretch:
    """In which a segment lies: the last that begins before the middle of its first sample."""
    onset = Fraction(image.session) + Fraction(1, 2 * rate)
    return [stretch for stretch in recording.stretches if stretch.onset <= onset][-1]


def _needed(
    recording: Recording, stretch: Stretch, begin: int, stop: int, options: SignalsPreprocess
) -> tuple[int, int]:
    """First record of a stretch, and number of records, that have a share in samples of the new rate.

    The first one begins together with a sample of the new rate.
    """
    margin = settled(options.band)
    first = max(0, floor((Fraction(begin, options.rate) - margin) / recording.seconds))
    first -= first % (recording.seconds * options.rate).denominator
    last = min(stretch.records, ceil((Fraction(stop, options.rate) + margin) / recording.seconds))
    return first, last - first


def _weights(rows: Sequence[Derivation], places: Sequence[int]) -> NDArray[np.float32]:
    """(rows, electrodes)."""
    weights = np.zeros((len(rows), len(places)), np.float32)
    for line, row in zip(weights, rows, strict=True):
        for place, weight in row.weights.items():
            line[places.index(place)] = weight
    return weights


def _fault_of(part: NDArray[np.integer], channels: Sequence[Channel]) -> DataError | None:
    """Why electrodes cannot be used in a segment, for the first one."""
    lows, highs = part.min(axis=1), part.max(axis=1)
    for values, low, high, channel in zip(part, lows, highs, channels, strict=True):
        if low == high:
            gain, offset = channel.microvolts
            return DataError(
                f"a channel must vary; every sample is {gain * float(low) + offset:.6g} uV. Check its electrode, leave "
                "it out of `montage`, or set `on_bad_subject: exclude`.",
                place=channel.place,
            )
        floor_, ceiling = channel.digital
        if low <= floor_ or high >= ceiling:
            share = float(((values <= floor_) | (values >= ceiling)).mean())
            if share > _AT_RAILS:
                return DataError(
                    f"a channel must not be saturated; {share:.0%} of its samples stand at the ends of its range, and "
                    f"{_AT_RAILS:.0%} may. Leave it out of `montage`, or set `on_bad_subject: exclude`.",
                    place=channel.place,
                )
    return None


def _placed(found: Row | DataError, onset: str, seconds: float) -> Row | DataError:
    """A fault with the time of its segment."""
    if isinstance(found, DataError):
        begin = float(onset)
        return DataError(found.reason, place=f"{begin:g} to {begin + seconds:g} s, {found.place}")
    return found
