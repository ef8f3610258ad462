"""Parzen estimators over a search space, and the searches that rest on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from ctlr.specs import Parameter
from ctlr.tuning.samplers import make_sampler
from ctlr.tuning.samplers.parzen import Columns, ParzenEstimator
from ctlr.tuning.samplers.space import Space

COUNTED = Space([
    Parameter(name="a", kind="int", low="1", high="10"),
    Parameter(name="b", kind="categorical", values=("x", "y", "z")),
])  # fmt: skip
OPEN = Space([Parameter(name="a", kind="double", low="0", high="1")])


def _estimator(space: Space, points: list[tuple[float, ...]], weights: list[float]) -> ParzenEstimator:
    rows = np.array([space.units(point) for point in points]).reshape(-1, len(space))
    return ParzenEstimator(Columns.of(space), rows, np.array(weights), prior_weight=1.0)


def _all(space: Space) -> np.ndarray:
    assert space.size is not None
    return np.array([space.units(space.numbered(number)) for number in range(space.size)])


@pytest.mark.parametrize("points", [[], [(3, 1)], [(0, 0), (9, 2), (9, 2), (4, 1)]])
def test_shares_of_all_values_add_up_to_one(points: list[tuple[float, ...]]) -> None:
    shares = np.exp(_estimator(COUNTED, points, [1.0] * len(points)).log_density(_all(COUNTED)))
    assert shares.sum() == pytest.approx(1.0)


def test_without_trials_there_is_the_prior_alone() -> None:
    prior = stats.truncnorm(-0.5, 0.5, loc=0.5)
    places = np.array([[0.1], [0.5], [0.9]])
    assert _estimator(OPEN, [], []).log_density(places) == pytest.approx(prior.logpdf(places[:, 0]))


def test_a_kernel_is_as_wide_as_the_way_to_its_farther_neighbour() -> None:
    found = np.exp(_estimator(OPEN, [(0.2,), (0.3,), (0.9,)], [1.0, 2.0, 1.0]).log_density(np.array([[0.4]])))
    known = 0.0
    # An end of the range is no neighbour: the first kernel is 0.1 wide, but three rows want a fifth at least.
    for mean, width, weight in [(0.2, 0.2, 1), (0.3, 0.6, 2), (0.9, 0.6, 1), (0.5, 1.0, 1)]:
        known += weight / 5 * stats.truncnorm(-mean / width, (1 - mean) / width, loc=mean, scale=width).pdf(0.4)
    assert found[0] == pytest.approx(known)


def test_a_category_keeps_what_the_prior_leaves_it() -> None:
    space = Space([Parameter(name="b", kind="categorical", values=("x", "y", "z"))])
    shares = np.exp(_estimator(space, [(0,)], [1.0]).log_density(_all(space)))
    # Two kernels: the trial's own, (1 + 1/2, 1/2, 1/2) over 5/2, and the prior's thirds.
    assert shares == pytest.approx([(0.6 + 1 / 3) / 2, (0.2 + 1 / 3) / 2, (0.2 + 1 / 3) / 2])


def test_draws_are_as_frequent_as_the_density_says() -> None:
    estimator = _estimator(COUNTED, [(0, 0), (1, 0), (8, 2)], [1.0, 1.0, 0.5])
    drawn = estimator.draw(40_000, np.random.default_rng(0))
    places = _all(COUNTED)
    frequent = [np.all(np.isclose(drawn, place), axis=1).mean() for place in places]
    assert frequent == pytest.approx(np.exp(estimator.log_density(places)), abs=0.005)


def test_tpe_and_its_joint_namesake_are_one_search(make_experiment: Any, search: Any) -> None:
    found = [
        [t.assignments for t in search(make_sampler(make_experiment(name, _GRID), seed=0), 30, _additive)]
        for name in ("tpe", "multivariate-tpe")
    ]
    assert found[0] == found[1]


_GRID = [Parameter(name=f"x{i}", kind="categorical", values=tuple("abcd")) for i in range(4)]
_BEST = "abca"


def _additive(a: dict[str, str]) -> float:
    return float(sum(a[f"x{i}"] != best for i, best in enumerate(_BEST)))


@pytest.mark.parametrize("algorithm", ["tpe", "multivariate-tpe"])
def test_what_the_model_draws_again_is_no_end(algorithm: str, make_experiment: Any, search: Any) -> None:
    for seed in range(3):
        trials = search(make_sampler(make_experiment(algorithm, _GRID), seed=seed), 60, _additive)
        # Of 256 places 13 differ from the best in one value at most; by chance 3 of them are among 60.
        assert sum(t.value <= 1 for t in trials) >= 11
