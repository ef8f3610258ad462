from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctlr.report.statistics.variance import (
    VarianceParts,
    ends_inside,
    moderated,
    variance_parts,
)
from ctlr.report.statistics.weighted import weighted_metric

Floats = NDArray[np.float64]


def parts_of(errors: Floats) -> VarianceParts:
    """Of the mean of (K, S) absolute errors."""
    n_seeds, n_subjects = errors.shape
    curves = [weighted_metric("mae", np.zeros(n_subjects), row, np.arange(n_subjects)) for row in errors]
    left_out = np.stack([curve.without_each() for curve in curves])
    subjects, seeds, shared = (float(part) for part in variance_parts(errors.mean(axis=1), left_out))
    return VarianceParts(subjects=subjects, seeds=seeds, shared=shared, n_subjects=n_subjects, n_seeds=n_seeds)


PLAIN = VarianceParts(subjects=0.09, seeds=0.16, shared=0.04, n_subjects=100, n_seeds=4)


# ---------------------------------------------------------------- parts


def test_with_one_seed_the_standard_error_is_that_of_the_mean_over_subjects() -> None:
    errors = np.random.default_rng(1).normal(10, 2, (1, 400))
    parts = parts_of(errors)
    assert parts.se == pytest.approx(errors.std(ddof=1) / 20)
    assert parts.half_width(0.95) == pytest.approx(1.9659 * parts.se * np.sqrt(1 + 6 / 400), rel=1e-4)  # t of 399


def test_with_seeds_alone_the_standard_error_is_that_of_a_mean_of_seeds() -> None:
    # Nothing varies between subjects; seeds at 9, 10 and 11.
    parts = parts_of(np.tile([[9.0], [10.0], [11.0]], 50))
    assert (parts.seeds, parts.subjects, parts.shared) == pytest.approx((1 / 3, 0, 0))
    lent = replace(parts, of_others=1 / 3, freedom_of_others=2)
    assert lent.half_width(0.95) == pytest.approx(2.7764 * np.sqrt(1 / 3), rel=1e-4)  # Student's t of 4


def test_what_is_each_predictions_own_is_in_both_parts_and_counted_once() -> None:
    drawn = [parts_of(np.random.default_rng(i).normal(100, 3, (5, 40))) for i in range(200)]
    mean = {name: np.mean([getattr(each, name) for each in drawn]) for name in ("subjects", "seeds", "shared")}
    assert mean == pytest.approx(dict.fromkeys(mean, 9 / 200), rel=0.1)
    assert np.mean([each.of_subjects_alone for each in drawn]) < 0.3 * 9 / 200


def test_a_quarter_of_a_million_subjects_leave_one_by_one() -> None:  # a matrix of weights would need 500 GB
    values = np.random.default_rng(2).normal(10, 2, 250_000)
    curve = weighted_metric("mae", np.zeros(250_000), values, np.arange(250_000))
    assert curve.without_each() == pytest.approx((np.abs(values).sum() - np.abs(values)) / 249_999)


def test_a_class_that_leaves_with_its_only_subject_leaves_no_interval() -> None:
    shares = np.array([[0.2, 0.8], [0.6, 0.4], [0.7, 0.3], [0.3, 0.7]])
    curve = weighted_metric("roc_auc", np.array([1, 0, 0, 0]), shares, np.arange(4))
    assert np.isnan(curve.without_each()).tolist() == [True, False, False, False]


# ---------------------------------------------------------------- degrees of freedom, widths, p


variances = st.floats(0, 1e6, allow_subnormal=False)
counts = st.integers(2, 60)


@given(variances, variances, variances, counts, counts, variances | st.none())
def test_degrees_of_freedom_are_never_fewer_than_those_of_the_smaller_level(
    subjects: float, seeds: float, shared: float, n_seeds: int, n_subjects: int, others: float | None
) -> None:
    parts = VarianceParts(
        subjects=subjects, seeds=seeds, shared=shared, n_seeds=n_seeds, n_subjects=n_subjects, of_others=others,
        freedom_of_others=0 if others is None else n_seeds - 1,
    )  # fmt: skip
    assert parts.freedom >= min(n_seeds - 1, n_subjects - 1) * (1 - 1e-12)


