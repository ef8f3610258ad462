from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ctlr.errors import DataError
from ctlr.report.statistics.estimates import (
    Gain,
    Outcome,
    calibration_rows,
    gains_together,
    group_difference,
    holm,
    mean_score,
    paired_gain,
    roc_rows,
)

SUBJECTS = [f"s{i:03}" for i in range(100)]
AGES = np.linspace(20, 80, 100)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def regressor(offset: float, *, seeds: Sequence[int] = (0, 1, 2), noise: float = 5.0) -> list[Outcome]:
    """Predictions that err by `offset` in the mean; the same errors for the same seed whatever the offset."""
    return [
        Outcome(seed=s, subjects=SUBJECTS, truth=AGES, predicted=AGES + offset + np.abs(rng(s).normal(0, noise, 100)))
        for s in seeds
    ]


def test_a_mean_is_that_of_the_seeds_and_its_interval_holds_it() -> None:
    outcomes = regressor(10, noise=0)
    outcomes[0] = replace(outcomes[0], predicted=AGES + 7)
    estimate = mean_score(outcomes, "mae")
    assert estimate is not None
    assert estimate.mean == pytest.approx(9)
    assert estimate.low < 9 < estimate.high
    assert (estimate.n_seeds, estimate.n_subjects, estimate.resampled) == (3, 100, "over seeds and subjects")


def test_one_seed_says_that_subjects_alone_were_resampled() -> None:
    estimate = mean_score(regressor(3, seeds=[4]), "mae")
    assert estimate is not None
    assert estimate.resampled == "over subjects only"


def test_neither_the_order_of_images_nor_the_subjects_names_change_a_number() -> None:
    order = rng(9).permutation(100)
    shuffled = [
        replace(o, subjects=[SUBJECTS[i] for i in order], truth=o.truth[order], predicted=o.predicted[order])
        for o in regressor(3)
    ]
    renamed = [replace(o, subjects=[SUBJECTS[i] for i in order]) for o in regressor(3)]
    left, *others = (mean_score(outcomes, "mae") for outcomes in (regressor(3), shuffled, renamed))
    assert left is not None
    for right in others:
        assert right is not None
        assert (left.mean, left.low, left.high) == pytest.approx((right.mean, right.low, right.high))


def test_a_wider_level_is_a_wider_interval() -> None:
    narrow, wide = (mean_score(regressor(3), "mae", level=level) for level in (0.8, 0.99))
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_images_of_a_subject_are_resampled_together() -> None:
    # Ten copies of every image tell nothing more than one.
    once = regressor(3, seeds=[0])
    tenfold = [
        replace(o, subjects=SUBJECTS * 10, truth=np.tile(o.truth, 10), predicted=np.tile(o.predicted, 10)) for o in once
    ]
    left, right = mean_score(once, "mae"), mean_score(tenfold, "mae")
    assert left is not None
    assert right is not None
    assert (left.low, left.high) == pytest.approx((right.low, right.high))


def test_intervals_stay_inside_the_metrics_range() -> None:
    truth = np.tile([0, 1], 50)
    outcomes = []
    for seed, wrong in enumerate((0, 0, 6)):
        right = np.where(np.arange(100) < wrong, 1 - truth, truth)
        outcomes.append(Outcome(seed=seed, subjects=SUBJECTS, truth=truth, predicted=np.eye(2)[right]))
    accuracy, brier = (mean_score(outcomes, metric) for metric in ("accuracy", "brier"))
    assert accuracy is not None
    assert brier is not None
    assert accuracy.mean == pytest.approx(0.98)
    assert 0.98 < accuracy.high <= 1.0
    assert accuracy.high - 0.98 < 0.98 - accuracy.low < 0.3
    assert 0.0 <= brier.low < 0.04


def test_what_is_undefined_or_absent_has_no_estimate() -> None:
    constant = Outcome(seed=0, subjects=SUBJECTS, truth=AGES, predicted=np.full(100, 50.0))
    assert mean_score([], "mae") is None
    assert mean_score([constant], "r") is None
    assert paired_gain([constant], regressor(1), "r") is None


def test_each_seed_may_occur_once() -> None:
    twice = regressor(1, seeds=[0, 0])
    with pytest.raises(ValueError, match=r"\[0, 0\]"):
        mean_score(twice, "mae")
    with pytest.raises(ValueError, match=r"\[0, 0\]"):
        paired_gain(regressor(1), twice, "mae")


def test_other_test_subjects_cannot_be_compared() -> None:
    others = [replace(o, subjects=["x", *SUBJECTS[1:]]) for o in regressor(1)]
    with pytest.raises(DataError, match="has 100, .* has 100, and they share 99"):
        paired_gain(regressor(1), others, "mae")


# ---------------------------------------------------------------- gains


def gain(method: list[Outcome], baseline: list[Outcome], metric: str = "mae") -> Gain:
    found = paired_gain(method, baseline, metric)
    assert found is not None
    return found


