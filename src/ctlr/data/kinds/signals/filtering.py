"""Band-pass without a shift in time, and resampling, in one Fourier transform a block.

The response is that of a Butterworth filter of order 4 run forwards and backwards (`scipy.signal.sosfiltfilt`), times a
raised cosine that keeps the new rate free of aliases: what SciPy does in two passes over every sample is one product.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

__all__ = ["band_passed", "settled"]


_ORDER = 4
_PASSED = 0.9
"""Share of the band below half the new rate that passes unchanged."""


def band_passed(
    values: NDArray[np.float32],
    rate: Fraction,
    new_rate: int,
    band: tuple[float, float],
    ends: tuple[bool, bool] = (True, True),
) -> NDArray[np.float32]:
    """Filter signals, and sample them at another rate.

    An end is continued until the filter has settled, turned about its last value. Sample k of the result stands at the
    time of sample k * rate / new_rate.

    Args:
        values: (C, T).
        rate: Samples a second.
        new_rate: Of the result.
        band: Hz, from and to; the amplitude there is halved.
        ends: Whether the signals begin and end there. Where they go on, the result is not to be used until the filter
            has settled.

    Returns:
        (C, ceil(T * new_rate / rate)).
    """
    ratio, margin = new_rate / rate, int(settled(band) * rate)
    wanted = -(-values.shape[1] * ratio.numerator // ratio.denominator)
    # A whole number of new samples goes before the first, and into the whole, which stands for both in time.
    unit, samples = ratio.denominator, values.shape[1]
    before = -(-margin // unit) * unit if ends[0] else 0
    after = margin if ends[1] else 0
    length = scipy.fft.next_fast_len(-(-(before + samples + after) // unit), real=True) * unit
    padded = np.empty((len(values), length), np.float32)
    inside = padded[:, before : before + samples]
    np.subtract(values, values.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32), out=inside)
    padded[:, :before] = _continued(inside[:, ::-1], before)[:, ::-1]
    padded[:, before + samples :] = _continued(inside, length - before - samples)
    new_length = length // unit * ratio.numerator
    spectrum = scipy.fft.rfft(padded, axis=1)[:, : min(length, new_length) // 2 + 1]
    spectrum *= _gain(length, float(rate), new_rate, band)[: spectrum.shape[1]]
    found = scipy.fft.irfft(spectrum, n=new_length, axis=1)
    begin = before // unit * ratio.numerator
    return np.asarray(found[:, begin : begin + wanted] * np.float32(ratio), np.float32)


def _continued(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """What follows the end of signals, turned about their last values: (C, count)."""
    last = values[:, -1 - count :]
    return np.pad(last, ((0, 0), (0, count)), mode="reflect", reflect_type="odd")[:, last.shape[1] :]


def settled(band: tuple[float, float]) -> int:
    """Seconds beyond which a sample has less than a hundred thousandth of a share in another one."""
    return ceil(5 / band[0])


@lru_cache(8)
def _gain(length: int, rate: float, new_rate: int, band: tuple[float, float]) -> NDArray[np.float32]:
    """What becomes of the amplitude of each frequency of a transform of so many samples: (length // 2 + 1,)."""
    frequencies = scipy.fft.rfftfreq(length, 1 / rate)
    sections = scipy.signal.butter(_ORDER, band, "bandpass", fs=rate, output="sos")
    _, response = scipy.signal.freqz_sos(sections, frequencies, fs=rate)
    half = new_rate / 2
    if new_rate < rate:
        beyond = np.clip((frequencies / half - _PASSED) / (1 - _PASSED), 0, 1)
        response = response * np.sqrt(0.5 + 0.5 * np.cos(np.pi * beyond))
    return np.asarray(np.abs(response) ** 2, np.float32)
