"""Put the values of one image on a common scale, and into few bits."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import DataError
from ctlr.specs import Preprocessing, PreprocessSpec

__all__ = ["above_background", "decode", "decoding", "encode", "foreground", "normalise", "spread", "value_range"]

_UINT8_RANGE = {"zscore": (-4.0, 4.0), "percentile": (0.0, 1.0), "none": (0.0, 1.0)}
_OUTLIER = 10.0  # standard deviations at which z-scores are cut
_RANKED = 2**13  # values that are enough for percentiles


def foreground(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values above a tenth of the robust range (2nd to 98th percentile): the head without the air, 1-D.

    Percentiles, here and below, are those of every n-th value, 2^13 or more of them.
    """
    return values[above_background(values)]


def above_background(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where values are the foreground's."""
    low, high = spread(values, 2, 98)
    return np.asarray(values > low + np.float32(0.1) * (high - low))


def normalise(
    values: NDArray[np.float32], how: Literal["zscore", "percentile", "none"], reference: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Scale an image by what its reference voxels hold.

    Args:
        values: The image, any shape.
        how: `zscore` subtracts the mean and divides by the standard deviation of the reference, both taken after
            its values were cut at their 1st and 99th percentile, and cuts the result at -10 and 10;
            `percentile` maps those percentiles onto 0 and 1 and cuts what lies beyond; `none` changes nothing.
        reference: Values that set the scale, one at least: the brain's, or the whole picture's.

    Raises:
        DataError: The reference is constant. The caller names the file.
    """
    if how == "none":
        return values
    low, high = spread(reference, 1, 99)
    if not high > low:
        raise DataError(f"the image is empty: where it is normalised every value is {low:g}. Export it again.")
    if how == "percentile":
        return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)
    core = np.clip(reference, low, high)
    mean = core.mean(dtype=np.float64)
    scores = values - np.float32(mean)
    scores *= np.float32(1 / core.std(dtype=np.float64, mean=mean))
    return np.clip(scores, -_OUTLIER, _OUTLIER, out=scores)


def encode(values: NDArray[np.float32], options: PreprocessSpec) -> NDArray[Any]:
    """Turn an image into the numbers that are stored.

    Raises:
        DataError: Values that were not normalised do not fit. The caller names the file.
    """
    low, high = value_range(options)
    if options.normalise == "none" and not (low <= values.min() and values.max() <= high):
        raise DataError(
            f"with `normalise: none` a {options.dtype} store holds {low:g} to {high:g}; the values run from "
            f"{values.min():g} to {values.max():g}. Choose zscore or percentile."
        )
    if options.dtype == "float16":
        return values.astype(np.float16)
    scale, offset = decoding(options)
    steps = (np.clip(values, low, high) - np.float32(offset)) / np.float32(scale)
    return np.asarray(np.rint(steps), np.uint8)


def decode(stored: NDArray[Any], options: PreprocessSpec) -> NDArray[np.float32]:
    """Turn what is stored back into an image, as `ctlr.data.store.ArrayStore` does."""
    scale, offset = decoding(options)
    return stored.astype(np.float32) * np.float32(scale) + np.float32(offset)


def value_range(options: PreprocessSpec) -> tuple[float, float]:
    """(low, high) of what normalisation and the store allow."""
    if options.dtype == "uint8":
        return _UINT8_RANGE[options.normalise]
    largest = float(np.finfo(np.float16).max)
    return {"zscore": (-_OUTLIER, _OUTLIER), "percentile": (0.0, 1.0), "none": (-largest, largest)}[options.normalise]


def decoding(options: Preprocessing) -> tuple[float, float]:
    """(scale, offset) with value = stored * scale + offset."""
    if not isinstance(options, PreprocessSpec) or options.dtype == "float16":
        return 1.0, 0.0
    low, high = _UINT8_RANGE[options.normalise]
    return (high - low) / 255, low


def spread(values: NDArray[np.float32], low: float, high: float) -> tuple[np.float32, np.float32]:
    """Two percentiles; the extremes where they coincide, as in an image that is nearly all background."""
    step = (values.size // _RANKED) | 1  # odd: it does not fall in step with sides that are powers of two
    ranked = np.sort(values.reshape(-1)[::step])
    below, above = (ranked[round(share / 100 * (len(ranked) - 1))] for share in (low, high))
    return (below, above) if above > below else (values.min(), values.max())
