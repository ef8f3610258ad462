from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn import metrics as sk

from ctlr.errors import TrainingError
from ctlr.specs import METRICS
from ctlr.training.metrics import (
    GapCorrection,
    brain_age_gap,
    calibration_error,
    classification_scores,
    confidence_bins,
    fit_gap_correction,
    is_constant,
    regression_scores,
)

REGRESSION = {"mae", "rmse", "r", "r2", "f1_bins"}


# ---------------------------------------------------------------- regression


def test_regression_scores_have_their_textbook_values() -> None:
    scores = regression_scores([20, 40, 60, 80], [30, 40, 50, 80], bins=[50])
    assert scores["mae"] == pytest.approx(5)
    assert scores["rmse"] == pytest.approx(math.sqrt(50))
    assert scores["r2"] == pytest.approx(1 - 200 / 2000)
    assert scores["r"] == pytest.approx(1600 / math.sqrt(2000 * 1400))
    assert scores["f1_bins"] == 1.0  # 50 belongs to the upper bin
    assert set(scores) == REGRESSION


def test_binned_f1_is_the_macro_mean_over_the_bins_met() -> None:
    # bins: true 0 0 1 1, predicted 0 1 1 1; F1 2/3 and 4/5, and nobody in the third bin.
    assert regression_scores([1, 2, 11, 12], [1, 11, 12, 13], bins=[10, 20])["f1_bins"] == pytest.approx(11 / 15)


def test_perfect_predictions_reach_the_limits() -> None:
    scores = regression_scores([1, 2, 3], [1, 2, 3], bins=[1.5, 2.5])
    assert scores == pytest.approx({"mae": 0, "rmse": 0, "r": 1, "r2": 1, "f1_bins": 1})


@pytest.mark.parametrize("value", [0.0, 47.3, 1e9])
def test_a_constant_prediction_has_no_correlation(value: float) -> None:
    nearly = np.full(5, value) + np.array([0, 1, 0, 1, 0]) * value * 1e-12
    scores = regression_scores([1, 2, 3, 4, 5], nearly, bins=[3])
    assert set(scores) == REGRESSION - {"r"}


@pytest.mark.parametrize("truth", [[7.0], [7.0, 7.0, 7.0]])
def test_a_constant_truth_has_neither_r_nor_r2(truth: list[float]) -> None:
    assert set(regression_scores(truth, np.arange(len(truth)), bins=[3])) == REGRESSION - {"r", "r2"}


def test_infinite_predictions_stop_the_study() -> None:
    with pytest.raises(TrainingError, match="2 of 3 are not.*`lr`"):
        regression_scores([1, 2, 3], [1, np.inf, np.nan], bins=[2])


@pytest.mark.parametrize(
    ("truth", "predicted", "rule"),
    [([], [], "N > 0"), ([1, 2], [1], r"\(2,\) and \(1,\)"), ([1, np.nan], [1, 2], "1 targets are missing")],
)
def test_misfit_arrays_are_refused(truth: list[float], predicted: list[float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        regression_scores(truth, predicted, bins=[2])


@pytest.mark.parametrize(
    ("predictions", "constant"),
    [
        ([50.0, 50.0, 50.0], True),
        ([50.0, 50.0 + 1e-5, 50.0], True),
        ([50.0, 50.1, 50.0], False),
        ([0.0, 0.0], True),
        ([-1e-9, 1e-9], False),
        ([50.0], False),
        ([[0.9, 0.1], [0.9, 0.1]], True),
        ([[0.9, 0.1], [0.8, 0.2]], False),
    ],
)
def test_constant_predictors_are_found(predictions: list[float], constant: bool) -> None:
    assert is_constant(predictions) is constant


def test_the_tolerance_of_a_constant_is_a_share_of_its_magnitude() -> None:
    assert is_constant([100.0, 100.5], tolerance=0.01)
    assert not is_constant([1.0, 1.5], tolerance=0.01)


# ---------------------------------------------------------------- classification

TRUTH = [0, 0, 0, 1]
SHARES = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]]


