"""Recognise what has no table: IDX files, and recordings and series, which need a word of their user's."""

from __future__ import annotations

from collections.abc import Iterator

from ctlr.data.glance import Glance, Sighting
from ctlr.data.kinds.idx import IdxReader
from ctlr.errors import DataError
from ctlr.specs import IdxSpec, idx_pairs

__all__ = ["idx", "series", "signals"]

_START = "`ctlr init FILE --kind {kind}` writes a file to start from; say in it {what}."


def idx(seen: Glance) -> Iterator[Sighting]:
    """Each folder of IDX files."""
    for place in seen.folders:
        root = seen.root / place
        if not any(idx_pairs(root)):
            continue
        try:
            count, lacking = len(IdxReader(IdxSpec(root=str(root))).listing().images), ""
        except DataError as error:
            count, lacking = 0, str(error)
        yield Sighting(kind="idx", place=place, what=f"IDX files: {count} pictures", files=count, lacking=lacking)


def signals(seen: Glance) -> Iterator[Sighting]:
    """Recordings: which events are meant only their user knows."""
    yield from _unknown(seen, (".edf", ".bdf"), "signals", "recordings", "which events and labels are meant")


def series(seen: Glance) -> Iterator[Sighting]:
    """Labelled series."""
    yield from _unknown(seen, (".ts",), "series", "files of labelled series", "how many channels and values they hold")


def _unknown(seen: Glance, endings: tuple[str, ...], kind: str, what: str, told: str) -> Iterator[Sighting]:
    count = sum(seen.endings.get(ending, 0) for ending in endings)
    if count:
        yield Sighting(
            kind=kind, what=f"{count} {what}", files=count, lacking=_START.format(kind=kind, what=told)
        )  # fmt: skip
