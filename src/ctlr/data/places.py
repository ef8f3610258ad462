"""Where patches lie in their slides, as the table of `ctlr tile` says, and which of them overlap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from ctlr.data.leakage import Leak, Placed
from ctlr.data.placing import PlacedRows
from ctlr.data.tsv import is_missing, number

__all__ = ["overlapping", "patches"]

_COLUMNS = ("slide", "x", "y", "extent")


class _Patch(NamedTuple):
    placed: Placed
    x: float
    y: float
    extent: float


def patches(parts: Sequence[PlacedRows]) -> Iterator[Placed]:
    """Rows on any side of those tables that have all columns of patches; nothing is read of other tables."""
    for part in parts:
        if part.table.columns.keys() >= set(_COLUMNS):
            for row in np.flatnonzero(part.sides >= 0).tolist():
                image = part[row]
                assert image is not None
                yield image


def overlapping(images: Iterable[Placed], slides: Mapping[str, str]) -> Iterator[Leak]:
    """Find patches on two sides that show the same part of a slide, however little; one leak for each.

    Patches are those images whose columns `slide`, `x`, `y` and `extent` all have a value. O(N) for N images, as long
    as patches do not lie on each other by hundreds.

    Args:
        images: Of all sides.
        slides: Dataset's name -> a word that those in which one name is one slide share.
    """
    by_cell: dict[tuple[str, str, int, int], list[_Patch]] = defaultdict(list)
    known = [(slide, patch) for placed in images if (patch := _patch(placed)) for slide in [_slide(placed, slides)]]
    largest: dict[tuple[str, str], float] = {}
    for slide, patch in known:
        largest[slide] = max(largest.get(slide, 0.0), patch.extent)
    for slide, patch in known:
        side = largest[slide]
        down, across = int(patch.y // side), int(patch.x // side)
        near = (
            other for dy, dx in product((-1, 0, 1), repeat=2) for other in by_cell[(*slide, down + dy, across + dx)]
        )
        shares = ((_share(patch, other), other) for other in near if other.placed.side != patch.placed.side)
        share, other = max(shares, key=lambda found: found[0], default=(0.0, patch))
        if share > 0:
            yield Leak(f"overlapping patches of one slide, {share:.0%} of the smaller", other.placed, patch.placed)
        by_cell[(*slide, down, across)].append(patch)


def _slide(placed: Placed, slides: Mapping[str, str]) -> tuple[str, str]:
    return slides[placed.dataset], placed.record.columns["slide"].strip()


def _patch(placed: Placed) -> _Patch | None:
    cells = [placed.record.columns.get(name, "") for name in ("x", "y", "extent")]
    try:
        x, y, extent = map(number, cells)
    except ValueError:
        return None
    known = extent > 0 and not any(map(is_missing, [placed.record.columns.get("slide", ""), *cells]))
    return _Patch(placed, x, y, extent) if known else None


def _share(one: _Patch, other: _Patch) -> float:
    """Of the smaller patch, that both show."""
    wide, high = (min(a + one.extent, b + other.extent) - max(a, b) for a, b in ((one.x, other.x), (one.y, other.y)))
    return max(wide, 0.0) * max(high, 0.0) / min(one.extent, other.extent) ** 2