@given(st.floats(-100, 100), variances, variances, st.floats(0, 1), counts, counts, st.floats(0.5, 0.999))
def test_an_interval_excludes_zero_exactly_where_p_says_so(
    mean: float, subjects: float, seeds: float, share: float, n_seeds: int, n_subjects: int, level: float
) -> None:
    shared = share * min(subjects, seeds)
    parts = VarianceParts(subjects=subjects, seeds=seeds, shared=shared, n_seeds=n_seeds, n_subjects=n_subjects)
    half, p = parts.half_width(level), parts.p(mean)
    assert 0 <= p <= 1
    if abs(abs(mean) - half) > 1e-6 * half:
        assert (abs(mean) > half) == (p < 1 - level)


def test_p_is_that_of_students_t_where_one_level_is_all_that_varies() -> None:
    seeds = VarianceParts(
        subjects=0, seeds=1, shared=0, n_seeds=3, n_subjects=50, of_others=1.0, freedom_of_others=2
    )  # fmt: skip
    assert seeds.p(2.776445) == pytest.approx(0.05, abs=1e-6)
    assert seeds.p(-8.610302) == pytest.approx(0.001, abs=1e-8)


def test_p_of_no_difference_is_one_and_without_any_spread_zero() -> None:
    still = VarianceParts(subjects=0, seeds=0, shared=0, n_seeds=3, n_subjects=50)
    assert (PLAIN.p(0), still.p(0), still.p(0.1)) == (1, 1, 0)
    assert 0 < PLAIN.p(1e200) < 1e-50


def test_seeds_that_agree_by_chance_leave_the_width_that_subjects_alone_have() -> None:
    agreeing = replace(PLAIN, seeds=0.0)
    assert agreeing.half_width(0.95) == replace(PLAIN, n_seeds=1, seeds=0.0, shared=0.0).half_width(0.95)


# ---------------------------------------------------------------- what a table lends


def test_comparisons_lend_one_another_as_much_as_each_knows_itself() -> None:
    first, second, third = moderated([replace(PLAIN, seeds=seeds) for seeds in (0.1, 0.2, 0.6)])
    assert [first.of_others, second.of_others, third.of_others] == pytest.approx([0.4, 0.35, 0.15])
    assert first.moderated_seeds == pytest.approx((0.1 + 0.4) / 2)
    assert (first.seeds_freedom, first.freedom_of_others) == (6, 3)


def test_variances_are_lent_by_seed_and_only_by_those_that_know_them() -> None:
    single = replace(PLAIN, n_seeds=1, seeds=0.0, shared=0.0)
    four, two, one = moderated([PLAIN, replace(PLAIN, n_seeds=2, seeds=0.5), single])
    assert four.of_others == pytest.approx(2 * 0.5 / 4)
    assert two.of_others == pytest.approx(4 * 0.16 / 2)
    assert (four.freedom_of_others, two.freedom_of_others) == (
        1,
        1,
    )  # as many as itself and the others have
    assert one == single


def test_a_comparison_alone_allows_for_seeds_that_did_not_fail() -> None:
    (alone,) = moderated([PLAIN])
    assert alone.moderated_seeds == pytest.approx(0.16 * (1 + 3 / 4))
    assert alone.seeds_freedom == 3


# ---------------------------------------------------------------- ends of a score's interval


def ends(mean: float, half: float, floor: float, ceiling: float) -> tuple[float, float]:
    low, high = ends_inside(mean, half, floor, ceiling)
    return float(low), float(high)


@given(st.floats(0, 1), st.floats(0, 10))
def test_ends_hold_the_mean_and_stay_inside_the_range(mean: float, half: float) -> None:
    for floor, ceiling in ((0.0, 1.0), (0.0, np.inf), (-np.inf, 1.0), (-1.0, 1.0)):
        low, high = ends(mean, half, floor, ceiling)
        assert floor - 1e-12 <= low <= mean + 1e-12
        assert mean - 1e-12 <= high <= ceiling + 1e-12
        assert max(mean - low, high - mean) <= 2 * half + 1e-12


def test_ends_are_even_on_the_logarithm_of_an_error_and_on_the_logit_of_a_share() -> None:
    low, high = ends(10, 1, 0, np.inf)
    assert (low, high) == pytest.approx((10 * np.exp(-0.1), 10 * np.exp(0.1)))
    low, high = ends(0.9, 0.05, 0, 1)
    logit = [np.log(x / (1 - x)) for x in (low, 0.9, high)]
    assert np.diff(logit) == pytest.approx([0.05 / 0.09] * 2)
    assert 0.9 - low > high - 0.9


def test_a_mean_at_an_end_of_its_range_is_cut_off_there() -> None:
    assert ends(1, 0.2, 0, 1) == (0.8, 1.0)
    assert np.isnan(ends(0.5, float("nan"), 0, 1)).all()
