"""`python -m bench statistics` judges simulated benchmarks as the report judges real ones."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctlr.report.statistics.estimates import Outcome, gains_together, holm, mean_score, paired_gain, scores_together

SUBJECTS, SEEDS, COUNT = 10, 3, 12


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parents[3] / "bench" / "simulation.py"))


def test_simulated_benchmarks_are_judged_as_the_report_judges_real_ones(bench: dict[str, Any]) -> None:
    # All that counts is whether an interval holds a value: values at its ends are where a difference would show.
    scenario = bench["SCENARIOS"]["seeds vary unequally"]
    found = bench["simulate"](scenario, "MAE", COUNT, SUBJECTS, np.random.default_rng(0))
    errors = SUBJECTS * -found.scores[..., None] + (SUBJECTS - 1) * found.left_out  # (B, 4, 3, 10, S)
    truth = np.array([-10.0, -10.0, -6.0, -14.0])
    shares = bench["shares"](found, truth, "MAE", SEEDS)
    for index in range(COUNT):
        cells = [[_outcomes(errors[index, method, size]) for size in range(3)] for method in range(4)]
        gains = [paired_gain(cells[m][n], cells[0][n], "mae") for m in (1, 2, 3) for n in range(3)]
        together = gains_together([gain for gain in gains if gain is not None], "mae", level=0.95)
        held = [g.low <= truth[1 + j // 3] - truth[0] <= g.high for j, g in enumerate(together)]
        assert np.mean(held) == pytest.approx(shares.gains[index])
        scores = [mean_score(cells[m][n], "mae") for m in range(4) for n in range(3)]
        ends = scores_together([score for score in scores if score is not None], "mae", level=0.95)
        assert np.mean([e.low <= -truth[j // 3] <= e.high for j, e in enumerate(ends)]) == pytest.approx(
            shares.scores[index]
        )
        assert (min(holm([gain.p for gain in together])) < 0.05) == shares.false[index]
    assert 0 < shares.gains.mean() < 1
    assert 0 < shares.scores.mean() < 1


def _outcomes(errors: np.ndarray[Any, Any]) -> list[Outcome]:
    """Of the first seeds: (10, S) absolute errors."""
    return [
        Outcome(seed=s, subjects=np.arange(SUBJECTS), truth=np.zeros(SUBJECTS), predicted=errors[s])
        for s in range(SEEDS)
    ]


def test_near_constant_predictions_give_no_false_verdict(bench: dict[str, Any]) -> None:
    scenario = bench["SCENARIOS"]["near-constant predictions"]
    found = bench["simulate"](scenario, "MAE", 200, 50, np.random.default_rng(1))
    shares = bench["shares"](found, np.zeros(4), "MAE", SEEDS)
    assert shares.false.mean() <= 0.02
    assert shares.gains.mean() >= 0.97
