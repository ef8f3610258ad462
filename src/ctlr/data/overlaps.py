"""Images that show a part of one another: patches that were cut from one slide, half over each other or a little apart.

Copies are compared about their centres of mass (`ctlr.data.neighbours`); of two patches that share a half nothing but
the half is alike. So images are compared by their marks, the places that stand out most (extremes of a difference of
Gaussians: Lowe 2004, IJCV 60, section 3). Where marks of one lie in another one, all moved alike, both are compared on
the area that they would share. Simple shapes, such as clothes, are alike there too; but the marks that one has in that
area the other one has as well only where both are one picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore
from ctlr.specs import StoredArrays, Value
from ctlr.workspace import Workspace

__all__ = ["LEAST_SHARE", "Overlap", "find_overlaps"]

LEAST_SHARE = 0.4
"""Of an image's area, that both have to show."""

_CORRELATION = 0.97  # of what both show, without its coarse shades
_WHOLE, _COPY = 0.9, 0.99  # of an image that is shown nearly whole: shapes at one place are alike more often
_COMMON = 0.85  # of the marks that the one with fewer has on the area that both show
_MARKS = 12  # of an image
_REACH = 4  # pixels around a mark that are compared
_WAVES = 6  # cosines along each axis that are kept of them
_ALIKE = 0.94  # correlation of what lies around two marks
_NEAREST = 12  # marks that are remembered of each mark
_VOTES = 2  # marks that have to be moved alike
_APART = 1.5  # pixels by which equal moves may differ
_FINE, _COARSE = 1.0, 4.0  # pixels; widths between which images are compared
_SMALLEST = 24  # pixels a side: less has no room for marks
_QUERIES, _BLOCK = 2048, 8192  # marks
Picture = NDArray[np.float32]


class Overlap(Value):
    """An image (row of the first dataset) and one that shows a part of it."""

    row: int
    part: int
    """Which dataset the other one is in: 0 is the first."""
    other: int
    """Its row there."""
    correlation: float
    """On the part that both show."""
    share: float
    """How much of the image that part is."""


class Marks(NamedTuple):
    """Marks of several images."""

    owners: NDArray[np.int64]
    """(M,) images, ascending."""
    places: NDArray[np.int64]
    """(M, 2) pixels, down and across."""
    around: NDArray[np.float16]
    """(M, D) of length 1."""


def find_overlaps(queries: NDArray[np.int64], parts: Sequence[StoredArrays], workspace: Workspace) -> list[Overlap]:
    """Images of other subjects that show a part of some images.

    Moves by whole and by broken pixels are found; turned and mirrored images are not, and none of less than 24 pixels a
    side. O(Q N) time for Q of N images, and 1 KB of memory an image.

    Args:
        queries: (Q,) rows of the first part.
        parts: The datasets of pictures, without any one twice.
        workspace: Where they lie.
    """
    if min(side for arrays in parts for side in arrays.shape[1:]) < _SMALLEST:
        return []
    stores = [ArrayStore(arrays, workspace) for arrays in parts]
    marks = [marks_of_all(store.read([row])[0] for row in range(len(store.table))) for store in stores]
    chosen = np.isin(marks[0].owners, queries)
    wanted = Marks(marks[0].owners[chosen], marks[0].places[chosen], marks[0].around[chosen])

    @lru_cache(maxsize=4096)
    def band(part: int, row: int) -> Picture:
        return band_of(stores[part].read([row])[0])

    found, owners = [], stores[0].table.subject.codes
    for part in range(len(parts)):
        for row, other, move in candidates(wanted, marks[part]):
            if part == 0 and owners[row] == owners[other]:
                continue
            shape = stores[0].arrays.shape[1:]
            if common(places_of(marks[0], row), places_of(marks[part], other), move, shape) < _COMMON:
                continue
            likeness, share = compare(band(0, row), band(part, other), move)
            if share >= LEAST_SHARE and likeness >= (_COPY if share > _WHOLE else _CORRELATION):
                found.append(Overlap(row=row, part=part, other=other, correlation=round(likeness, 4),
                                     share=round(share, 4)))  # fmt: skip
        band.cache_clear()
    return sorted(found, key=lambda each: (each.row, each.part, each.other))


# ---------------------------------------------------------------- marks


def marks_of_all(images: Iterator[NDArray[Any]]) -> Marks:
    """Marks of images, in their order.

    Args:
        images: (C, H, W) each.
    """
    found = [_marks(image) for image in images]
    owners = np.repeat(np.arange(len(found)), [len(places) for places, _ in found])
    return Marks(owners, np.concatenate([each[0] for each in found]), np.concatenate([each[1] for each in found]))


