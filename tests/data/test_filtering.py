"""Signals are filtered as SciPy filters them, and resampled without aliases and without a shift."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from ctlr.data.kinds.signals.filtering import band_passed, settled

BAND = (0.5, 35.0)


def walk(rate: int, seconds: int = 40, channels: int = 3) -> NDArray[np.float32]:
    rng = np.random.default_rng(rate)
    return rng.standard_normal((channels, rate * seconds)).cumsum(1).astype(np.float32)


def by_scipy(values: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    sections = signal.butter(4, BAND, "bandpass", fs=rate, output="sos")
    return np.asarray(signal.sosfiltfilt(sections, values.astype(float), padlen=settled(BAND) * rate))


@pytest.mark.parametrize("rate", [75, 100, 250, 256, 1000])
def test_without_resampling_it_is_a_butterworth_filter_run_both_ways(rate: int) -> None:
    values = walk(rate)
    found, wanted = band_passed(values, Fraction(rate), rate, BAND), by_scipy(values, rate)
    np.testing.assert_allclose(found, wanted, atol=2e-3 * wanted.std())


@pytest.mark.parametrize("rate", [75, 100, 250, 256, 1000])
def test_resampled_it_is_what_scipys_polyphase_filter_makes_of_it(rate: int) -> None:
    values = walk(rate)
    found = band_passed(values, Fraction(rate), 50, BAND)
    wanted = signal.resample_poly(by_scipy(values, rate), 50, rate, axis=1)
    assert found.shape == wanted.shape == (3, 2000)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    ("hz", "kept"),
    [(0.1, 0.0), (0.5, 0.5), (3.0, 1.0), (10.0, 1.0), (20.0, 0.99), (27.0, 0.0), (45.0, 0.0), (60.0, 0.0)],
)
def test_a_sine_keeps_the_amplitude_that_the_band_gives_it(hz: float, kept: float) -> None:
    time = np.arange(250 * 60) / 250
    found = band_passed(np.sin(2 * np.pi * hz * time, dtype=np.float32)[None], Fraction(250), 50, BAND)[0, 500:-500]
    assert np.sqrt(2 * np.mean(found**2)) == pytest.approx(kept, abs=0.02)


@pytest.mark.parametrize("rate", [Fraction(250), Fraction(256), Fraction(500, 3), Fraction(40)])
def test_nothing_moves_in_time(rate: Fraction) -> None:
    time = np.arange(int(rate * 60)) / float(rate)
    found = band_passed(np.sin(2 * np.pi * 7 * time, dtype=np.float32)[None], rate, 50, (0.5, 15.0))[0]
    np.testing.assert_allclose(found[500:2500], np.sin(2 * np.pi * 7 * np.arange(3000) / 50)[500:2500], atol=0.01)


def test_a_part_with_its_surroundings_is_what_the_whole_has_there() -> None:
    values = walk(250, seconds=120)
    whole = band_passed(values, Fraction(250), 50, BAND)
    part = band_passed(values[:, 30 * 250 : 90 * 250], Fraction(250), 50, BAND)
    np.testing.assert_allclose(part[:, 500:-500], whole[:, 40 * 50 : 80 * 50], atol=2e-3 * whole.std())


def test_a_great_offset_does_not_cost_precision() -> None:
    values = walk(250)
    moved = band_passed(values + np.float32(20_000), Fraction(250), 50, BAND)
    found = band_passed(values, Fraction(250), 50, BAND)
    np.testing.assert_allclose(moved, found, atol=2e-3 * found.std())


@pytest.mark.parametrize("samples", [1, 7, 260])
def test_a_short_signal_has_its_length(samples: int) -> None:
    found = band_passed(np.ones((1, samples), np.float32), Fraction(256), 50, BAND)
    assert found.shape == (1, -(-samples * 50 // 256))
    assert np.isfinite(found).all()
