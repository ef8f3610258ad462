import math

import numpy as np
import pytest

from ctlr.report.pairs.foretelling import chance_of_perfection, leave_one_out, rank_correlation


def correlate(promise: list[float], gains: list[float]):  # type: ignore[no-untyped-def]
    return rank_correlation(promise, gains, np.random.default_rng(0), replicates=2000, level=0.95)


def test_four_pairs_in_perfect_order_may_still_be_chance() -> None:
    found = correlate([1, 2, 3, 4], [0.1, 0.2, 0.4, 0.8])
    assert found.spearman == found.kendall == pytest.approx(1)
    assert found.p == pytest.approx(2 / 24)
    assert chance_of_perfection(4) == pytest.approx(1 / 12)
    assert (found.low, found.high) == (-1, 1)


def test_where_every_draw_of_pairs_has_one_order_there_is_no_interval() -> None:
    found = correlate([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert found.p == pytest.approx(2 / 120)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_coefficients_are_those_of_their_definitions() -> None:
    # Spearman: 1 - 6 * 2 / (4 * 15); Kendall: five of six pairs of pairs agree.
    found = correlate([1, 2, 3, 4], [1, 3, 2, 4])
    assert (found.spearman, found.kendall) == (pytest.approx(0.8), pytest.approx(2 / 3))
    # Of the 24 orders 4 have a coefficient of 0.8 or more, and as many of -0.8 or less.
    assert found.p == pytest.approx(8 / 24)


def test_many_pairs_in_order_are_no_chance() -> None:
    rng = np.random.default_rng(1)
    x = np.arange(20.0)
    found = correlate(list(x), list(x + rng.normal(scale=2, size=20)))
    assert found.p < 0.001
    assert 0.5 < found.low < found.spearman < found.high <= 1


def test_two_pairs_and_equal_scores_correlate_with_nothing() -> None:
    assert correlate([1, 2], [3, 4]) is None
    assert correlate([1, 1, 1], [3, 4, 5]) is None
    assert leave_one_out([1, 2], [3, 4]) is None


def test_a_line_through_the_others_foretells_a_line() -> None:
    found = leave_one_out([1, 2, 3, 5], [12, 14, 16, 20])
    assert found is not None
    assert found.predicted == pytest.approx([12, 14, 16, 20])
    assert found.error == pytest.approx(0, abs=1e-12)
    # The others' means are 50/3, 16, 46/3 and 14.
    assert found.error_of_mean == pytest.approx((14 / 3 + 2 + 2 / 3 + 6) / 4)
    assert found.better


def test_a_score_that_points_the_wrong_way_for_the_left_out_pair_is_worse_than_the_mean() -> None:
    found = leave_one_out([0, 1, 2], [0, 3, 0])
    assert found is not None
    # Through the last two the line falls, so their mean is said; the first two promise 6 at 2. Means: 1.5, 0, 1.5.
    assert found.predicted == pytest.approx([1.5, 0, 6])
    assert (found.error, found.error_of_mean) == (pytest.approx(3.5), pytest.approx(2))
    assert not found.better


def test_a_score_that_runs_against_its_promise_foretells_no_more_than_the_mean() -> None:
    found = leave_one_out([4, 3, 2, 1], [1, 2, 3, 4])
    assert found is not None
    assert found.predicted == pytest.approx(found.mean)
    assert not found.better


def test_equal_scores_of_the_others_foretell_their_mean() -> None:
    found = leave_one_out([7, 7, 7, 9], [1, 2, 3, 8])
    assert found is not None
    assert found.predicted[3] == pytest.approx(2)
