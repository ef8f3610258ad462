"""Segments of equal length, cut from the events of a recording and never across a gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from math import ceil, floor
from typing import NamedTuple

from ctlr.data.kinds.signals.edf import Stretch
from ctlr.data.kinds.signals.labels import Event
from ctlr.errors import DataError

__all__ = ["Segment", "Span", "cut", "spans_of", "thinned"]


class Span(NamedTuple):
    """A part of a recording that has one class; seconds from its start."""

    start: Fraction
    stop: Fraction
    name: str
    """The class; empty where there are no events."""


class Segment(NamedTuple):
    """What becomes one row."""

    stretch: int
    """In which stretch of the recording it lies."""
    at: int
    """Its first sample at the new rate, from the stretch's beginning."""
    name: str
    """Its class."""


def spans_of(events: Sequence[Event], classes: Mapping[str, str]) -> list[Span]:
    """The parts of a recording that have one class each, by their start; events of one class that overlap are one.

    Args:
        events: By their start.
        classes: Of the labels that count. Where channels disagree, the class that stands first wins.

    Raises:
        DataError: Two events of one channel overlap and have different classes.
    """
    counted = [event for event in events if event.label in classes]
    for _, each in groupby(sorted(counted, key=lambda event: event.channel), key=lambda event: event.channel):
        _refuse_overlaps(list(each), classes)
    spans: list[Span] = []
    for name in dict.fromkeys(classes.values()):
        own = [Span(event.start, event.stop, name) for event in counted if classes[event.label] == name]
        spans += [rest for span in _united(own) for rest in _without(span, spans)]
    return sorted(spans)


def _refuse_overlaps(events: Sequence[Event], classes: Mapping[str, str]) -> None:
    """Of one channel, by their start."""
    last: dict[str, Event] = {}
    for event in events:
        name = classes[event.label]
        for other in (each for known, each in last.items() if known != name):
            if event.start < other.stop:
                raise DataError(
                    "events of two classes must not overlap. Correct one of them, or leave its label out of `labels`.",
                    place=f"{other.label!r}, {other.place} and {event.label!r}, {event.place}",
                )
        if name not in last or event.stop > last[name].stop:
            last[name] = event


def _united(spans: Sequence[Span]) -> list[Span]:
    """Spans of one class, by their start; those that overlap become one."""
    found: list[Span] = []
    for span in spans:
        if found and span.start < found[-1].stop:
            found[-1] = found[-1]._replace(stop=max(found[-1].stop, span.stop))
        else:
            found.append(span)
    return found


def _without(span: Span, taken: Sequence[Span]) -> Iterator[Span]:
    """What is left of a span outside of others."""
    start = span.start
    for other in sorted(taken):
        if other.stop <= start or other.start >= span.stop:
            continue
        if other.start > start:
            yield span._replace(start=start, stop=other.start)
        start = max(start, other.stop)
    if start < span.stop:
        yield span._replace(start=start)


def cut(
    spans: Sequence[Span], stretches: Sequence[Stretch], seconds: Fraction, *, rate: int, samples: int
) -> list[Segment]:
    """Segments that lie inside a span and inside a stretch, from their beginning on, without overlap.

    Args:
        spans: By their start.
        stretches: Of the recording.
        seconds: Of a record.
        rate: Samples a second of what is cut.
        samples: Of a segment.

    Returns:
        By their start.
    """
    found = []
    for span in spans:
        for number, stretch in enumerate(stretches):
            begin = max(span.start - stretch.onset, Fraction(0))
            end = min(span.stop - stretch.onset, stretch.records * seconds)
            first = ceil(begin * rate)
            count = max(0, (floor(end * rate) - first) // samples)
            found += [Segment(number, first + k * samples, span.name) for k in range(count)]
    return found


def thinned(segments: Sequence[Segment], most: int | None) -> list[Segment]:
    """At most so many of each class, spread evenly."""
    if most is None:
        return list(segments)
    kept: set[Segment] = set()
    for name in {segment.name for segment in segments}:
        own = [segment for segment in segments if segment.name == name]
        count = min(most, len(own))
        kept.update(own[k * len(own) // count] for k in range(count))
    return [segment for segment in segments if segment in kept]
