"""The metrics under weights are those of `ctlr.training.metrics` on images repeated as often as they weigh."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.report.statistics.weighted import Difference, weighted_metric
from ctlr.specs import METRICS
from ctlr.training.metrics import classification_scores, regression_scores

REGRESSION = ("mae", "rmse", "r", "r2", "f1_bins")
CLASSIFICATION = tuple(name for name in METRICS if name not in REGRESSION)
BINS = np.array([30.0, 45.0, 60.0])
SUBJECTS, IMAGES = 12, 20


def draws(seed: int) -> tuple[np.random.Generator, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Owners of the images (each subject has one at least) and weights of 6 replicates."""
    rng = np.random.default_rng(seed)
    owners = np.append(np.arange(SUBJECTS), rng.integers(SUBJECTS, size=IMAGES - SUBJECTS))
    weights = rng.multinomial(SUBJECTS, np.full(SUBJECTS, 1 / SUBJECTS), size=6)
    return rng, owners, weights


def repeated(owners: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.repeat(np.arange(IMAGES), weights[owners])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weighted_regression_is_that_of_repeated_images(seed: int) -> None:
    rng, owners, weights = draws(seed)
    truth = rng.uniform(20, 80, IMAGES)
    predicted = truth + rng.normal(0, 10, IMAGES)
    values = {
        metric: weighted_metric(metric, truth, predicted, owners, bins=BINS)(weights.astype(float))
        for metric in REGRESSION
    }
    for i, each in enumerate(weights):
        rows = repeated(owners, each)
        expected = regression_scores(truth[rows], predicted[rows], bins=BINS)
        assert {metric: values[metric][i] for metric in REGRESSION} == pytest.approx(expected)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.sampled_from([2, 4, 7]))
def test_weighted_classification_is_that_of_repeated_images(seed: int, n_classes: int) -> None:
    rng, owners, weights = draws(seed)
    truth = rng.integers(n_classes, size=IMAGES)
    shares = rng.dirichlet(np.ones(n_classes), IMAGES).round(1) + 0.01  # rounded: ties
    values = {
        metric: weighted_metric(metric, truth, shares, owners)(weights.astype(float)) for metric in CLASSIFICATION
    }
    for i, each in enumerate(weights):
        rows = repeated(owners, each)
        expected = dict.fromkeys(CLASSIFICATION, np.nan) | classification_scores(truth[rows], shares[rows])
        assert {metric: values[metric][i] for metric in CLASSIFICATION} == pytest.approx(expected, nan_ok=True)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.sampled_from([2, 4, 7]))
def test_leaving_each_subject_out_is_giving_it_no_weight(seed: int, n_classes: int) -> None:
    rng, owners, _ = draws(seed)
    truth, shares = rng.integers(n_classes, size=IMAGES), rng.dirichlet(np.ones(n_classes), IMAGES).round(1) + 0.01
    numbers = rng.uniform(20, 80, IMAGES)
    predicted = numbers + rng.normal(0, 10, IMAGES)
    curves = [weighted_metric(metric, truth, shares, owners) for metric in CLASSIFICATION]
    curves += [weighted_metric(metric, numbers, predicted, owners, bins=BINS) for metric in REGRESSION]
    for curve in (*curves, Difference(curves[0], curves[1], -1.0)):
        assert curve.without_each() == pytest.approx(curve(1 - np.eye(SUBJECTS)), nan_ok=True)


def test_leaving_an_outlier_out_loses_no_digits() -> None:
    curve = weighted_metric("mae", np.zeros(4), np.array([1e17, 1.0, 2.0, 3.0]), np.arange(4))
    assert curve.without_each()[0] == 2.0


def test_an_auc_without_both_classes_is_undefined() -> None:
    shares = np.array([[0.2, 0.8], [0.6, 0.4]])
    values = weighted_metric("roc_auc", np.array([1, 0]), shares, np.arange(2))(np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert np.isnan(values[0])
    assert values[1] == 1.0


@pytest.mark.parametrize("metric", ["r", "r2"])
def test_a_constant_truth_leaves_nothing_to_explain(metric: str) -> None:
    truth = np.array([1e6, 1e6, 1e6 + 1])
    evaluate = weighted_metric(metric, truth, np.array([1.0, 2.0, 3.0]), np.arange(3))
    values = evaluate(np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0]]))
    assert np.isnan(values).tolist() == [True, False]


def test_a_constant_prediction_has_no_correlation() -> None:
    evaluate = weighted_metric("r", np.array([1.0, 2.0, 3.0]), np.full(3, 47.3), np.arange(3))
    assert np.isnan(evaluate(np.ones((1, 3)))).all()


def test_binned_f1_needs_its_bins() -> None:
    with pytest.raises(ValueError, match="f1_bins"):
        weighted_metric("f1_bins", np.ones(2), np.ones(2), np.arange(2))
