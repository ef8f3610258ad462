"""Features of images: numbers that depend on one image alone, computed once and kept.

Kept in the workspace under the arrays, the options that matter and the rows, so that a search over the other options
computes none of them again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ctlr.data.store import ArrayStore, ArrayWriter
from ctlr.shallow.boosting import coarse_means
from ctlr.shallow.families import FeaturesSpec
from ctlr.shallow.sample import Rows, in_blocks
from ctlr.specs import StoredArrays, fingerprint
from ctlr.workspace import Workspace

__all__ = ["Embedding", "FeatureStore", "Singles", "Span", "computed", "span_of"]

Singles = NDArray[np.float32]
Span = tuple[float, float]
"""Least and greatest intensity of images: the ends of their histograms."""

_RECIPE = 1
"""Part of what features are kept under; raised when a change of the code changes them."""
_FILE = "features.npy"
_MATTERS = {"histogram": ("bins",), "hog": ("cell", "orientations"), "lbp": ("cell", "points", "radius")}
_BY_SKIMAGE = ("hog", "lbp")
_UNBOUNDED = (-5.0, 5.0)
"""Of standardised images; what lies beyond counts at the ends."""
_GREYS = 255
"""The brightest of the greys in which patterns are read."""


class Embedding(Protocol):
    """A frozen network: (N, C, *S) images to (N, F) features, each of its own image alone."""

    @property
    def key(self) -> str:
        """Equal where features are."""

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Its weights."""

    def __call__(self, images: Singles) -> Singles:
        """Features of images."""


def span_of(arrays: StoredArrays) -> Span:
    """The intensities that stored images can have."""
    return (arrays.offset, arrays.offset + 255 * arrays.scale) if arrays.dtype == "uint8" else _UNBOUNDED


def computed(images: Singles, spec: FeaturesSpec, span: Span, embedding: Embedding | None = None) -> Singles:
    """(N, F) features of (N, C, *S) images as they are stored.

    Args:
        images: Of a shape that the options fit.
        spec: Which features.
        span: Of all images of the dataset.
        embedding: What `kind: network` means.
    """
    if not len(images):
        return np.empty((0, 0), np.float32)
    found: Any
    match spec.kind:
        case "pixels":
            found = images.reshape(len(images), -1)
        case "regions":
            found = coarse_means(images.astype(np.float64))
        case "histogram":
            found = _histograms(images, spec.bins, span)
        case "hog":
            found = np.stack([_gradients(image, spec) for image in images])
        case "lbp":
            found = np.stack([_patterns(image, spec) for image in images])
        case "network":
            assert embedding is not None
            found = embedding(images)
    return np.ascontiguousarray(found, np.float32)


def _histograms(images: Singles, bins: int, span: Span) -> Any:
    """(N, C * bins) shares of the pixels, by their intensity."""
    channels = images.reshape(images.shape[0] * images.shape[1], -1)
    low, high = span
    place = np.clip(((channels - low) / (high - low) * bins).astype(np.int64), 0, bins - 1)
    place += bins * np.arange(len(channels))[:, None]
    counts = np.bincount(place.ravel(), minlength=bins * len(channels))
    return counts.reshape(len(images), -1) / channels.shape[1]


def _gradients(image: Singles, spec: FeaturesSpec) -> Any:
    """Histograms of oriented gradients (Dalal & Triggs 2005, CVPR), blocks of 2 x 2 cells normalised together."""
    from skimage.feature import hog

    return hog(
        np.moveaxis(image, 0, -1), orientations=spec.orientations, pixels_per_cell=(spec.cell, spec.cell),
        cells_per_block=[min(2, side // spec.cell) for side in image.shape[1:]], channel_axis=-1,
    )  # fmt: skip


def _patterns(image: Singles, spec: FeaturesSpec) -> Any:
    """Shares of the uniform patterns (Ojala et al. 2002, PAMI 24, 971-987) in each cell; the last ones take the rest.

    Channels are averaged, and the greys stretched from the picture's darkest to its brightest.
    """
    from skimage.feature import local_binary_pattern

    grey = image.mean(axis=0)
    grey = ((grey - grey.min()) / (np.ptp(grey) or 1) * _GREYS).astype(np.uint8)
    codes: Any = local_binary_pattern(grey, spec.points, spec.radius, method="uniform")  # type: ignore[no-untyped-call]
    codes = codes.astype(np.int64)
    rows, columns = (np.minimum(np.arange(side) // spec.cell, side // spec.cell - 1) for side in codes.shape)
    cell = rows[:, None] * (columns[-1] + 1) + columns
    patterns, cells = spec.points + 2, int(cell[-1, -1]) + 1
    counts = np.bincount((cell * patterns + codes).ravel(), minlength=cells * patterns).reshape(cells, patterns)
    return (counts / counts.sum(axis=1, keepdims=True)).ravel()


@dataclass(frozen=True, eq=False)
class FeatureStore:
    """Features of stored rows, computed at most once.

    Attributes:
        workspace: Where they are kept; None keeps none.
        together: Rows, ascending, that are kept as one: trials ask for parts of them again and again.
        embedding: What `kind: network` means.
    """

    workspace: Workspace | None = None
    together: Rows | None = None
    embedding: Embedding | None = None

    def read(self, store: ArrayStore, rows: Rows, spec: FeaturesSpec) -> Singles:
        """(N, F) features of rows.

        Raises:
            LeakageError: A row is sealed.
        """
        points = len(store.arrays.shape) == 1  # of which some are asked for that are stored nowhere: a surface's
        if self.workspace is None or points or spec.kind == "pixels":  # reading pixels is as quick
            return self._computed(store, rows, spec)
        if shut := store.sealed.intersection(rows.tolist()):
            store.read(sorted(shut))  # raises, also where whoever may read them has left their features
        whole = self.together if self.together is not None and np.isin(rows, self.together).all() else np.unique(rows)
        return np.asarray(self._kept(self.workspace, store, whole, spec)[np.searchsorted(whole, rows)])

    def _kept(self, workspace: Workspace, store: ArrayStore, rows: Rows, spec: FeaturesSpec) -> Singles:
        options = [f"{name}={getattr(spec, name)}" for name in _MATTERS.get(spec.kind, ())]
        made_by = version("scikit-image") if spec.kind in _BY_SKIMAGE else ""
        if spec.kind == "network":
            assert self.embedding is not None
            made_by = self.embedding.key
        key = fingerprint(store.arrays.fingerprint, str(_RECIPE), spec.kind, made_by, *options, str(rows.tolist()))
        if not workspace.has("features", key):
            with workspace.exclusively("features", key):
                if not workspace.has("features", key):
                    found = self._computed(store, rows, spec)
                    with (
                        workspace.publish("features", key) as partial,
                        ArrayWriter(partial, found.shape[1:], "float32", _FILE) as file,
                    ):
                        file.extend(found)
        kept: Singles = np.load(workspace.folder("features", key) / _FILE, mmap_mode="r")
        return kept

    def _computed(self, store: ArrayStore, rows: Rows, spec: FeaturesSpec) -> Singles:
        span, width = span_of(store.arrays), math.prod(store.arrays.shape)
        parts = [computed(store.read(rows[part]), spec, span, self.embedding) for part in in_blocks(rows, width)]
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
