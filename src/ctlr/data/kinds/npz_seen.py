"""Recognise NumPy archives of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from ctlr.data.glance import Glance, Sighting
from ctlr.data.kinds.npz import NpzReader
from ctlr.errors import DataError
from ctlr.specs import NpzSpec

__all__ = ["sightings"]


def sightings(seen: Glance) -> Iterator[Sighting]:
    """Each archive."""
    for file in seen.files:
        path = PurePosixPath(file)
        if path.suffix.lower() != ".npz":
            continue
        place = "" if str(path.parent) == "." else str(path.parent)
        several = sum(name.endswith(".npz") for name in seen.folders[place]) > 1
        spec = NpzSpec(root=str(seen.root / place), set=path.stem)
        try:
            images = NpzReader(spec).listing().images
            told, lacking = f"{path.name}, pictures with labels as MedMNIST has them: {len(images)}", ""
        except DataError as error:
            images, told, lacking = (), f"a NumPy archive, {path.name}", f"{error}"
        yield Sighting(
            kind="npz", place=place, what=told, files=len(images), lacking=lacking,
            options={"set": path.stem} if several else {},
        )  # fmt: skip
