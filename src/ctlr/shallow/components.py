"""Principal components of images that have far more numbers than there are images.

Everything follows from the N x N matrix of scalar products between the centred images. The scores on all components are
the images themselves, turned: what is linear in the scores is linear in the voxels, with the same penalty. (Hastie &
Tibshirani 2004, Biostatistics 5, 329-340.)
"""

from __future__ import annotations

import math

import numpy as np
from scipy import linalg

from ctlr.data.store import ArrayStore
from ctlr.shallow.sample import Floats, Rows, Sample, in_blocks, pictures

__all__ = ["Components", "projected"]

_RANK = 1e-10
"""Components with less of the largest one's variance are rounding."""


class Components:
    """Principal components of a sample's images, in order of their variance.

    Args:
        sample: N images of P numbers each, read several times over and never held together.
        mirror: Average each image with its mirror image.
        most: How many components at most.

    Attributes:
        scores: (N, R) places of the images, R < N.
        mean: (P,) the mean image.
        norm: Root mean square of the centred images' lengths, over all components.
    """

    def __init__(self, sample: Sample, *, mirror: bool | str, most: int | None = None) -> None:
        self._sample, self._mirror = sample, mirror
        self._width = math.prod(sample.store.arrays.shape)
        self.mean, products = self._products()
        self.norm = math.sqrt(max(np.trace(products), 0.0) / len(products)) or 1.0
        values, vectors = linalg.eigh(products)
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = min(int(np.count_nonzero(values > _RANK * values[0])), most or len(values)) if values[0] > 0 else 0
        self._lengths, self._vectors = np.sqrt(values[:rank]), vectors[:, :rank]
        self.scores: Floats = self._vectors * self._lengths

    def in_voxels(self, weights: Floats) -> Floats:
        """(P, K) weights of the centred voxels from (R, K) weights of the scores."""
        blend = self._vectors @ (weights / self._lengths[:, None])
        blend -= blend.mean(axis=0)  # stands for centring the images
        out = np.zeros((self._width, weights.shape[1]))
        for part in in_blocks(self._sample.rows, self._width):
            out += self._read(part).T @ blend[part]
        return out

    def project(self, weights: Floats, store: ArrayStore, rows: Rows) -> Floats:
        """(N, K) values of such weights for other images."""
        return projected(store, rows, self.mean, weights, mirror=self._mirror)

    def _read(self, part: slice) -> Floats:
        images = pictures(self._sample.store, self._sample.rows[part], mirror=self._mirror)
        return images.reshape(len(images), self._width)

    def _products(self) -> tuple[Floats, Floats]:
        """The mean image, and scalar products of the centred ones."""
        parts = list(in_blocks(self._sample.rows, self._width))
        n = len(self._sample.rows)
        mean, products = np.zeros(self._width), np.empty((n, n))
        for index, part in enumerate(parts):
            first = self._read(part)
            mean += first.sum(axis=0) / n
            for other in parts[index:]:
                second = first if other is part else self._read(other)
                products[part, other] = first @ second.T
                products[other, part] = products[part, other].T
        centred = products - products.mean(axis=0)
        centred -= centred.mean(axis=1, keepdims=True)
        return mean, (centred + centred.T) / 2


def projected(store: ArrayStore, rows: Rows, mean: Floats, weights: Floats, *, mirror: bool | str) -> Floats:
    """(N, K) products of images, the mean image taken off, with (P, K) weights."""
    out = np.empty((len(rows), weights.shape[1]))
    for part in in_blocks(rows, len(mean)):
        images = pictures(store, rows[part], mirror=mirror).reshape(-1, len(mean))
        out[part] = (images - mean) @ weights
    return out
