from typing import Any

import numpy as np
import pytest

from ctlr.report.numbers.contests import Contest, Done, contests, load
from ctlr.report.numbers.gaps import gap
from ctlr.report.predictions.diagnostics import calibration, confusion, roc


@pytest.fixture(scope="module")
def contest(digits: Any) -> Contest:
    (found,) = contests(load(digits.results, digits.root))
    return found


def score(cell: tuple[Done, ...], metric: str) -> float:
    return float(np.mean([done.result.scores["test"][metric] for done in cell]))


def test_the_roc_curve_runs_from_corner_to_corner_over_the_area_of_the_score(contest: Contest) -> None:
    cell = contest.cells["supervised", 60]
    curve = roc(cell)
    assert curve is not None
    assert (curve.false_positive[0], curve.true_positive[0]) == (0, 0)
    assert (curve.false_positive[-1], curve.true_positive[-1]) == (1, 1)
    assert np.trapezoid(curve.true_positive, curve.false_positive) == pytest.approx(score(cell, "roc_auc"), abs=0.01)
    assert (curve.lowest <= curve.true_positive + 1e-12).all()
    assert (curve.true_positive <= curve.highest + 1e-12).all()


def test_a_predictor_that_says_the_same_for_all_runs_along_the_diagonal(contest: Contest) -> None:
    curve = roc(contest.cells["mean", 60])
    assert curve is not None
    np.testing.assert_allclose(curve.true_positive, curve.false_positive)


def test_calibration_pools_every_prediction_of_every_seed(contest: Contest) -> None:
    cell = contest.cells["scratch", 20]
    bins = calibration(cell)
    assert bins.count.sum() == 3 * 150
    assert (bins.count * bins.accuracy).sum() / bins.count.sum() == pytest.approx(0.60)


def test_the_confusion_matrix_has_the_known_share_on_its_diagonal(contest: Contest) -> None:
    matrix = confusion(contest.cells["supervised", 60])
    assert matrix.classes == ("5", "6", "7", "8", "9")
    assert matrix.counts.sum() == 450
    assert np.trace(matrix.counts) / 450 == pytest.approx(0.90)
    np.testing.assert_allclose(matrix.shares.sum(axis=1), 1)


def test_the_gap_pools_the_seeds(age: Any) -> None:
    (found,) = contests(load(age.results, age.root))
    pooled = gap(found.cells["scratch", 20])
    assert pooled.gap.shape == pooled.truth.shape == (300,)
    assert np.abs(pooled.gap).mean() == pytest.approx(11.0)
