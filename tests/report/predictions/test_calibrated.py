from typing import Any

import numpy as np
import pytest
from finished_bench import finished

from ctlr.report.findings import findings
from ctlr.report.predictions.calibrated import calibration_of, calibration_table, tenths
from ctlr.report.statistics.estimates import Outcome, mean_score


def outcome(seed: int, truth: np.ndarray, predicted: np.ndarray) -> Outcome:
    return Outcome(seed=seed, subjects=np.arange(len(truth)).astype(str), truth=truth, predicted=predicted)


def test_bias_and_slope_are_those_that_predictions_were_made_with() -> None:
    truth = np.linspace(20, 80, 61)
    outcomes = [outcome(seed, truth, 0.5 * truth + 30) for seed in (0, 1)]
    bias, slope = (mean_score(outcomes, name) for name in ("bias", "calibration_slope"))
    assert bias is not None
    assert slope is not None
    assert bias.mean == pytest.approx(5.0)  # 0.5 x 50 + 30 - 50
    assert bias.low < 5 < bias.high
    assert slope.mean == pytest.approx(2.0)
    assert slope.high - slope.low < 1e-6


def test_a_constant_prediction_has_a_bias_and_no_slope() -> None:
    truth = np.linspace(20, 80, 61)
    outcomes = [outcome(0, truth, np.full(61, 40.0))]
    bias = mean_score(outcomes, "bias")
    assert bias is not None
    assert bias.mean == pytest.approx(-10.0)
    assert mean_score(outcomes, "calibration_slope") is None


def test_tenths_are_means_of_predictions_in_their_order() -> None:
    truth, prediction = np.arange(100.0) + 3, np.arange(100.0)
    found = tenths(truth, prediction)
    assert found is not None
    np.testing.assert_allclose(found[1], np.arange(10) * 10 + 4.5)
    np.testing.assert_allclose(found[0], found[1] + 3)
    assert tenths(truth[:29], prediction[:29]) is None


def test_the_error_of_confidence_is_the_score_with_an_interval(digits: Any) -> None:
    (view,) = findings(finished(digits)).views
    rows = {row.method: row for row in calibration_of(view)}
    scores = [done.result.scores["test"] for done in view.contest.cells["supervised", 60]]
    ece = rows["supervised"].values["ece"]
    assert ece.mean == pytest.approx(np.mean([score["ece"] for score in scores]), abs=1e-6)
    assert 0 <= ece.low < ece.mean < ece.high <= 1
    assert rows["supervised"].values["accuracy"].mean == pytest.approx(0.90)
    table = calibration_table(view, list(rows.values()))
    assert table.columns == ("Method", "ECE", "Mean confidence", "Accuracy")


def test_a_regression_has_bias_and_slope_of_every_drawn_method(age: Any) -> None:
    (view,) = findings(finished(age)).views
    table = calibration_table(view, calibration_of(view))
    assert [row[0].text for row in table.rows] == ["scratch", "supervised", "simclr"]
    assert {record["statistic"] for record in table.records} == {"bias", "calibration_slope"}
    assert all(" to " in cell.note for row in table.rows for cell in row[1:])
