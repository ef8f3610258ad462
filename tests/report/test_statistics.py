from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ctlr.errors import DataError
from ctlr.report.statistics import (
    Gain,
    Outcome,
    bootstrap_mean,
    calibration_rows,
    holm,
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
    estimate = bootstrap_mean(outcomes, "mae", rng())
    assert estimate is not None
    assert estimate.mean == pytest.approx(9)
    assert estimate.low < 9 < estimate.high
    assert (estimate.n_seeds, estimate.n_subjects, estimate.resampled) == (3, 100, "seeds and subjects")


def test_one_seed_says_that_subjects_alone_were_resampled() -> None:
    estimate = bootstrap_mean(regressor(3, seeds=[4]), "mae", rng())
    assert estimate is not None
    assert estimate.resampled == "subjects only (one seed)"


def test_the_same_generator_gives_the_same_interval() -> None:
    assert bootstrap_mean(regressor(3), "rmse", rng(5)) == bootstrap_mean(regressor(3), "rmse", rng(5))


def test_neither_the_order_of_images_nor_the_subjects_names_change_a_number() -> None:
    order = rng(9).permutation(100)
    shuffled = [
        replace(o, subjects=[SUBJECTS[i] for i in order], truth=o.truth[order], predicted=o.predicted[order])
        for o in regressor(3)
    ]
    renamed = [replace(o, subjects=[SUBJECTS[i] for i in order]) for o in regressor(3)]
    left, *others = (bootstrap_mean(outcomes, "mae", rng()) for outcomes in (regressor(3), shuffled, renamed))
    assert left is not None
    for right in others:
        assert right is not None
        assert (left.mean, left.low, left.high) == pytest.approx((right.mean, right.low, right.high))


def test_a_wider_level_is_a_wider_interval() -> None:
    narrow, wide = (bootstrap_mean(regressor(3), "mae", rng(), level=level) for level in (0.8, 0.99))
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_images_of_a_subject_are_resampled_together() -> None:
    # Ten copies of every image tell nothing more than one.
    once = regressor(3, seeds=[0])
    tenfold = [
        replace(o, subjects=SUBJECTS * 10, truth=np.tile(o.truth, 10), predicted=np.tile(o.predicted, 10)) for o in once
    ]
    left, right = bootstrap_mean(once, "mae", rng()), bootstrap_mean(tenfold, "mae", rng())
    assert left is not None
    assert right is not None
    assert (left.low, left.high) == pytest.approx((right.low, right.high))


def test_intervals_stay_inside_the_metrics_range() -> None:
    truth = np.tile([0, 1], 50)
    outcomes = []
    for seed, wrong in enumerate((0, 0, 6)):
        right = np.where(np.arange(100) < wrong, 1 - truth, truth)
        outcomes.append(Outcome(seed=seed, subjects=SUBJECTS, truth=truth, predicted=np.eye(2)[right]))
    accuracy, brier = (bootstrap_mean(outcomes, metric, rng()) for metric in ("accuracy", "brier"))
    assert accuracy is not None
    assert brier is not None
    assert accuracy.mean == pytest.approx(0.98)
    assert accuracy.high == 1.0
    assert brier.low == 0.0


def test_what_is_undefined_or_absent_has_no_estimate() -> None:
    constant = Outcome(seed=0, subjects=SUBJECTS, truth=AGES, predicted=np.full(100, 50.0))
    assert bootstrap_mean([], "mae", rng()) is None
    assert bootstrap_mean([constant], "r", rng()) is None
    assert paired_gain([constant], regressor(1), "r", rng()) is None


def test_each_seed_may_occur_once() -> None:
    twice = regressor(1, seeds=[0, 0])
    with pytest.raises(ValueError, match=r"\[0, 0\]"):
        bootstrap_mean(twice, "mae", rng())
    with pytest.raises(ValueError, match=r"\[0, 0\]"):
        paired_gain(regressor(1), twice, "mae", rng())


def test_other_test_subjects_cannot_be_compared() -> None:
    others = [replace(o, subjects=["x", *SUBJECTS[1:]]) for o in regressor(1)]
    with pytest.raises(DataError, match="has 100, .* has 100, and they share 99"):
        paired_gain(regressor(1), others, "mae", rng())


# ---------------------------------------------------------------- gains


def gain(method: list[Outcome], baseline: list[Outcome], metric: str = "mae") -> Gain:
    found = paired_gain(method, baseline, metric, rng())
    assert found is not None
    return found


def test_a_smaller_error_is_a_gain_and_a_larger_one_negative_transfer() -> None:
    better, worse = regressor(1), regressor(3)
    up, down = gain(better, worse), gain(worse, better)
    assert up.mean == pytest.approx(2)
    assert (up.low, up.high) == pytest.approx((2, 2))  # paired: the errors of a subject differ by 2 in every seed
    assert (up.verdict, down.verdict) == ("gain", "negative transfer")
    assert down.mean == pytest.approx(-2)
    assert up.p == pytest.approx(2 / 2001)


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
    left, right = bootstrap_mean(better, "mae", rng()), bootstrap_mean(worse, "mae", rng())
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
    assert paired_gain(regressor(1, seeds=[7]), regressor(3, seeds=[0]), "mae", rng()) is None


def test_no_gain_is_found_falsely_more_often_than_the_level_says() -> None:
    false, draws = 0, rng(3)
    for _ in range(200):
        seed_effects = draws.normal(0, 0.5, (2, 3))
        sides = [
            [
                Outcome(seed=s, subjects=SUBJECTS, truth=AGES, predicted=AGES + 50 + e + draws.normal(0, 5, 100))
                for s, e in enumerate(effects)
            ]
            for effects in seed_effects
        ]
        found = paired_gain(*sides, "mae", draws, replicates=400)
        false += found is not None and found.verdict != "none"
    assert false / 200 <= 0.08


def test_binned_f1_takes_its_bins() -> None:
    bins: NDArray[np.float64] = np.array([35.0, 50.0, 65.0])
    estimate = bootstrap_mean(regressor(0, noise=0), "f1_bins", rng(), bins=bins)
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
