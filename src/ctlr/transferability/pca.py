"""Principal components of more images than fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from torch import Tensor

from ctlr.errors import ConfigError, DataError

__all__ = ["COMPONENTS", "Components", "Source", "principal_components"]

COMPONENTS = 148
"""How many are taken unless a number or a share of variance is asked for."""

_BLOCK_BYTES = 2**28
"""Of a block of rows."""
_HELD = 4
"""Blocks in memory at once, besides the two that are read and centred."""
_SMALL = 8192
"""Images or features up to which all products between them are kept (256 MiB): the components are then exact."""
_NO_VARIANCE = 1e-5
"""Share of the largest variance below which float32 products say nothing of a direction."""
_PASSES = 60
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Source:
    """Rows that can be read again and again.

    Attributes:
        rows: N.
        width: D.
        read: (start, stop) -> (stop - start, D) float32.
    """

    rows: int
    width: int
    read: Callable[[int, int], NDArray[np.float32]]

    @property
    def block(self) -> int:
        """Rows of a block."""
        return max(1, _BLOCK_BYTES // (4 * self.width))

    def blocks(self, stop: int | None = None) -> Iterator[tuple[slice, Tensor]]:
        """All rows, or those before `stop`, in pieces of bounded size."""
        size = self.block
        last = self.rows if stop is None else stop
        for start in range(0, last, size):
            end = min(last, start + size)
            yield slice(start, end), torch.from_numpy(np.ascontiguousarray(self.read(start, end), np.float32))


@dataclass(frozen=True)
class Components:
    """Axes of largest variance.

    Attributes:
        mean: (D,).
        axes: (K, D), orthonormal rows; the entry of largest size of each is positive.
        variance: (K,) along each axis, descending.
        total_variance: Over all axes.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variance: NDArray[np.float64]
    total_variance: float

    @property
    def explained(self) -> NDArray[np.float64]:
        """(K,) share of the variance along each axis."""
        return self.variance / self.total_variance

    def project(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) to (N, K)."""
        return np.asarray((points - self.mean) @ self.axes.T, np.float32)


def principal_components(source: Source, *, n: int = COMPONENTS, share: float | None = None) -> Components:
    """Principal components of all rows together.

    Where images or features are few, all products between them are formed and decomposed; else a subspace is iterated
    over passes through the rows until it stands still (Halko, Martinsson & Tropp 2011, alg. 4.4). Memory is bounded
    either way, whatever the number of rows.

    Args:
        source: The rows.
        n: Components.
        share: Of the variance in (0, 1), instead of `n`: as few components as hold it, at most `n` of them being
            looked at where neither rows nor features are few.

    Raises:
        ConfigError: More components than rows - 1 or features.
        DataError: A value is not finite, or all rows are equal.
    """
    most = min(source.rows - 1, source.width)
    if share is None and not 1 <= n <= most:
        raise ConfigError(
            f"{n} components need {n + 1} images of {n} features at least; got {source.rows} of {source.width}. Ask "
            f"for {most} or fewer."
        )
    if share is not None and not 0 < share < 1:
        raise ConfigError(f"a share of variance lies between 0 and 1; got {share}.")
    mean, total = _moments(source)
    if min(source.rows, source.width) <= _SMALL:
        values, axes = _exact(source, mean, most if share is not None else n, share, total)
    else:
        values, axes = _iterated(source, mean, min(n, most))
        values, axes = _enough(values, axes, share, total)
    signs = torch.sign(axes.gather(1, axes.abs().argmax(1, keepdim=True)))
    return Components(mean.numpy(), (axes * signs).numpy(), values, total)


def _moments(source: Source) -> tuple[Tensor, float]:
    """Mean, and variance over all axes, in one pass around the first row, which differs from equal rows by nothing."""
    first = torch.from_numpy(np.ascontiguousarray(source.read(0, 1), np.float32))[0]
    total, squares = torch.zeros(source.width, dtype=torch.float64), 0.0
    for _, away in _centred(source, first):
        sums = torch.ones(len(away)) @ away
        norms = torch.linalg.vector_norm(away, dim=1).double()
        if not bool(torch.isfinite(sums).all() and torch.isfinite(norms).all()):
            raise DataError("Images must hold finite numbers; some are not. Leave those images out.")
        total += sums
        squares += float(norms.square().sum())
    shift = total / source.rows
    squares -= source.rows * float(shift.square().sum())
    if squares <= 0:
        raise DataError("All images are equal: they have no principal components. Check the dataset.")
    return (first + shift).float(), squares / (source.rows - 1)


def _exact(
    source: Source, mean: Tensor, most: int, share: float | None, total: float
) -> tuple[NDArray[np.float64], Tensor]:
    """By eigenvectors of the products between images, or between features, whichever are fewer."""
    wide = source.width > source.rows
    products = _gram(source, mean) if wide else _scatter(source, mean)
    size = len(products)
    found, vectors = linalg.eigh(
        products.numpy(), subset_by_index=[size - most, size - 1], overwrite_a=True, check_finite=False
    )
    values = np.maximum(found[::-1], 0) / (source.rows - 1)
    keep = len(values) if share is None else 1 + int(np.searchsorted(np.cumsum(values) / total, share))
    values, basis = values[:keep], torch.from_numpy(vectors[:, ::-1][:, :keep].T.copy()).float()
    if not wide:
        return values, basis
    axes = torch.zeros(len(basis), source.width)
    for rows, centred in _centred(source, mean):
        axes.addmm_(basis[:, rows], centred)
    axes = torch.nn.functional.normalize(axes, dim=1)
    if values[-1] < _NO_VARIANCE * values[0]:
        # Images that coincide leave directions without variance: what rounding made of them need not be orthogonal.
        axes = torch.linalg.qr(axes.T).Q.T
    return values, axes


def _gram(source: Source, mean: Tensor) -> Tensor:
    """(N, N) products between centred images; some blocks are held, since reading takes as long as multiplying."""
    gram = torch.empty(source.rows, source.rows)

    def put(rows: slice, columns: slice, part: Tensor) -> None:
        gram[rows, columns], gram[columns, rows] = part, part.T

    size = min(source.rows, source.block)
    places = [torch.empty(size, source.width) for _ in range(min(_HELD, -(-source.rows // size)))]
    blocks = source.blocks()
    while held := [(rows, _less(block, mean, place)) for place, (rows, block) in zip(places, blocks, strict=False)]:
        for number, (rows, centred) in enumerate(held):
            for columns, other in held[: number + 1]:
                put(rows, columns, centred @ other.T)
        for columns, other in _centred(source, mean, stop=held[0][0].start):
            for rows, centred in held:
                put(rows, columns, centred @ other.T)
    return gram


def _centred(source: Source, mean: Tensor, stop: int | None = None) -> Iterator[tuple[slice, Tensor]]:
    """Blocks less a row; each stays as it is until the next one is asked for."""
    place: Tensor | None = None
    for rows, block in source.blocks(stop):
        place = torch.empty_like(block) if place is None else place
        yield rows, _less(block, mean, place)


def _less(block: Tensor, mean: Tensor, place: Tensor) -> Tensor:
    """A block less a row, in memory that was used before: fresh pages take ten times as long as the subtraction."""
    return torch.sub(block, mean, out=place[: len(block)])


def _scatter(source: Source, mean: Tensor) -> Tensor:
    """(D, D) products between centred features."""
    scatter = torch.zeros(source.width, source.width, dtype=torch.float64)
    for _, centred in _centred(source, mean):
        scatter += (centred.T @ centred).double()
    return scatter


def _iterated(source: Source, mean: Tensor, n: int) -> tuple[NDArray[np.float64], Tensor]:
    """By subspace iteration with Rayleigh-Ritz steps, twice as wide as asked for."""
    width = min(2 * n + 10, source.width, source.rows - 1)
    basis = torch.linalg.qr(torch.randn(source.width, width, generator=torch.Generator().manual_seed(0))).Q
    before = np.zeros(n)
    for _ in range(_PASSES):
        image = torch.zeros(source.width, width)
        for _, centred in _centred(source, mean):
            image.addmm_(centred.T, centred @ basis)
        small = (basis.T @ image).double()
        found, turn = torch.linalg.eigh((small + small.T) / 2)
        values = found.flip(0)[:n].clamp(min=0).numpy() / (source.rows - 1)
        ritz = basis @ turn.flip(1)[:, :n].float()
        if np.abs(values - before).max() <= _TOLERANCE * values[0]:
            break
        before = values
        basis = torch.linalg.qr(image).Q
    return values, ritz.T.contiguous()


def _enough(
    values: NDArray[np.float64], axes: Tensor, share: float | None, total: float
) -> tuple[NDArray[np.float64], Tensor]:
    if share is None:
        return values, axes
    keep = 1 + int(np.searchsorted(np.cumsum(values) / total, share))
    return values[:keep], axes[:keep]