def test_classification_scores_have_their_textbook_values() -> None:
    scores = classification_scores(TRUTH, SHARES)
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["precision"] == pytest.approx((1 + 1 / 2) / 2)
    assert scores["recall"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert scores["roc_auc"] == pytest.approx(2 / 3)
    assert scores["brier"] == pytest.approx(2 * (0.1**2 + 0.4**2 + 0.8**2 + 0.3**2) / 4)
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.2, 0.7]).mean())
    assert scores["ece"] == pytest.approx((0.1 + 0.4 + 0.8 + 0.3) / 4)
    assert scores["confidence"] == pytest.approx((0.9 + 0.6 + 0.7) / 3)
    assert set(scores) == set(METRICS) - REGRESSION - {"top5_accuracy"}


def test_the_true_class_is_looked_for_among_the_five_most_probable() -> None:
    shares = np.array([[6, 5, 4, 3, 2, 1, 0]] * 7) / 21
    assert classification_scores(np.arange(7), shares)["top5_accuracy"] == pytest.approx(5 / 7)
    assert classification_scores(np.arange(7), np.full((7, 7), 1 / 7))["top5_accuracy"] == pytest.approx(5 / 7)


def test_where_no_image_is_told_rightly_there_is_no_confidence() -> None:
    assert "confidence" not in classification_scores([0, 1], [[0.2, 0.8], [0.9, 0.1]])


def test_guessing_evenly_costs_the_log_of_the_number_of_classes() -> None:
    scores = classification_scores([0, 1, 2, 3], np.full((4, 4), 0.25))
    assert scores["log_loss"] == pytest.approx(math.log(4))
    assert scores["brier"] == pytest.approx(0.75)
    assert scores["roc_auc"] == 0.5
    assert scores["ece"] == 0.0


def test_certain_mistakes_reach_the_worst_brier_score() -> None:
    scores = classification_scores([0, 1], [[0, 1], [1, 0]])
    assert scores["brier"] == 2.0
    assert scores["roc_auc"] == 0.0
    assert math.isfinite(scores["log_loss"])


def test_one_class_in_the_truth_has_no_auc() -> None:
    scores = classification_scores([1, 1], [[0.4, 0.6], [0.7, 0.3]])
    assert set(scores) == set(METRICS) - REGRESSION - {"roc_auc", "top5_accuracy"}
    assert scores["balanced_accuracy"] == 0.5


def test_multiclass_auc_leaves_absent_classes_out() -> None:
    shares = [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]]
    # class 0 against the rest: 0.8, 0.6 above 0.2, 0.1; class 1 likewise; class 2 does not occur.
    assert classification_scores([0, 1, 0, 1], shares)["roc_auc"] == 1.0


def test_half_precision_rows_are_made_to_sum_to_one() -> None:
    assert classification_scores(TRUTH, np.array(SHARES) * 1.003) == pytest.approx(classification_scores(TRUTH, SHARES))


@pytest.mark.parametrize(
    ("truth", "shares", "rule"),
    [
        ([0, 2], [[1, 0], [0, 1]], r"0\.\.1; got 0\.\.2"),
        ([0, -1], [[1, 0], [0, 1]], "integers"),
        ([0.0, 1.0], [[1, 0], [0, 1]], "integers"),
        ([0, 1], [[2, -1], [0, 1]], "negative"),
        ([0, 1], [[0, 0], [0, 1]], "all zero"),
        ([0, 1], [1, 0], "K >= 2"),
        ([], np.empty((0, 2)), "N > 0"),
    ],
)
def test_misfit_probabilities_are_refused(truth: list[int], shares: list[list[float]], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        classification_scores(truth, shares)


def test_probabilities_that_are_no_numbers_stop_the_study() -> None:
    with pytest.raises(TrainingError, match="1 of 2"):
        classification_scores([0, 1], [[np.nan, np.nan], [0.5, 0.5]])


def test_confidence_bins_are_closed_above() -> None:
    assert confidence_bins(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 0.5, 1.0])).tolist() == [0, 0, 1, 7, 14]


