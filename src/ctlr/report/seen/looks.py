"""What a dataset's images look like after preprocessing: means and a few single ones, as little as answers that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.report.images import FEWEST, Stock, axial, region
from ctlr.report.seen.groups import Groups
from ctlr.report.theme.raster import Strip, strip, window

__all__ = ["Line", "Look", "look"]

Floats = NDArray[np.float32]

_AVERAGED = 100
"""Images behind a mean at most, evenly spaced in the table."""
_BYTES = 2**29
"""That are read for a mean at most, as long as twenty images fit."""
_SHOWN = 8
"""Single images of a gallery; of a class, half as many."""
_HELD = 2**22
"""Voxels of volumes up to which a mean is held for each group too."""


@dataclass(frozen=True)
class Line:
    """Pictures and what they are."""

    words: str
    strip: Strip


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is shown of a dataset."""

    lines: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    """What is not shown, and why."""


def look(stock: Stock, groups: Groups | None) -> Look:
    """Draw means and a gallery.

    Args:
        stock: Of volumes or pictures.
        groups: That have a mean each.

    Raises:
        WorkspaceError: The file with the images is damaged.
    """
    return _volumes(stock, groups) if stock.data.shown_as == "slices" else _pictures(stock, groups)


# ---------------------------------------------------------------- volumes


@dataclass(eq=False)
class _Mean:
    """Sum of the known voxels of volumes, and how many there are at each."""

    total: Floats
    count: NDArray[np.int32]
    rows: list[int]

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> _Mean:
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.int32), [])

    def add(self, row: int, volume: Floats) -> None:
        known = np.isfinite(volume)
        self.total += np.where(known, volume, np.float32(0))
        self.count += known
        self.rows.append(row)

    def volume(self) -> Floats:
        """NaN where fewer than half of the volumes may be seen."""
        often = 2 * self.count >= max(len(self.rows), 1)
        return np.where(often, self.total / np.maximum(self.count, 1), np.float32(np.nan))


@dataclass(eq=False)
class _Read:
    """What was read of volumes."""

    whole: _Mean
    parts: list[_Mean]
    """One a group; none where volumes are too large to hold so many."""
    gallery: list[Floats]
    hidden: int = 0
    """Volumes of which nothing may be seen."""


def _read(stock: Stock, groups: Groups | None) -> _Read:
    shape = stock.arrays.shape[1:]
    rows = stock.rows(min(_AVERAGED, max(FEWEST, _BYTES // max(1, _bytes_of(stock)))))
    singles = set(stock.rows(_SHOWN, rows).tolist()) if stock.single else set()
    names = groups.names if groups is not None and np.prod(shape) <= _HELD else ()
    found = _Read(_Mean.of(shape), [_Mean.of(shape) for _ in names], [])
    for row in rows.tolist():
        volume = stock.image(row)
        if volume is None:
            found.hidden += 1
            continue
        found.whole.add(row, volume)
        if found.parts and groups is not None and (code := int(groups.codes[row])) >= 0:
            found.parts[code].add(row, volume)
        if row in singles:
            found.gallery.append(axial(volume, stock.level(volume)))
    return found


def _volumes(stock: Stock, groups: Groups | None) -> Look:
    found, lines, notes = _read(stock, groups), list[Line](), list[str]()
    if stock.enough(found.whole.rows):
        mean = found.whole.volume()
        level = stock.level(mean)
        planes = _planes(mean, level)
        limits = window(planes)
        lines.append(_line(planes, limits, f"Mean of {_images(len(found.whole.rows))}: axial, coronal, sagittal"))
        if groups is not None and found.parts and all(stock.enough(part.rows) for part in found.parts):
            slices = [axial(part.volume(), level) for part in found.parts]
            lines.append(_line(slices, limits, f"Mean by {groups.by}: {', '.join(groups.names)}"))
    elif found.whole.rows:
        notes.append(_too_few(stock))
    if found.gallery:
        words = f"{_images(len(found.gallery))}, an axial slice of each"
        lines.append(_line(found.gallery, window(found.gallery), words))
    if stock.data.faces and lines:
        notes.append(
            "What lies outside the skull or below the brows is blank: nobody is known by their face. It was there when "
            "the networks looked."
        )
    if found.hidden:
        notes.append(
            f"Of {_images(found.hidden)} nothing is shown: the top of the head was not found, so a face may be left."
        )
    return Look(lines=tuple(lines), notes=tuple(notes))


def _planes(volume: Floats, level: int) -> list[Floats]:
    """Axial, coronal and sagittal slices, the latter two through the middle; right, and front, are on the right."""
    seen = region(volume)
    middle = [int(np.average(np.arange(side), weights=_spread(seen, axis))) for axis, side in enumerate(seen.shape)]
    return [
        axial(volume, level),
        np.rot90(volume[:, middle[1], :]),
        np.rot90(volume[middle[0], :, :]),
    ]


def _spread(seen: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    others = tuple(other for other in range(3) if other != axis)
    return np.asarray(seen.sum(axis=others) + 1e-9)


def _bytes_of(stock: Stock) -> int:
    return int(np.prod(stock.arrays.shape)) * np.dtype(stock.arrays.dtype).itemsize


# ---------------------------------------------------------------- pictures


def _pictures(stock: Stock, groups: Groups | None) -> Look:
    if groups is None:
        parts = [("Mean, then single images", stock.rows(_AVERAGED), _SHOWN)]
    else:
        wanted = [stock.rows(_AVERAGED // 2, groups.rows(code)) for code in range(len(groups.names))]
        parts = [(name, rows, _SHOWN // 2) for name, rows in zip(groups.names, wanted, strict=True) if len(rows)]
    found: list[tuple[str, list[Floats]]] = []
    for name, rows, count in parts:
        images = stock.store.read(rows)  # (n, C, H, W)
        if not stock.enough(rows):
            continue
        own = [images.mean(axis=0)]
        if stock.single:
            own += [stock.store.read([row])[0] for row in stock.rows(count, rows).tolist()]
        found.append((name, own))
    if not found:
        return Look(notes=(_too_few(stock),))
    limits = window([picture for _, own in found for picture in own])
    lines = [_line(own, limits, name, f"mean, then {_images(len(own) - 1)}") for name, own in found]
    notes = [f"Left of each line: the mean of {_AVERAGED // 2 if groups else _AVERAGED} images or of all there are."]
    if groups is not None and groups.more:
        notes.append(f"{groups.more} more classes are not shown.")
    if not stock.single:
        notes.append("Single images are not shown (privacy: strict).")
    return Look(lines=tuple(lines), notes=tuple(notes))


# ---------------------------------------------------------------- words


def _line(pictures: Sequence[Floats], limits: tuple[float, float], words: str, more: str = "") -> Line:
    return Line(words, strip(pictures, limits, f"{words}: {more}." if more else f"{words}."))


def _too_few(stock: Stock) -> str:
    return f"No mean is shown: with {stock.arrays.subjects} subjects it would be nearly a picture of one."


def _images(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"
