from __future__ import annotations

import numpy as np
import pytest

from ctlr.report.bootstrap import Replicates, draw_replicates
from ctlr.report.weighted import Evaluate, weighted_metric


def errors(values: np.ndarray) -> list[Evaluate]:  # type: ignore[type-arg]
    """(K, S) absolute errors, one row a seed."""
    return [weighted_metric("mae", np.zeros(len(row)), row, np.arange(len(row))) for row in values]


def draw(values: np.ndarray, replicates: int = 2000) -> Replicates:  # type: ignore[type-arg]
    drawn = draw_replicates(errors(values), values.shape[1], np.random.default_rng(0), replicates, 0.95)
    assert drawn is not None
    return drawn


def coverage(n_seeds: int, seed_sd: float, subject_sd: float, both_sd: float, benchmarks: int = 400) -> float:
    """Share of simulated benchmarks of 60 subjects whose 95 % interval holds the true error of 100."""
    rng, held = np.random.default_rng(7), 0
    for _ in range(benchmarks):
        seeds, subjects = rng.normal(100, seed_sd, (n_seeds, 1)), rng.normal(0, subject_sd, 60)
        values = seeds + subjects + rng.normal(0, both_sd, (n_seeds, 60))
        low, high = draw(values, replicates=400).interval(0.95)
        held += low <= 100 <= high
    return held / benchmarks


@pytest.mark.parametrize(
    ("n_seeds", "spreads", "least", "most"),
    [
        (3, (0.0, 1.0, 0.3), 0.92, 0.98),  # subjects are all that varies
        (3, (0.1, 0.3, 1.0), 0.92, 0.99),  # seeds and subjects meet
        (3, (1.0, 0.3, 0.3), 0.88, 0.96),  # seeds are nearly all that varies
        (5, (1.0, 0.3, 0.3), 0.91, 0.98),
    ],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(
    n_seeds: int, spreads: tuple[float, float, float], least: float, most: float
) -> None:
    assert least <= coverage(n_seeds, *spreads) <= most


def test_with_one_seed_the_interval_is_that_of_the_mean_over_subjects() -> None:
    values = np.random.default_rng(1).normal(10, 2, (1, 400))
    drawn = draw(values)
    low, high = drawn.interval(0.95)
    standard_error = values.std(ddof=1) / 20
    assert drawn.mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.966 * standard_error, rel=0.06)  # 1.966: Student's t, 399 degrees


def test_with_seeds_alone_the_spread_is_that_of_a_mean_of_seeds() -> None:
    # Nothing varies between subjects; three seeds at 9, 10 and 11 have a standard error of 1 / sqrt(3).
    drawn = draw_replicates(errors(np.tile([[9.0], [10.0], [11.0]], 50)), 50, np.random.default_rng(0), 20_000, 0.95)
    assert drawn is not None
    stretch = 4.303 / 1.960  # Student's t at 2 degrees over the normal quantile
    assert drawn.values.std() == pytest.approx(stretch / np.sqrt(3), rel=0.02)


def test_identical_errors_leave_no_doubt() -> None:
    assert draw(np.full((3, 20), 4.0)).interval(0.95) == (4.0, 4.0)


def test_a_single_subject_leaves_nothing_to_resample() -> None:
    drawn = draw(np.array([[3.0], [5.0]]))
    assert drawn.mean == 4.0
    assert np.isnan(drawn.interval(0.95)).all()
    assert drawn.p() == 1.0


def test_a_metric_undefined_in_one_seed_has_no_mean() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    curves = [weighted_metric("r", truth, predicted, np.arange(3)) for predicted in (truth, np.ones(3))]
    assert draw_replicates(curves, 3, np.random.default_rng(0), 100, 0.95) is None


def test_replicates_without_a_class_are_left_out() -> None:
    shares = np.array([[0.2, 0.8], [0.6, 0.4], [0.7, 0.3], [0.3, 0.7]])
    curve = weighted_metric("roc_auc", np.array([1, 0, 0, 0]), shares, np.arange(4))
    drawn = draw_replicates([curve], 4, np.random.default_rng(0), 4000, 0.95)
    assert drawn is not None
    drawn_once = 1 - 0.75**4 - 0.25**4  # the one positive is drawn, and not alone
    assert len(drawn.values) / 4000 == pytest.approx(drawn_once, abs=0.03)


def test_large_test_sets_are_drawn_in_blocks_of_the_same_kind() -> None:
    values = np.random.default_rng(2).normal(10, 2, (1, 30_000))
    low, high = draw(values, replicates=200).interval(0.95)
    assert high - low == pytest.approx(2 * 1.96 * 2 / np.sqrt(30_000), rel=0.2)


@pytest.mark.parametrize(
    ("values", "p"),
    [
        (np.linspace(0.1, 1, 999), 2 / 1000),
        (np.linspace(-1, -0.1, 999), 2 / 1000),
        (np.append(np.full(949, 1.0), np.full(50, -1.0)), 2 * 51 / 1000),
        (np.zeros(999), 1.0),
    ],
)
def test_p_is_twice_the_share_beyond_zero(values: np.ndarray, p: float) -> None:  # type: ignore[type-arg]
    assert Replicates(mean=0.0, values=values).p() == pytest.approx(p)


def test_an_interval_needs_a_replicate_in_which_the_metric_is_defined() -> None:
    shares = np.array([[0.2, 0.8], [0.6, 0.4]])
    curve = weighted_metric("roc_auc", np.array([1, 0]), shares, np.arange(2))
    drawn = [draw_replicates([curve], 2, np.random.default_rng(seed), 1, 0.95) for seed in range(10)]
    empty = [d for d in drawn if d is not None and not len(d.values)]
    assert 0 < len(empty) < 10
    assert all(d.mean == 1.0 and np.isnan(d.interval(0.95)).all() for d in empty)