def test_a_smaller_error_is_a_gain_and_a_larger_one_negative_transfer() -> None:
    better, worse = regressor(1), regressor(3)
    up, down = gain(better, worse), gain(worse, better)
    assert up.mean == pytest.approx(2)
    assert (up.low, up.high) == pytest.approx((2, 2))  # paired: the errors of a subject differ by 2 in every seed
    assert (up.verdict, down.verdict) == ("gain", "negative transfer")
    assert down.mean == pytest.approx(-2)
    assert up.p < 1e-20


def test_a_greater_accuracy_is_a_gain() -> None:
    truth = np.tile([0, 1], 50)

    def classifier(share_right: float) -> list[Outcome]:
        return [
            Outcome(
                seed=s,
                subjects=SUBJECTS,
                truth=truth,
                predicted=np.eye(2)[np.where(rng(s).random(100) < share_right, truth, 1 - truth)],
            )
            for s in range(3)
        ]

    assert gain(classifier(0.95), classifier(0.6), "accuracy").verdict == "gain"
    assert gain(classifier(0.6), classifier(0.95), "accuracy").verdict == "negative transfer"
    assert gain(classifier(0.95), classifier(0.6), "brier").verdict == "gain"


def test_a_method_gains_nothing_over_itself() -> None:
    same = gain(regressor(3), regressor(3))
    assert (same.mean, same.low, same.high, same.p, same.verdict) == (0, 0, 0, 1, "none")


def test_pairing_finds_what_separate_intervals_hide() -> None:
    better, worse = regressor(3.0, noise=20), regressor(3.5, noise=20)
    left, right = mean_score(better, "mae"), mean_score(worse, "mae")
    assert left is not None
    assert right is not None
    assert left.high > right.low
    assert gain(better, worse).verdict == "gain"


def test_gains_that_change_sign_between_seeds_are_none() -> None:
    method = [regressor(offset, seeds=[s])[0] for s, offset in enumerate((1, 6, 2))]
    assert gain(method, regressor(3)).verdict == "none"


def test_seeds_of_one_side_alone_are_left_out() -> None:
    found = gain(regressor(1, seeds=[0, 2, 7]), regressor(3, seeds=[0, 1, 2]))
    assert found.n_seeds == 2
    assert paired_gain(regressor(1, seeds=[7]), regressor(3, seeds=[0]), "mae") is None


def nearly_constant(offsets: Sequence[float], draw: int) -> list[Outcome]:
    """Seeds that predict the mean age, each a little off."""
    noise = rng(draw)
    return [
        Outcome(seed=s, subjects=SUBJECTS, truth=AGES, predicted=50 + offset + noise.normal(0, 0.01, 100))
        for s, offset in enumerate(offsets)
    ]


@pytest.mark.parametrize("draw", [14, 30, 34, 58])
def test_near_constant_predictions_have_an_interval_of_their_own_size(draw: int) -> None:
    # Before, degrees of freedom far below 1 stretched these to between 726 and 1e86 years.
    offsets = rng(draw).normal(0, 1, (2, 3))
    found = gain(nearly_constant(offsets[0], draw), nearly_constant(offsets[1], draw + 1000))
    assert found.freedom >= 2
    assert 0 < found.high - found.low < 3  # predictions differ by about a year


def test_a_difference_of_two_shares_is_no_larger_than_one() -> None:
    # One seed right for nearly all, the other for nearly none: t of 1 degree of freedom knows no bound.
    truth = np.tile([0, 1], 10)

    def sides(*wrong: int) -> list[Outcome]:
        said = [np.where(np.arange(20) < w, 1 - truth, truth) for w in wrong]
        return [
            Outcome(seed=s, subjects=SUBJECTS[:20], truth=truth, predicted=np.eye(2)[each])
            for s, each in enumerate(said)
        ]

    for metric, widest in (("accuracy", 1.0), ("brier", 2.0)):
        found = gain(sides(0, 19), sides(18, 2), metric)
        assert (found.low, found.high) == (-widest, widest)


def test_a_difference_of_two_correlations_is_no_larger_than_two() -> None:
    def side(*signs: float) -> list[Outcome]:
        return [
            Outcome(seed=s, subjects=SUBJECTS, truth=AGES, predicted=sign * AGES + rng(s).normal(0, 3, 100))
            for s, sign in enumerate(signs)
        ]

    found = gain(side(1, -1), side(-1, 1), "r")
    assert (found.low, found.high) == (-2, 2)


def test_a_single_seed_has_an_interval_over_subjects_and_no_verdict() -> None:
    found = gain(regressor(1, seeds=[0]), regressor(3, seeds=[0], noise=6))
    assert found.low > 0
    assert found.resampled == "over subjects only"
    assert (found.verdict, found.shown, found.tested) == ("not tested", False, False)
    assert np.isnan(found.p)


def test_a_single_subject_leaves_nothing_to_test() -> None:
    one = [replace(o, subjects=["a"], truth=o.truth[:1], predicted=o.predicted[:1]) for o in regressor(1)]
    found = gain(one, one)
    assert (found.mean, found.verdict) == (0, "not tested")
    assert np.isnan([found.low, found.high, found.p]).all()


