"""What a classifier says of the plane: its class on a grid, and some of the points that it was taught and tested on."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.data.store import ArrayStore
from ctlr.data.targets import Targets
from ctlr.specs import StoredArrays
from ctlr.workspace import write_aside

__all__ = ["Places", "has_surface", "write_shares", "write_surface"]

_LINES = 120
"""Of the grid along each axis."""
_SHOWN = 1000
"""Points of a side that are kept."""
_MARGIN = 0.08
"""Of the range, on each end."""
_ALIKE = 3
"""Axes whose ranges differ by less have one scale."""

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def has_surface(arrays: StoredArrays, targets: Targets) -> bool:
    """Whether a decision can be drawn: two features, and so many classes that a byte counts them."""
    return arrays.shape == (2,) and 0 < len(targets.classes) < 256


def write_surface(
    path: Path,
    store: ArrayStore,
    targets: Targets,
    rows: Mapping[str, Rows],
    predict: Callable[[ArrayStore, Rows], Floats],
) -> None:
    """Predict a grid and keep it with points drawn at random, the same every time.

    The file holds `x` and `y` (G,), `codes` (G, G) of the predicted class where they cross, and for each side
    `<side>_points` (n, 2) and `<side>_codes` (n,), n at most 1,000.

    Args:
        path: An .npz to write.
        store: Of points in the plane.
        targets: By row.
        rows: Of each side.
        predict: (N, K) probabilities of rows of a store.
    """
    rng = np.random.default_rng(0)
    drawn = {side: np.sort(rng.permutation(of)[:_SHOWN]) for side, of in rows.items() if len(of)}
    shown = {side: store.read(of) for side, of in drawn.items()}
    x, y = _axes(np.concatenate(list(shown.values())).astype(np.float64))
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    shares = predict(Places(store.arrays, places), np.arange(len(places)))
    kept: dict[str, npt.NDArray[Any]] = {
        "x": x, "y": y, "codes": shares.argmax(axis=1).astype(np.uint8).reshape(len(y), len(x))
    }  # fmt: skip
    for side, points in shown.items():
        kept |= {f"{side}_points": points, f"{side}_codes": targets.values[drawn[side]].astype(np.uint8)}
    file = io.BytesIO()
    np.savez_compressed(file, **kept)  # type: ignore[arg-type]
    write_aside(path, file.getvalue())


def write_shares(path: Path, points: Floats, predict: Callable[[npt.NDArray[np.float32]], Floats], epoch: int) -> None:
    """Predict a grid around points and keep it: `x` and `y` (G,), `shares` (G, G, K) float16 and `epoch`.

    Args:
        path: An .npz to write.
        points: (N, 2) that it is laid around.
        predict: (N, K) probabilities at (N, 2) places.
        epoch: That has been learned.
    """
    x, y = _axes(points)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    shares = predict(places).reshape(len(y), len(x), -1).astype(np.float16)
    file = io.BytesIO()
    np.savez_compressed(file, x=x, y=y, shares=shares, epoch=epoch)
    write_aside(path, file.getvalue())


def _axes(points: Floats) -> tuple[Floats, Floats]:
    """Lines over nearly all of the points: a far one would leave no room for the others."""
    low, high = np.quantile(points, (0.005, 0.995), axis=0)
    span = np.maximum(high - low, 1e-6 * np.maximum(1, np.abs(high)))
    if span.max() < _ALIKE * span.min():
        span = np.full(2, span.max())
    middle, half = (low + high) / 2, (0.5 + _MARGIN) * span
    x, y = (np.linspace(middle[axis] - half[axis], middle[axis] + half[axis], _LINES) for axis in (0, 1))
    return x, y


class Places(ArrayStore):
    """Rows that are in memory: nothing of them is stored."""

    def __init__(self, like: StoredArrays, values: npt.NDArray[np.float32]) -> None:
        self.arrays = like.model_copy(update={"rows": len(values)})
        self._values = values

    def read(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
        """Those rows."""
        return self._values[np.asarray(rows, np.intp)]
