"""Bring the channels of a signal to a common scale, each by itself."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import DataError

__all__ = ["scaled"]

_OUTLIER = 10.0
_NORMAL = 1.349
"""Interquartile range of the standard normal distribution."""


def scaled(
    values: NDArray[np.float32], how: Literal["robust", "none"], dtype: str, names: list[str]
) -> NDArray[np.floating]:
    """Scale a signal, and store it in few bits.

    Args:
        values: (C, T), finite.
        how: `robust`: less the median, over the interquartile range / 1.349, or over the standard deviation where half
            of the values or more are the same; cut at -10 and 10. `none`: as it is.
        dtype: float16 or float32.
        names: Of the channels.

    Raises:
        DataError: A channel is constant, or holds values beyond the store. The caller names the file.
    """
    if how == "robust":
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=1, keepdims=True)
        spread = np.where(high > low, (high - low) / _NORMAL, values.std(axis=1, keepdims=True))
        flat = np.flatnonzero(np.ptp(values, axis=1) == 0)
        if len(flat):
            raise DataError(
                f"a channel must vary; every value is {values[flat[0], 0]:.6g}. Check its electrodes, or leave it out.",
                place=names[flat[0]],
            )
        values = np.clip((values - middle) / spread, -_OUTLIER, _OUTLIER)
    largest = float(np.abs(values).max())
    if largest > np.finfo(dtype).max:
        raise DataError(f"a {dtype} store holds up to 65504; got {largest:g}. Choose `normalise: robust` or float32.")
    return np.asarray(values, np.dtype(dtype))
