"""Estimates of the Bayes error, on sets of which it is known."""

from __future__ import annotations

import numpy as np
import pytest

from ctlr.data.kinds.points.generating import bayes_error, draw
from ctlr.shallow.bayes_error import SHARES, assess, closed_loop, estimates, noisy, under_noise

SETS = ("gaussians", "toroid", "yin_yang", "pinwheel", "blurred_cat")


@pytest.mark.parametrize("name", SETS)
def test_the_known_error_is_found_and_its_growth_with_wrong_labels(name: str) -> None:
    points, codes = draw(name, "test", 6000, 0)
    classes = int(codes.max()) + 1
    rng = np.random.default_rng(1)
    labellings = [codes, *(noisy(codes, share, classes, rng) for share in SHARES)]
    for share, (nearest, posterior) in zip((0, *SHARES), estimates(points, labellings, classes), strict=True):
        due = under_noise(bayes_error(name, "test"), share, classes)
        assert nearest.low - 0.01 <= due <= nearest.high + 0.01
        assert posterior.value == pytest.approx(due, abs=0.035)
        if not share:
            assert posterior.value == pytest.approx(due, abs=0.015)
            assert posterior.low <= due <= posterior.high


def test_noise_takes_the_error_on_a_line_to_that_of_guessing() -> None:
    assert under_noise(0.1, 0, 4) == pytest.approx(0.1)
    assert under_noise(0.1, 0.5, 4) == pytest.approx((0.1 + 0.75) / 2)
    assert under_noise(0.1, 1, 4) == pytest.approx(0.75)
    codes = np.zeros(50_000, np.int64)
    assert (noisy(codes, 0.4, 4, np.random.default_rng(0)) != 0).mean() == pytest.approx(0.3, abs=0.01)


def test_a_closed_loop_stays_below_what_is_possible_and_hears_no_noise() -> None:
    points, codes = draw("blurred_cat", "test", 3000, 0)
    for labels in (codes, noisy(codes, 0.5, 2, np.random.default_rng(0))):
        found = closed_loop(points, labels)
        assert found["random_forest"] < 0.01
        assert found["nearest"] < under_noise(bayes_error("blurred_cat", "test"), 0.5, 2)
    assert closed_loop(points, codes)["nearest"] < bayes_error("blurred_cat", "test") - 0.02


def test_the_nearest_neighbours_bounds_are_cover_and_harts() -> None:
    # On a line of pairs, a pair's rows are each other's neighbours: four pairs of ten disagree.
    places = np.repeat(np.arange(500) * 10.0, 2)[:, None] + np.tile([0, 1.0], 500)[:, None]
    codes = np.repeat(np.arange(500) % 3, 2)
    codes[1 : 2 * 200 : 2] = (codes[1 : 2 * 200 : 2] + 1) % 3
    nearest = estimates(places, [codes], 3)[0][0]
    assert nearest.value == pytest.approx(2 / 3 * (1 - (1 - 1.5 * 0.4) ** 0.5))
    assert nearest.high == pytest.approx(0.4 + 2 * (0.4 * 0.6 / 1000) ** 0.5)


def test_an_estimate_that_can_be_believed_has_no_doubts() -> None:
    points, codes = draw("toroid", "test", 6000, 0)
    found = assess(points, codes, 2)
    assert not found.worthless
    assert found.closed_loop.keys() == {"nearest", "random_forest"}
    assert [check.share for check in found.under_noise] == list(SHARES)
    guessing = found.under_noise[-1]
    assert guessing.due == 0.5
    assert guessing.posterior == pytest.approx(0.5, abs=0.03)
    assert guessing.closed_loop["nearest"] < 0.4
    assert guessing.closed_loop["random_forest"] < 0.05
    assert assess(points, codes, 2) == found


def test_features_that_tell_nothing_make_the_estimate_worthless() -> None:
    points, codes = draw("toroid", "test", 1500, 0)
    clouded = np.hstack([points, np.random.default_rng(0).standard_normal((1500, 60))])
    found = assess(clouded, codes, 2)
    assert found.posterior.value > 3 * bayes_error("toroid", "test")
    assert any("a random forest errs in" in doubt for doubt in found.doubts)
    assert found.worthless


def test_rows_that_stand_there_twice_and_rare_classes_are_told() -> None:
    points, codes = draw("toroid", "test", 1000, 0)
    twice = assess(np.repeat(points, 2, axis=0), np.repeat(codes, 2), 2)
    assert any("stand there twice" in doubt for doubt in twice.doubts)
    rare = assess(points, np.where(np.arange(1000) < 7, 2, codes), 3)
    assert any("a class has 7 rows, fewer than 30" in doubt for doubt in rare.doubts)
