import numpy as np
from sklearn.datasets import load_digits

from ctlr.data.kinds.digits.reading import read_digits, textured
from ctlr.specs import DIGITS


def test_plain_digits_are_those_of_scikit_learn() -> None:
    levels, codes = load_digits(return_X_y=True)
    pixels, originals, read = read_digits("plain")
    assert np.abs(pixels.reshape(-1, 64) * (16 / 255) - levels).max() < 0.05
    np.testing.assert_array_equal(read, codes)
    np.testing.assert_array_equal(originals, pixels)
    assert np.bincount(codes).tolist() == list(DIGITS.values())


def test_textured_digits_are_the_same_ones_dark_on_bright() -> None:
    plain, _, codes = read_digits("plain")
    pixels, originals, same = read_digits("textured")
    assert pixels.shape == (1797, 32, 32)
    np.testing.assert_array_equal(originals, plain)
    np.testing.assert_array_equal(same, codes)
    ink = np.kron(plain, np.ones((1, 4, 4))) > 200
    ground = np.kron(plain, np.ones((1, 4, 4))) == 0
    assert pixels[ink].mean() < 0.5 * pixels[ground].mean()


def test_a_ground_is_drawn_for_each_picture_and_always_the_same() -> None:
    blank = np.zeros((8, 8), np.uint8)
    first, again, other = (textured(blank, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other.astype(int)).mean() > 10
    assert first.min() >= 0.6 * 255 - 1
    np.testing.assert_array_equal(read_digits("textured")[0][:5], read_digits("textured")[0][:5])
