"""Stored images as far as a report may show them: heads without a face, single subjects only where that is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.data.faces import without_face
from ctlr.data.normalise import above_background
from ctlr.data.store import ArrayStore
from ctlr.errors import CtlrError
from ctlr.report.finished import Finished
from ctlr.specs import DatasetSpec, StoredArrays
from ctlr.workspace import Workspace

__all__ = ["FEWEST", "Stock", "axial", "region", "stocks"]

Floats = NDArray[np.float32]

_RISE = 0.3
"""Of the way from there to the top."""
FEWEST = 20
"""Subjects behind a mean, at least, where no single one may be shown."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stock:
    """A dataset's images in the workspace."""

    data: DatasetSpec
    store: ArrayStore
    workspace: Workspace
    single: bool
    """Whether single images may be shown."""

    @property
    def arrays(self) -> StoredArrays:
        """What is stored."""
        return self.store.arrays

    def rows(self, most: int, among: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """So many rows at most, evenly spaced."""
        known = np.arange(len(self.store)) if among is None else among
        places = np.linspace(0, len(known) - 1, min(most, len(known)))
        return known[np.unique(places.round().astype(np.int64))] if len(known) else known

    def image(self, row: int) -> Floats | None:
        """(C, *S) as it may be drawn, NaN where nothing may be seen; (I, J, K) of a volume. None where it may not.

        Raises:
            WorkspaceError: The file is damaged.
        """
        image = np.asarray(self.store.read([row])[0])
        if self.data.ndim < 3:
            return image
        volume = image.mean(axis=0)
        if not self.data.faces:
            return np.asarray(volume)
        return None if self.data.voxel is None else without_face(volume, self.data.voxel)

    def picture(self, row: int) -> Floats | None:
        """(H, W) or (C, H, W) that stands for an image, of a volume the axial slice that shows most; None likewise."""
        if self.data.shown_as not in ("slices", "pictures"):
            return None
        image = self.image(row)
        return image if image is None or self.data.ndim == 2 else axial(image, self.level(image))

    def level(self, volume: Floats) -> int:
        """The axial slice that shows most; of a head a little above, away from the plane where it was cut."""
        seen = np.flatnonzero(region(volume).any(axis=(0, 1)))
        level = _largest(volume)
        return level + round(_RISE * (int(seen[-1]) - level)) if self.data.faces and len(seen) else level

    def enough(self, rows: Sequence[int] | NDArray[np.int64]) -> bool:
        """Whether a mean over those rows may be shown."""
        if self.single:
            return len(rows) > 0
        return len(np.unique(self.store.table.subject.codes[np.asarray(rows, np.int64)])) >= FEWEST


def stocks(finished: Finished, datasets: Mapping[str, DatasetSpec]) -> dict[str, Stock]:
    """The stored images of each dataset, by name; without those whose arrays are no longer there."""
    found = {}
    strict = finished.config.report.privacy == "strict"
    for name, stored in finished.arrays.items():
        data = datasets.get(name)
        if data is None or not (finished.root / stored.path / "images.npy").is_file():
            continue
        try:
            workspace = Workspace(finished.root)
            store = ArrayStore(stored, workspace)
        except CtlrError:
            continue
        found[name] = Stock(data=data, store=store, workspace=workspace, single=data.public or not strict)
    return found


def axial(volume: Floats, level: int) -> Floats:
    """(J, I) slice of an (I, J, K) volume in RAS order, seen from above: the forehead up, right on the right."""
    return np.rot90(volume[:, :, level])


def region(volume: Floats) -> NDArray[np.bool_]:
    """(I, J, K) where something is to be seen."""
    known = np.isfinite(volume)
    lowest = volume[known].min() if known.any() else np.float32(0)
    return known & above_background(np.where(known, volume, lowest))


def _largest(volume: Floats) -> int:
    return int(region(volume).sum(axis=(0, 1)).argmax())