def test_calibration_error_is_zero_where_confidence_is_accuracy() -> None:
    shares = np.tile([0.75, 0.25], (4, 1))
    assert calibration_error([0, 0, 0, 1], shares) == pytest.approx(0)
    assert calibration_error([1, 1, 1, 1], shares) == pytest.approx(0.75)


# ---------------------------------------------------------------- another implementation


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 8]))
def test_a_classification_has_the_scores_of_scikit_learn(classes: int, images: int, seed: int, digits: int) -> None:
    """Few digits make ties; classes may be missing from truth and predictions."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, rng.integers(1, classes + 1), images)
    told = np.round(rng.dirichlet(np.ones(classes), images), digits) + 1e-3
    shares = told / told.sum(axis=1, keepdims=True)
    said, codes = shares.argmax(axis=1), np.arange(classes)
    ranked = [k for k in ([1] if classes == 2 else codes) if 0 < np.count_nonzero(truth == k) < images]
    expected = {
        "accuracy": sk.accuracy_score(truth, said),
        "balanced_accuracy": sk.recall_score(truth, said, labels=np.unique(truth), average="macro"),
        "precision": sk.precision_score(truth, said, average="macro", zero_division=0.0),
        "recall": sk.recall_score(truth, said, average="macro", zero_division=0.0),
        "f1": sk.f1_score(truth, said, average="macro", zero_division=0.0),
        "brier": sk.brier_score_loss(truth, shares, labels=codes, scale_by_half=False),
        "log_loss": sk.log_loss(truth, shares, labels=codes),
    }
    if ranked:
        expected["roc_auc"] = np.mean([sk.roc_auc_score(truth == k, shares[:, k]) for k in ranked])
    scores = classification_scores(truth, told)
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert ("roc_auc" in scores) == bool(ranked)


@given(st.integers(2, 40), st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_a_regression_has_the_scores_of_scikit_learn_and_scipy(images: int, seed: int, slope: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(50, 20, images)
    predicted = slope * truth + rng.normal(0, 5, images)
    edges = [40.0, 60.0]
    assert regression_scores(truth, predicted, bins=edges) == pytest.approx(
        {
            "mae": sk.mean_absolute_error(truth, predicted), "rmse": sk.root_mean_squared_error(truth, predicted),
            "r2": sk.r2_score(truth, predicted), "r": pearsonr(truth, predicted).statistic,
            "f1_bins": sk.f1_score(
                np.digitize(truth, edges), np.digitize(predicted, edges), average="macro", zero_division=0.0
            ),
        },
        rel=1e-9,
    )  # fmt: skip


# ---------------------------------------------------------------- brain-age gap


def test_a_gap_is_predicted_minus_true_with_its_slope_on_age() -> None:
    # Everyone is drawn half-way to 50, as a mean-seeking model does.
    ages = np.array([20.0, 40, 60, 80])
    result = brain_age_gap(ages, 50 + (ages - 50) / 2)
    assert result.gap.tolist() == [15, 5, -5, -15]
    assert result.slope == pytest.approx(-0.5)
    assert result.mean == pytest.approx(0)


def test_the_correction_of_one_split_takes_the_slope_off_another() -> None:
    rng = np.random.default_rng(0)
    validation, test = rng.uniform(20, 80, 500), rng.uniform(20, 80, 500)
    correction = fit_gap_correction(validation, 50 + (validation - 50) / 2)
    assert correction.slope == pytest.approx(-0.5)
    assert correction.intercept == pytest.approx(25)
    older = 50 + (test - 50) / 2 + 3
    assert brain_age_gap(test, older, correction).slope == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(brain_age_gap(test, older, correction).gap, 3)


def test_equal_ages_leave_no_slope() -> None:
    assert brain_age_gap([50, 50], [52, 48]).slope is None
    assert brain_age_gap([50], [52], GapCorrection(slope=0.0, intercept=1.0)).gap.tolist() == [1]
    with pytest.raises(ValueError, match="two different ages; all 2 are 50"):
        fit_gap_correction([50, 50], [52, 48])
