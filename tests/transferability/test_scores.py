import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from ctlr.errors import DataError
from ctlr.transferability.scores import combined_class_variance, h_score, leep, log_me, nce

LABELS = np.array([0, 0, 1, 1, 2, 2])


def features(n: int = 60, width: int = 4, classes: int = 3, apart: float = 1.0) -> tuple[NDArray[np.float64], ...]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % classes
    return rng.standard_normal((n, width)) + apart * rng.standard_normal((classes, width))[labels], labels


def test_leep_is_zero_where_source_classes_name_the_target() -> None:
    assert leep(np.eye(3)[[2, 2, 0, 0, 1, 1]], LABELS) == pytest.approx(0)


def test_leep_of_a_source_model_that_knows_nothing_is_minus_the_entropy() -> None:
    assert leep(np.full((6, 4), 0.25), LABELS) == pytest.approx(-math.log(3))


def test_leep_is_that_of_an_example_worked_by_hand() -> None:
    theta = np.array([[0.8, 0.2], [0.4, 0.6]])
    # P(y=0, z) = (0.4, 0.1), P(y=1, z) = (0.2, 0.3); P(z) = (0.6, 0.4).
    # P(0|z) = (2/3, 1/4), P(1|z) = (1/3, 3/4). Expected: 0.8*2/3 + 0.2/4 = 0.58333; 0.4/3 + 0.6*3/4 = 0.58333.
    assert leep(theta, np.array([0, 1])) == pytest.approx(math.log(0.5833333333))


def test_nce_is_zero_where_source_labels_tell_the_target_and_minus_the_entropy_where_they_tell_nothing() -> None:
    assert nce(np.array([5, 5, 9, 9, 7, 7]), LABELS) == pytest.approx(0)
    assert nce(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])) == pytest.approx(-math.log(2))


def test_nce_is_that_of_an_example_worked_by_hand() -> None:
    # z = 0 holds y = 0, 0, 1: H = 0.6365; z = 1 holds y = 1: H = 0. -H(y|z) = -3/4 * 0.6365.
    assert nce(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])) == pytest.approx(-0.75 * 0.636514168)


def test_logme_is_the_largest_evidence_of_a_linear_model() -> None:
    rng, n = np.random.default_rng(1), 30
    points = rng.standard_normal((n, 4))
    y = points[:, 0] - 0.5 * points[:, 1] + 0.3 * rng.standard_normal(n)

    def minus_evidence(logs: NDArray[np.float64]) -> float:
        alpha, beta = np.exp(logs)
        cov = np.eye(n) / beta + points @ points.T / alpha
        return float(-multivariate_normal.logpdf(y, np.zeros(n), cov) / n)

    best = min(
        minimize(minus_evidence, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10}).fun
        for start in ([0.0, 0.0], [0.0, 3.0])
    )
    assert log_me(points, y, classification=False) == pytest.approx(-best, abs=1e-4)


def test_logme_does_not_change_with_features_that_say_nothing() -> None:
    points, labels = features(n=30)
    wider = np.hstack([points, np.zeros((30, 40))])
    assert log_me(wider, labels, classification=True) == pytest.approx(log_me(points, labels, classification=True))


def test_logme_of_classes_is_the_mean_over_one_against_the_rest() -> None:
    points, labels = features()
    each = [log_me(points, (labels == k).astype(float), classification=False) for k in range(3)]
    assert log_me(points, labels, classification=True) == pytest.approx(np.mean(each))


def test_h_score_reaches_its_bound_where_classes_are_points() -> None:
    assert h_score(np.eye(3)[LABELS], LABELS) == pytest.approx(2)


def test_h_score_does_not_depend_on_the_units_of_features() -> None:
    points, labels = features()
    scaled = points * np.array([1.0, 10.0, 0.1, 3.0]) + 5
    assert h_score(scaled, labels) == pytest.approx(h_score(points, labels))


def test_combined_class_variance_is_that_of_an_example_worked_by_hand() -> None:
    points = np.array([[0.0], [2.0], [10.0], [12.0]])
    assert combined_class_variance(points, np.array([0, 0, 1, 1])) == pytest.approx(25 / 26)


@pytest.mark.parametrize(
    "score",
    [lambda p, y: log_me(p, y, classification=True), h_score, combined_class_variance],
    ids=["log_me", "h_score", "combined_class_variance"],
)
def test_classes_that_lie_further_apart_score_higher(score: Callable[..., float]) -> None:
    values = [score(*features(apart=apart)) for apart in (0.1, 1.0, 5.0)]
    assert values == sorted(values)
    assert values[0] < values[-1]


@pytest.mark.parametrize(
    "score",
    [lambda p, y: log_me(p, y, classification=True), h_score, combined_class_variance],
    ids=["log_me", "h_score", "combined_class_variance"],
)
@pytest.mark.parametrize(
    ("points", "labels", "words"),
    [
        (np.full((6, 2), np.nan), LABELS, "features must be finite; 12 of 12"),
        (np.ones((6, 2)), LABELS, "constant"),
        (np.arange(12.0).reshape(6, 2), np.array([0, 0, 2, 2, 2, 2]), "empty classes out"),
        (np.arange(12.0).reshape(6, 2), np.array([0, 1]), "6 samples and 2 classes"),
    ],
)
def test_features_that_tell_nothing_are_refused(
    score: Callable[..., float], points: NDArray[np.float64], labels: NDArray[np.int64], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        score(points, labels)


def test_a_class_of_one_sample_has_no_variance_inside() -> None:
    with pytest.raises(DataError, match="class 1 has 1"):
        combined_class_variance(np.arange(6.0).reshape(3, 2), np.array([0, 0, 1]))


@pytest.mark.parametrize(
    ("score", "best"),
    [
        (lambda p, y: leep(p, y), -math.log(3)),
        (lambda p, y: nce(p.argmax(1), y), -math.log(3)),
        (h_score, 0.0),
        (combined_class_variance, 0.0),
    ],
    ids=["leep", "nce", "h_score", "combined_class_variance"],
)
def test_a_source_that_answers_the_same_for_every_class_scores_as_one_that_knows_nothing(
    score: Callable[..., float], best: float
) -> None:
    answers = np.array([[0.9, 0.1], [0.6, 0.4]])[[0, 1, 0, 1, 0, 1]]
    assert score(answers, LABELS) == pytest.approx(best)


def test_one_sample_a_class_gives_the_h_score_its_bound_whatever_the_features() -> None:
    points = np.random.default_rng(0).normal(size=(4, 9))
    assert h_score(points, np.arange(4)) == pytest.approx(3)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 0, 2, 2, 2, 2]), "class 1 has none. Leave empty classes out"),
        (np.array([-1, 0, 0, 1, 1, 1]), "the smallest number is -1"),
        (np.array([], np.int64), "6 samples and 0 classes"),
    ],
)
def test_labels_that_number_no_classes_are_refused(labels: NDArray[np.int64], words: str) -> None:
    with pytest.raises(DataError, match=words):
        leep(np.full((6, 2), 0.5), labels)


def test_probabilities_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="probabilities must be finite; 1 of 12"):
        leep(np.where(np.arange(12).reshape(6, 2) == 3, np.nan, 0.5), LABELS)
