"""Folders of recordings: who was recorded, which segments there are, and what becomes of each."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path, PurePosixPath

from ctlr.data.kinds.bids_tables import read_units
from ctlr.data.kinds.signals.edf import Recording, read_recording
from ctlr.data.kinds.signals.electrodes import derivations, used
from ctlr.data.kinds.signals.labels import Event, events_of
from ctlr.data.kinds.signals.segments import Segment, Span, cut, spans_of, thinned
from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader, Images, Progress
from ctlr.data.tsv import read_table
from ctlr.errors import DataError, nearest
from ctlr.specs import Exclusion, SignalsSpec
from ctlr.workspace import Workspace

__all__ = ["SignalsReader"]

_RECORDINGS = (".edf", ".bdf")
_OTHERS = (".gz", ".vhdr", ".set", ".fif", ".gdf", ".cnt", ".rec", ".mat")
"""Endings of recordings in other formats, which are counted; no other file is."""
_TABLE = "participants.tsv"
_SLACK = 1
"""Seconds that an event may last beyond the end of its recording, which holds whole records."""
_STEPS = 2**17
"""Samples after which two rates meet again, at most."""


class SignalsReader(FileReader):
    """Reads the segments of recordings; several lie in one file."""

    spec: SignalsSpec

    def files(self) -> tuple[Path, list[str]]:
        """The recordings that have a segment."""
        listing = self.listing()
        return listing.root, list(dict.fromkeys(image.file for image in listing.images))

    def index(self) -> Listing:
        """List the segments of all recordings, with their class and the cells of the patient.

        Raises:
            DataError: The folder or its table cannot be used. Faults of single recordings are listed instead.
        """
        root = Path(self.spec.root)
        folder = FolderReader(root)
        found = list(_walk(folder, ""))
        recordings = [file for file in found if file.lower().endswith(_RECORDINGS)]
        if not recordings and not folder.faults:
            raise DataError(
                "a folder of recordings holds EDF, EDF+ or BDF files; none is there. Correct `root`.",
                place=repr(root.name),
            )
        people = (
            read_table(root / _TABLE, name=_TABLE, key="participant_id") if os.path.lexists(root / _TABLE) else None
        )
        taken = {column for cells in (people or {}).values() for column in cells} & {"class", "classes"}
        if taken and self.spec.events != "none":
            raise DataError(f"a column must not be called {min(taken)!r}: events have it. Rename it.", place=_TABLE)
        images, seen, met = list[IndexedImage](), set[str](), set[str]()
        self._note_labels(folder, found, recordings)
        for file in recordings:
            try:
                patient, cells = self._patient(file, people, seen)
                segments = self._segments(folder, file, met)
            except DataError as error:
                folder.fault(f"{file} ({error.place})" if error.place else file, error.reason)
                continue
            images += [
                IndexedImage(subject=patient, session=onset, file=file, columns=cells | columns)
                for onset, columns in segments
            ]
        if self.spec.events != "none":
            images = _with_classes(images)
            self._refuse_labels(met, folder)
        if not images and not folder.faults:
            raise DataError("no segment can be cut from any recording. Lower `min_event`, or correct `labels`.")
        for patient in people or ():
            if patient not in seen:
                folder.fault(patient, f"a line of {_TABLE} needs a recording. Add it, or remove the line.")
        units = read_units(root, (), folder)
        return Listing(
            root=root, images=tuple(images), faults=tuple(folder.faults), left_out=tuple(folder.left_out), units=units,
        )  # fmt: skip

    def _refuse_labels(self, met: set[str], folder: FolderReader) -> None:
        """A label that no recording has is misspelt; what cannot be read may have had it."""
        for label in self.spec.labels:
            if label not in met and not folder.faults:
                rule = f"`labels` names {label!r}, which no recording has."
                raise DataError(f"{rule} Correct or remove it.", told=f"{rule} {nearest(label, met)}")

    def _note_labels(self, folder: FolderReader, found: list[str], recordings: list[str]) -> None:
        """Label files need a recording, and recordings in formats that are not read are counted."""
        stems = {file.rsplit(".", 1)[0] for file in recordings}
        for file in found:
            stem, _, ending = file.rpartition(".")
            if ending == self.spec.events and stem not in stems:
                folder.fault(file, "a label file needs its recording beside it. Copy it there, or remove this one.")
            elif f".{ending}".lower() in _OTHERS:
                folder.leave_out(file, "only EDF, EDF+ and BDF are read. Convert it if it is a recording.")

    def _patient(
        self, file: str, people: Mapping[str, dict[str, str]] | None, seen: set[str]
    ) -> tuple[str, dict[str, str]]:
        """Who was recorded, and what the table says of them."""
        path = PurePosixPath(file)
        if self.spec.patient:
            match = re.search(self.spec.patient, file)
            if match is None or not match[1]:
                raise DataError("`patient` must match the path of each recording. Correct it, or move this one out.")
            patient = match[1]
        elif match := re.match(r"sub-[A-Za-z0-9]+(?=_|\.)", path.name):
            patient = match.group()
        else:
            patient = path.parts[0] if len(path.parts) > 1 else path.stem
        if people is None:
            return patient, {}
        for name in (patient, patient.removeprefix("sub-"), f"sub-{patient}"):
            if name in people:
                seen.add(name)
                return patient, people[name]
        raise DataError(f"a recording needs a line of its patient in {_TABLE}. Add it, or correct `patient`.")

    def _segments(self, folder: FolderReader, file: str, met: set[str]) -> list[tuple[str, dict[str, str]]]:
        """Onset and columns of a recording's segments; labels that are met are noted."""
        options = self.spec.preprocess
        recording = read_recording(Path(folder.root) / file)
        _check_channels(recording, self.spec)
        spans = self._spans(folder, file, recording, met)
        found = thinned(
            cut(spans, recording.stretches, recording.seconds, rate=options.rate, samples=options.samples()),
            self.spec.max_segments,
        )
        if not found:
            folder.leave_out(file, "no segment can be cut from it: no event counts, or none is long enough.")
        return [
            (_onset(segment, recording, options.rate), {"class": segment.name} if segment.name else {})
            for segment in found
        ]

    def _spans(self, folder: FolderReader, file: str, recording: Recording, met: set[str]) -> list[Span]:
        last = recording.stretches[-1]
        end = last.onset + last.records * recording.seconds
        if self.spec.events == "none":
            return [Span(Fraction(0), end, "")]
        events = self._events(file, recording)
        met.update(event.label for event in events)
        for event in events:
            if event.stop > end + _SLACK:
                raise DataError(
                    f"an event must end with its recording, at {float(end):g} s. Correct it; perhaps this is the label "
                    "file of another recording.",
                    place=event.place,
                )
        labels = self.spec.labels or {event.label: event.label for event in events}
        for label, count in Counter(event.label for event in events if event.label not in labels).items():
            folder.leave_out(f"{file} ({count} x {label})", "`labels` does not name the label of this event.")
        spans = spans_of(events, labels)
        if short := sum(span.stop - span.start < self.spec.min_event for span in spans):
            folder.leave_out(f"{file} ({short})", f"an event is shorter than `min_event: {self.spec.min_event:g}` s.")
        return [span for span in spans if span.stop - span.start >= self.spec.min_event]

    def _events(self, file: str, recording: Recording) -> list[Event]:
        if self.spec.events == "annotations":
            if len(recording.signals) == len(recording.channels):
                raise DataError(
                    "the file has no annotations (it is no EDF+). Say with `events` where the label files are, or "
                    "`events: none`."
                )
            return events_of(recording, None, file)
        name = f"{file.rsplit('.', 1)[0]}.{self.spec.events}"
        path = recording.path.with_name(PurePosixPath(name).name)
        if not os.path.lexists(path):
            raise DataError(
                f"a recording needs its label file beside it, {PurePosixPath(name).name}. Add it, or say with `events` "
                "where events are."
            )
        return events_of(recording, path, PurePosixPath(name).name)

    # ---------------------------------------------------------------- reading

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Find recordings that are there under two patients; all else is read segment by segment."""
        listing = self.listing()
        patients = {image.file: image.subject for image in listing.images}
        repeats = dict(_repeats(listing.root, patients))
        images = tuple(image for image in listing.images if image.file not in repeats)
        faults = tuple(Exclusion(place=f"{file} and {other}", reason=_REPEAT) for file, other in repeats.items())
        self._listing = replace(listing, images=images, faults=listing.faults + faults)
        from ctlr.data.kinds.signals.runs import Runs

        return Images(self._listing, Runs(self._listing, self.spec.preprocess, workers).row)


_REPEAT = "two patients must not have one recording. Give both files one patient id, or remove one."


def _walk(folder: FolderReader, below: str) -> Iterator[str]:
    """All files below a folder, by name; hidden ones are none."""
    for entry in folder.entries(below, lambda name: not name.startswith(".")):
        place = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir():
            yield from _walk(folder, place)
        elif entry.is_file():
            yield place


def _with_classes(images: list[IndexedImage]) -> list[IndexedImage]:
    """With a column `classes`, what all segments of the patient have: to stratify patients by."""
    held: dict[str, set[str]] = {}
    for image in images:
        held.setdefault(image.subject, set()).add(image.columns["class"])
    return [
        replace(image, columns=image.columns | {"classes": " + ".join(sorted(held[image.subject]))}) for image in images
    ]


def _check_channels(recording: Recording, spec: SignalsSpec) -> None:
    """Whether a recording has what the montage needs, in voltages and often enough."""
    options, signals = spec.preprocess, recording.signals
    for place in used(derivations(options.montage, signals)):
        channel, rate = signals[place], recording.rate(signals[place])
        _ = channel.microvolts
        least = 2 * options.band[1]
        if rate <= least:
            raise DataError(
                f"a band up to {options.band[1]:g} Hz needs more than {least:g} samples a second; there are "
                f"{float(rate):g}. Lower `band`, or choose other channels with `montage`.",
                place=channel.place,
            )
        if max((options.rate / rate).as_integer_ratio()) > _STEPS:
            raise DataError(
                f"a rate must have a simple ratio to `rate: {options.rate}`; it is {float(rate):.9g}. Resample the "
                "file.",
                place=channel.place,
            )


def _onset(segment: Segment, recording: Recording, rate: int) -> str:
    """Seconds from the recording's start: what tells a segment from its neighbours."""
    return f"{float(recording.stretches[segment.stretch].onset + Fraction(segment.at, rate)):011.4f}"


def _repeats(root: Path, patients: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Recordings that are there before under another patient, and the first of each."""
    alike: dict[tuple[int, int], list[str]] = {}
    for file in patients:
        try:
            recording = read_recording(root / file)
            alike.setdefault((os.path.getsize(root / file) - recording.start, recording.records), []).append(file)
        except (DataError, OSError):  # told when its segments are read
            continue
    for files in alike.values():
        if len({patients[file] for file in files}) > 1:
            first: dict[str, str] = {}
            for file in files:
                other = first.setdefault(read_recording(root / file).digest(), file)
                if patients[other] != patients[file]:
                    yield file, other
