from __future__ import annotations

import numpy as np
import pytest

from ctlr.data.normalise import decoding, encode, foreground, normalise
from ctlr.errors import DataError
from ctlr.specs import PreprocessSpec


def _brain() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(0, 5, (40, 40, 40))).astype(np.float32)
    inside = np.zeros(values.shape, bool)
    inside[8:32, 8:32, 8:32] = True
    values[inside] = rng.normal(500, 50, inside.sum())
    return values, inside


def test_the_foreground_is_the_head_without_the_air() -> None:
    values, inside = _brain()
    assert foreground(values).size == inside.sum()
    assert foreground(values).min() > 200


def test_zscores_are_those_of_the_brain() -> None:
    values, inside = _brain()
    scores = normalise(values, "zscore", foreground(values))
    assert scores[inside].mean() == pytest.approx(0, abs=0.02)
    assert scores[inside].std() == pytest.approx(
        1.03, abs=0.03
    )  # 1 / sd of a normal cut at its 1st and 99th percentile
    np.testing.assert_allclose(scores, normalise(values, "zscore", values[inside]), atol=1e-5)


def test_a_spike_changes_no_other_voxel_much() -> None:
    values, _ = _brain()
    spiked = values.copy()
    spiked[20, 20, 20] = 1e9
    scores = normalise(spiked, "zscore", foreground(spiked))
    assert scores[20, 20, 20] == 10
    scores[20, 20, 20] = normalise(values, "zscore", foreground(values))[20, 20, 20]
    np.testing.assert_allclose(scores, normalise(values, "zscore", foreground(values)), atol=0.02)


def test_gain_and_offset_of_the_scanner_are_taken_out() -> None:
    values, _ = _brain()
    for how in ("zscore", "percentile"):
        plain = normalise(values, how, foreground(values))
        np.testing.assert_allclose(normalise(3 * values + 70, how, foreground(3 * values + 70)), plain, atol=1e-3)


def test_percentiles_become_zero_and_one() -> None:
    values = np.arange(1001, dtype=np.float32)
    scaled = normalise(values, "percentile", values)
    assert scaled[[0, 10, 500, 990, 1000]] == pytest.approx([0, 0, 0.5, 1, 1])
    assert normalise(values, "none", values) is values


def test_an_image_that_is_nearly_all_background_is_still_scaled() -> None:
    values = np.zeros((32, 32, 32), np.float32)
    values[16, 16, 16:20] = [1, 2, 3, 4]
    assert np.isfinite(normalise(values, "zscore", foreground(values))).all()


def test_a_constant_reference_is_refused() -> None:
    values, _ = _brain()
    with pytest.raises(DataError, match="every value is 3"):
        normalise(values, "zscore", np.full(9, 3, np.float32))


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
@pytest.mark.parametrize("how", ["zscore", "percentile", "none"])
def test_what_is_stored_decodes_to_what_was_meant(how: str, dtype: str) -> None:
    options = PreprocessSpec(normalise=how, dtype=dtype)
    values = np.linspace(-3.9 if how == "zscore" else 0, 3.9 if how == "zscore" else 1, 1000, dtype=np.float32)
    stored = encode(values, options)
    scale, offset = decoding(options)
    assert stored.dtype == dtype
    step = 8 / 255 if how == "zscore" else 1 / 255
    np.testing.assert_allclose(
        stored * np.float32(scale) + offset, values, atol=step / 2 + 1e-6 if dtype == "uint8" else 2e-3
    )


def test_eight_bits_cut_at_four_standard_deviations() -> None:
    stored = encode(np.array([-10, -4, 4, 10], np.float32), PreprocessSpec(dtype="uint8"))
    assert stored.tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 4095.0), ("uint8", -0.5), ("float16", 70000.0)])
def test_raw_values_that_do_not_fit_are_refused(dtype: str, value: float) -> None:
    with pytest.raises(DataError, match=r"with `normalise: none` a .* Choose zscore or percentile"):
        encode(np.array([0, value], np.float32), PreprocessSpec(normalise="none", dtype=dtype))
