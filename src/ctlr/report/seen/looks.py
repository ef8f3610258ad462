"""What a dataset's images look like after preprocessing: means and a few single ones, as little as answers that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.report.images import Stock, axial, region
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


def _volumes(stock: Stock, groups: Groups | None) -> Look:
    shape = stock.arrays.shape[1:]
    rows = stock.rows(min(_AVERAGED, max(20, _BYTES // max(1, _bytes_of(stock)))))
    singles = set(stock.rows(_SHOWN, rows).tolist()) if stock.single else set()
    whole = _Mean.of(shape)
    held = groups if groups is not None and np.prod(shape) <= _HELD else None
    parts = [_Mean.of(shape) for _ in held.names] if held is not None else []
    gallery, hidden = list[Floats](), 0
    for row in rows.tolist():
        volume = stock.image(row)
        if volume is None:
            hidden += 1
            continue
        whole.add(row, volume)
        if held is not None and (code := int(held.codes[row])) >= 0:
            parts[code].add(row, volume)
        if row in singles:
            gallery.append(axial(volume, stock.level(volume)))
    lines, notes = list[Line](), list[str]()
    if whole.rows and stock.enough(whole.rows):
        mean = whole.volume()
        level = stock.level(mean)
        planes = _planes(mean, level)
        limits = window(planes)
        lines.append(_line(planes, limits, f"Mean of {_images(len(whole.rows))}: axial, coronal, sagittal"))
        means = [part for part in parts if part.rows and stock.enough(part.rows)]
        if held is not None and len(means) == len(parts):
            slices = [axial(part.volume(), level) for part in means]
            lines.append(_line(slices, limits, f"Mean by {held.by}: {', '.join(held.names)}"))
    else:
        notes.append(_too_few(stock))
    if gallery:
        lines.append(_line(gallery, window(gallery), f"{_images(len(gallery))}, an axial slice of each"))
    if stock.data.faces and len(whole.rows):
        notes.append(
            "What lies outside the skull or below the brows is blank: nobody is known by their face. It was there when "
            "the networks looked."
        )
    if hidden:
        notes.append(
            f"Of {_images(hidden)} nothing is shown: the top of the head was not found, so a face may be left."
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
