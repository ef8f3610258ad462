"""Images that are copies of one another, found among all pairs without holding them: in blocks of matrix products.

How alike two people's images are depends on the data: brains at 6 mm correlate up to 0.97, handwritten digits up to
0.996. So a copy is told by two things: it correlates highly, and it lies far nearer than the nearest images of other
subjects do (the ratio of Lowe 2004, "Distinctive image features from scale-invariant keypoints", IJCV 60, section 7.1,
with the fifth subject in place of the second).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctlr.data.likeness import SIDES, folded, likeness, mirrored
from ctlr.data.store import LIKENESS, ArrayStore
from ctlr.specs import StoredArrays, Value
from ctlr.workspace import Workspace

__all__ = ["NEARER", "Copy", "Likenesses", "find_copies", "nearest_rows"]

NEARER = {3: 0.3, 2: 0.25, 1: 0.25}
"""How far off a copy is at most, as a share of the distance of the fifth nearest subject: of volumes, and of pictures
and signals, of which there are more. The distance is sqrt(1 - correlation)."""

_BEYOND = 4
_KEPT = 32  # rows that are remembered of each query, since a subject may have several
_QUERIES, _BLOCK = 1024, 4096
_LONGEST = 1024  # readings along an axis when two images are compared: pictures have no more pixels, signals may


class Copy(Value):
    """An image (row of the first dataset) and one that looks like a copy of it."""

    row: int
    part: int
    """Which dataset the other one is in: 0 is the first."""
    other: int
    """Its row there."""
    correlation: float


@dataclass(frozen=True)
class Likenesses:
    """What was read of a dataset's images to find copies, on disk.

    Attributes:
        arrays: Which images.
        workspace: Where they lie.
    """

    arrays: StoredArrays
    workspace: Workspace

    def __len__(self) -> int:
        return self.arrays.rows

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """(stop - start, *S) of length 1, without the pages of a memory map."""
        ndim = len(self.arrays.shape) - 1
        width = SIDES[ndim] ** ndim
        path = self.workspace.root / self.arrays.path / LIKENESS
        offset = path.stat().st_size - 2 * width * len(self)
        flat = np.fromfile(path, np.float16, (stop - start) * width, offset=offset + 2 * width * start)
        return flat.astype(np.float32).reshape(-1, *(SIDES[ndim],) * ndim)


def find_copies(
    queries: NDArray[np.int64], parts: Sequence[StoredArrays], workspace: Workspace, *, correlation: float
) -> list[Copy]:
    """Copies of some images among all images of other subjects; mirror images count.

    Candidates come from `nearest_rows`; each is then compared on the whole arrays, about the centres of mass.

    Args:
        queries: (Q,) rows of the first part.
        parts: The datasets, without any one twice.
        workspace: Where they lie.
        correlation: That a copy has at least, on the whole arrays.

    Returns:
        Each with its correlation, by row.
    """
    stores = [ArrayStore(arrays, workspace) for arrays in parts]
    likenesses = [Likenesses(arrays, workspace) for arrays in parts]
    subjects = [_codes(store) for store in stores]
    shape = np.min([arrays.shape[1:] for arrays in parts], axis=0).tolist()
    shape = [min(side, _LONGEST) for side in shape]
    nearer = NEARER[len(shape)]
    copies: list[Copy] = []
    for start in range(0, len(queries), _QUERIES):
        rows = queries[start : start + _QUERIES]
        found = nearest_rows(rows, likenesses, subjects)
        for query, (places, distances) in zip(rows.tolist(), found, strict=True):
            reach = _reach(places, distances, subjects, nearer)
            for part, other in places[distances <= reach].tolist():
                likely = _compare(stores[0], query, stores[part], other, shape)
                if likely >= correlation:
                    copies.append(Copy(row=query, part=part, other=other, correlation=round(likely, 6)))
    return copies


def nearest_rows(
    queries: NDArray[np.int64], parts: Sequence[Likenesses], subjects: Sequence[NDArray[np.int64]]
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """The rows most like some rows of the first part, of other subjects.

    O(Q N D) time in blocks of 4096 rows; memory does not grow with N.

    Args:
        queries: (Q,) rows of the first part.
        parts: All that is searched.
        subjects: Of each part: (N,) codes of the subjects; the first part's own subjects are left out.

    Returns:
        For each query (M, 2) part and row, nearest first, and their (M,) distances sqrt(1 - correlation); M <= 32.
    """
    sums, differences = folded(np.concatenate([parts[0].read(row, row + 1) for row in queries]))
    owners = subjects[0][queries]
    best = np.full((len(queries), 0), -np.inf, np.float32)
    places = np.empty((len(queries), 0, 2), np.int64)
    for part, likenesses in enumerate(parts):
        for start in range(0, len(likenesses), _BLOCK):
            stop = min(start + _BLOCK, len(likenesses))
            theirs = folded(likenesses.read(start, stop))
            # Of the mirror image the differences have the other sign: the greater correlation has them positive.
            correlations = sums @ theirs[0].T
            correlations += np.abs(differences @ theirs[1].T)
            if part == 0:
                correlations[owners[:, None] == subjects[0][start:stop]] = -np.inf
            kept = min(_KEPT, stop - start)
            top = np.argpartition(correlations, -kept, axis=1)[:, -kept:]
            fresh = np.stack([np.full_like(top, part), start + top], axis=-1)
            best, places = _merged(best, places, np.take_along_axis(correlations, top, axis=1), fresh)
    return [
        (where[known], np.sqrt(np.clip(1 - each[known].astype(np.float64), 0, None)))
        for where, each in zip(places, best, strict=True)
        for known in [np.isfinite(each)]
    ]


def _merged(
    best: NDArray[np.float32], places: NDArray[np.int64], more: NDArray[np.float32], fresh: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The highest correlations of both, highest first, and where they are."""
    correlations = np.concatenate([best, more], axis=1)
    where = np.concatenate([places, fresh], axis=1)
    order = np.argsort(-correlations, axis=1, kind="stable")[:, :_KEPT]
    return np.take_along_axis(correlations, order, axis=1), np.take_along_axis(where, order[..., None], axis=1)


def _reach(
    places: NDArray[np.int64], distances: NDArray[np.float64], subjects: Sequence[NDArray[np.int64]], nearer: float
) -> float:
    """Distance within which rows may be copies; -1 where none may.

    Of an image with j copies the j nearest subjects lie within the share `nearer` of the distance of the (j + 4)th; in
    a small dataset the last one stands for the fifth.
    """
    met: dict[tuple[int, int], float] = {}
    for (part, row), distance in zip(places.tolist(), distances.tolist(), strict=True):
        met.setdefault((part, int(subjects[part][row])), distance)
    found, reach = list(met.values()), -1.0
    for place, distance in enumerate(found[:-1]):
        beyond = min(place + _BEYOND, len(found) - 1)
        if (place == 0 or beyond == place + _BEYOND) and distance <= nearer * found[beyond]:
            reach = distance
    return reach


def _compare(one: ArrayStore, row: int, other: ArrayStore, there: int, shape: Sequence[int]) -> float:
    """Correlation of two images about their centres of mass, or of one with the mirror image of the other."""
    first = likeness(one.read([row])[0], shape)[None]
    second = likeness(other.read([there])[0], shape)
    return float(max((first * second).sum(), (mirrored(first) * second).sum()))


def _codes(store: ArrayStore) -> NDArray[np.int64]:
    """(N,) code of each row's subject."""
    return store.table.subject.codes