def test_gains_of_a_table_share_what_they_know_of_seeds() -> None:
    near = [regressor(offset, seeds=[s])[0] for s, offset in enumerate((1.0, 1.01, 0.99))]
    far = [regressor(offset, seeds=[s])[0] for s, offset in enumerate((0.0, 2.0, 1.0))]
    alone = [gain(near, regressor(3)), gain(far, regressor(3))]
    near_together, far_together = gains_together(alone, "mae", level=0.95)
    assert near_together.mean == alone[0].mean
    assert near_together.parts.of_others == pytest.approx(alone[1].parts.seeds)
    assert near_together.high - near_together.low > alone[0].high - alone[0].low
    assert far_together.high - far_together.low < alone[1].high - alone[1].low
    for found in (near_together, far_together):
        assert found.shown == (found.p < 0.05)


def test_false_verdicts_among_nine_nulls_are_rare_even_where_seeds_dominate() -> None:
    # Three methods at three sizes against scratch, three seeds: bootstrap p-values let one through in 33 %.
    false, draws, n = 0, rng(3), 100
    for _ in range(n):
        gains = []
        for _ in range(3):
            sides = [
                [
                    Outcome(seed=s, subjects=SUBJECTS[:20], truth=AGES[:20], predicted=AGES[:20] + each)
                    for s, each in enumerate(draws.normal(0, 5, (3, 20)) + 50 + draws.normal(0, 3, (3, 1)))
                ]
                for _ in range(4)
            ]
            gains += [gain(method, sides[0]) for method in sides[1:]]
        false += min(holm([found.p for found in gains_together(gains, "mae", level=0.95)])) < 0.05
    assert false / n <= 0.06


def test_binned_f1_takes_its_bins() -> None:
    bins: NDArray[np.float64] = np.array([35.0, 50.0, 65.0])
    estimate = mean_score(regressor(0, noise=0), "f1_bins", bins=bins)
    assert estimate is not None
    assert estimate.mean == 1.0


# ---------------------------------------------------------------- many comparisons


def test_holm_multiplies_each_p_by_the_hypotheses_left() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_one_comparison_alone_and_stops_at_one() -> None:
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


# ---------------------------------------------------------------- rows


def test_holm_passes_over_what_was_not_tested() -> None:
    adjusted = holm([0.01, float("nan"), 0.04])
    assert (adjusted[0], adjusted[2]) == pytest.approx((0.02, 0.04))
    assert np.isnan(adjusted[1])


def test_a_calibration_row_compares_confidence_with_accuracy() -> None:
    shares = [[0.75, 0.25], [0.75, 0.25], [0.28, 0.72], [0.05, 0.95]]
    rows = calibration_rows([0, 1, 1, 1], shares)
    assert [row["count"] for row in rows] == [1, 2, 1]
    assert rows[1] == pytest.approx(
        {"lower": 11 / 15, "upper": 12 / 15, "count": 2, "confidence": 0.75, "accuracy": 0.5}
    )


def test_a_roc_curve_runs_from_corner_to_corner() -> None:
    rows = roc_rows([0, 0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])
    points = [(row["false_positive_rate"], row["true_positive_rate"]) for row in rows]
    assert points[0] == (0, 0)
    assert points[-1] == (1, 1)
    assert (0, 0.5) in points
    assert {row["class"] for row in rows} == {1}


def test_several_classes_have_a_curve_each_unless_absent() -> None:
    rows = roc_rows([0, 1, 0, 1], [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    assert {row["class"] for row in rows} == {0, 1}


def test_a_group_is_held_against_all_others_by_its_mean_error() -> None:
    members, predicted = np.array([True, True, True, False, False, False]), np.array([-5.0, 4.0, 6.0, 1.0, -2.0, 0.0])
    outcomes = [Outcome(seed=seed, subjects=list("abcdef"), truth=np.zeros(6), predicted=predicted) for seed in (0, 1)]
    found = group_difference(outcomes, [members, members])
    assert found is not None
    assert found.mean == pytest.approx(4.0)  # 5 - 1
    assert found.low < 4 < found.high
    assert found.n_subjects == 6
    other = group_difference(outcomes, [~members, ~members])
    assert other is not None
    assert (other.mean, other.p) == (pytest.approx(-4.0), pytest.approx(found.p))


def test_equal_groups_of_errors_differ_seldom() -> None:
    draw, below = rng(), 0
    for _ in range(200):
        errors = draw.normal(size=(3, 60)) + draw.normal(size=60)
        outcomes = [
            Outcome(seed=seed, subjects=np.arange(60).astype(str), truth=np.zeros(60), predicted=row)
            for seed, row in enumerate(errors)
        ]
        found = group_difference(outcomes, [np.arange(60) < 20] * 3)
        assert found is not None
        below += found.p < 0.05
    assert below <= 16  # 10 of 200 are expected where p is exact


def test_a_group_of_one_subject_cannot_be_held_against_the_others() -> None:
    outcomes = [Outcome(seed=0, subjects=list("abc"), truth=np.zeros(3), predicted=np.array([1.0, 2.0, 3.0]))]
    assert group_difference(outcomes, [np.array([True, False, False])]) is None