def _marks(image: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    from scipy import fft, ndimage  # slow to load, and `ctlr check` compares no pictures

    plain = image.mean(axis=0, dtype=np.float32)
    fine = ndimage.gaussian_filter(plain, _FINE)
    edges = np.abs(fine - ndimage.gaussian_filter(plain, 2 * _FINE))
    standing = np.zeros_like(edges)
    inside = (slice(_REACH, -_REACH),) * 2
    standing[inside] = (edges * (edges == ndimage.maximum_filter(edges, 3)))[inside]
    order = np.argsort(-standing, axis=None, kind="stable")[:_MARKS]
    places = np.stack(np.unravel_index(order[standing.ravel()[order] > 0], standing.shape), axis=1)
    steps = np.arange(-_REACH, _REACH + 1)
    around = fine[places[:, :1, None] + steps[:, None], places[:, 1:, None] + steps]
    waves = fft.dctn(around, axes=(1, 2), norm="ortho")[:, :_WAVES, :_WAVES].reshape(len(places), _WAVES**2)[:, 1:]
    length = np.maximum(np.linalg.norm(waves, axis=1, keepdims=True), 1e-12)
    return places.astype(np.int64), (waves / length).astype(np.float16)


def candidates(wanted: Marks, others: Marks) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Pairs of images of which marks are alike and moved alike.

    Yields:
        Image, other image, and (2,) the move: what lies at p in the one lies at p + move in the other one.
    """
    moves: dict[tuple[int, int], list[NDArray[np.int64]]] = defaultdict(list)
    for first, second in _alike(wanted, others):
        moves[int(wanted.owners[first]), int(others.owners[second])].append(
            others.places[second] - wanted.places[first]
        )
    for (row, other), each in moves.items():
        if len(each) >= _VOTES:
            apart = np.abs(np.subtract.outer(np.array(each), np.array(each)).diagonal(axis1=1, axis2=3)).max(-1)
            votes = apart <= _APART
            best = int(votes.sum(1).argmax())
            if votes[best].sum() >= _VOTES:
                yield row, other, np.rint(np.array(each)[votes[best]].mean(0)).astype(np.int64)


def _alike(wanted: Marks, others: Marks) -> Iterator[tuple[int, int]]:
    """Each mark with the marks that are most like it."""
    for start in range(0, len(wanted.owners), _QUERIES):
        mine = wanted.around[start : start + _QUERIES].astype(np.float32)
        rows, columns, values = [], [], []
        for first in range(0, len(others.owners), _BLOCK):
            likeness = mine @ others.around[first : first + _BLOCK].astype(np.float32).T
            row, column = np.nonzero(likeness > _ALIKE)
            rows.append(row)
            columns.append(first + column)
            values.append(likeness[row, column])
        row, column, value = (np.concatenate(each) for each in (rows, columns, values))
        order = np.lexsort((column, -value, row))
        row, column = row[order], column[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        kept = rank <= _NEAREST  # the mark itself is among them
        yield from zip((start + row[kept]).tolist(), column[kept].tolist(), strict=True)


def places_of(marks: Marks, image: int) -> NDArray[np.int64]:
    """(M, 2) places of the marks of one image."""
    return marks.places[slice(*np.searchsorted(marks.owners, [image, image + 1]))]


def common(mine: NDArray[np.int64], theirs: NDArray[np.int64], move: NDArray[np.int64], shape: Sequence[int]) -> float:
    """Share of the marks on the area that two images both show which both have, of the one with fewer there."""
    inner = np.array(shape) - _REACH
    here = mine[((mine + move >= _REACH) & (mine + move < inner)).all(1)] + move
    there = theirs[((theirs - move >= _REACH) & (theirs - move < inner)).all(1)]
    if not min(len(here), len(there)):
        return 0.0
    met = (np.abs(here[:, None] - there).max(-1) <= _APART).any(1)
    return float(met.sum()) / min(len(here), len(there))


# ---------------------------------------------------------------- comparing


def band_of(image: NDArray[Any]) -> Picture:
    """What of an image is neither finer nor coarser than what is compared: (H, W)."""
    from scipy import ndimage

    plain = image.mean(axis=0, dtype=np.float32)
    return np.asarray(ndimage.gaussian_filter(plain, _FINE) - ndimage.gaussian_filter(plain, _COARSE), np.float32)


def compare(one: Picture, other: Picture, move: NDArray[np.int64]) -> tuple[float, float]:
    """Correlation of two bands on the area that both show, about a move, and that area as a share of the first one."""
    from scipy import ndimage

    steps = [move + np.array([down, across]) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    best = max(steps, key=lambda step: _correlation(*_shared(one, other, step)))
    found = _correlation(*_shared(one, other, best))
    broken = [_between(*(_correlation(*_shared(one, other, best + way * axis)) for way in (-1, 0, 1)))
              for axis in np.eye(2, dtype=np.int64)]  # fmt: skip
    moved = np.asarray(ndimage.shift(other, [-part for part in broken], order=1, mode="nearest"), np.float32)
    mine, theirs = _shared(one, moved, best)
    return max(found, _correlation(mine, theirs)), mine.size / one.size


def _shared(one: Picture, other: Picture, move: NDArray[np.int64]) -> tuple[Picture, Picture]:
    mine, theirs = [], []
    for here, there, step in zip(one.shape, other.shape, move.tolist(), strict=True):
        first, last = max(0, -step), min(here, there - step)
        mine.append(slice(first, max(first, last)))
        theirs.append(slice(first + step, max(first, last) + step))
    return one[tuple(mine)], other[tuple(theirs)]


def _correlation(one: Picture, other: Picture) -> float:
    if not one.size:
        return -1.0
    a, b = one - one.mean(), other - other.mean()
    length = float(np.sqrt((a * a).sum(dtype=np.float64) * (b * b).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64)) / length if length else -1.0


def _between(before: float, middle: float, after: float) -> float:
    """Where the parabola through three neighbouring correlations is highest, -0.5 to 0.5 from the middle."""
    bend = before - 2 * middle + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
