"""Look at a folder of somebody's own: what kind of data it is, its columns, what its headers say."""

from __future__ import annotations

import contextlib
import pkgutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctlr.data.columns import Column, columns_of
from ctlr.data.glance import Glance, Sighting, glance
from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.reader import reader_of
from ctlr.errors import ConfigError, DataError
from ctlr.proposal.refusing import refusal
from ctlr.specs import DATASETS, DatasetSpec, Measured, dns_name

__all__ = ["Looked", "SeenDataset", "look"]

_HEADERS = 64
"""Images whose headers are read."""
_OPENED = 3
"""Images that are read as a whole, for their intensities."""
_SIDES = {"test": "tested", "val": "validating", "train": "training"}


@dataclass(frozen=True, kw_only=True)
class SeenDataset:
    """One dataset of a folder.

    Attributes:
        name: That it gets in the benchmark.
        sighting: What it was taken for.
        spec: How it is read; its preprocessing is not chosen yet.
        listing: Its images.
        columns: What its tables hold.
        measured: What headers of some images say.
        intensities: Lowest, middle and highest value of a few images: medians of their 1st, 50th and 99th percentiles.
    """

    name: str
    sighting: Sighting
    spec: DatasetSpec
    listing: Listing
    columns: tuple[Column, ...]
    measured: tuple[Measured, ...]
    intensities: tuple[float, float, float] | None

    @property
    def sides(self) -> dict[str, int]:
        """Images on each side that the dataset gives; empty where it gives none."""
        from ctlr.data.splits import given_sides
        from ctlr.data.table import Table

        sides = given_sides(Table.of(self.listing.images), self.name).tolist()
        return {side: sides.count(side) for side in _SIDES if side in sides}

    @property
    def sessions(self) -> dict[str, int]:
        """Images of each session, where there are several."""
        met: dict[str, int] = {}
        for image in self.listing.images:
            met[image.session] = met.get(image.session, 0) + 1
        return met if len(met) > 1 else {}


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A folder that was looked at.

    Attributes:
        folder: As the user named it.
        datasets: What can be read in it, the one with most images first; all of one kind.
        passed: What else it might be, and is not taken for.
    """

    folder: Path
    datasets: tuple[SeenDataset, ...]
    passed: tuple[Sighting, ...]


def look(folder: Path) -> Looked:
    """Look at a folder: names and tables as a whole, the headers of some images, a few images themselves.

    Raises:
        ConfigError: There is no such folder, or nothing in it is recognised; says what is there and what it is nearest
            to.
    """
    try:
        seen = glance(folder)
    except DataError as error:
        raise ConfigError(f"--data: {error}") from error
    found = list(_sightings(seen))
    readable = [each for each in found if not each.lacking and each.files]
    datasets: list[SeenDataset] = []
    faults: list[Sighting] = []
    for sighting in readable:
        if datasets and (sighting.kind != datasets[0].spec.kind or _within(sighting, datasets)):
            continue
        try:
            datasets.append(_looked_at(folder, sighting, [each.name for each in datasets]))
        except DataError as error:
            faults.append(replace(sighting, lacking=str(error)))
    if not datasets:
        lacking = sorted((each for each in found if each.lacking), key=lambda each: -each.near)
        raise ConfigError(refusal(folder, seen, [*faults, *lacking]))
    kept = [each.sighting for each in datasets]
    passed = [each for each in found if each not in kept and not each.lacking and not _within(each, datasets)]
    return Looked(folder=folder, datasets=tuple(datasets), passed=tuple(passed))


def _sightings(seen: Glance) -> Iterator[Sighting]:
    """What each kind of data sees, that with most files first; of two with as many the first kind of the table."""
    found: list[Sighting] = []
    for kind in DATASETS.values():
        if kind.recogniser:
            found += pkgutil.resolve_name(kind.recogniser)(seen)
    yield from sorted(found, key=lambda each: -each.files)


def _within(sighting: Sighting, datasets: Sequence[SeenDataset]) -> bool:
    """Whether it lies in a dataset that is read, or holds one."""
    places = [each.sighting.place for each in datasets]
    return any(_holds(place, sighting.place) or _holds(sighting.place, place) for place in places)


def _holds(place: str, other: str) -> bool:
    return not place or other == place or other.startswith(f"{place}/")


def _looked_at(folder: Path, sighting: Sighting, taken: Sequence[str]) -> SeenDataset:
    root = (folder / sighting.place).resolve()
    name = dns_name(root.name, 30)
    name = name if name not in taken else f"{name}-{len(taken) + 1}"
    kind = DATASETS[sighting.kind]
    about: dict[str, Any] = {"name": name, "root": str(root), **sighting.options}
    if sighting.preprocess:
        about["preprocess"] = dict(sighting.preprocess)
    spec = kind.model_validate(about)
    reader = reader_of(spec)
    listing = reader.listing()
    if listing is None or not listing.images:
        raise DataError("no image can be used." if listing is None else _first_fault(listing))
    step = max(1, len(listing.images) // _HEADERS)
    sample = list(listing.images[::step])
    return SeenDataset(
        name=name, sighting=sighting, spec=spec, listing=listing,
        columns=tuple(columns_of(listing.images, dict(listing.units))),
        measured=tuple(_measured(reader, sample)),
        intensities=_intensities(reader, sample[:: max(1, len(sample) // _OPENED)][:_OPENED]),
    )  # fmt: skip


def _first_fault(listing: Listing) -> str:
    return str(listing.faults[0]) if listing.faults else "no image can be used."


def _measured(reader: Any, images: Sequence[IndexedImage]) -> Iterator[Measured]:
    """What the headers say that can be read; a run names those that cannot."""
    for image in images if hasattr(reader, "measure") else ():
        with contextlib.suppress(DataError):
            yield reader.measure(image)


def _intensities(reader: Any, images: Sequence[IndexedImage]) -> tuple[float, float, float] | None:
    values = []
    for image in images if hasattr(reader, "intensities") else ():
        with contextlib.suppress(DataError):
            values.append(reader.intensities(image))
    if not values:
        return None
    low, middle, high = (statistics.median(each) for each in zip(*values, strict=True))
    return low, middle, high
