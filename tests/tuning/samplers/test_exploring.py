from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from ctlr.errors import ConfigError
from ctlr.specs import Parameter, Proposal
from ctlr.tuning.samplers import make_sampler


def _double(distribution: str, low: str, high: str, step: str = "") -> Parameter:
    return Parameter(name="x", kind="double", low=low, high=high, step=step, distribution=distribution)


_KNOWN = {
    "uniform": ("-1", "3", stats.uniform(-1, 4)),
    "logUniform": ("1e-5", "0.1", stats.loguniform(1e-5, 0.1)),
    "normal": ("0", "12", stats.truncnorm(-3, 3, loc=6, scale=2)),
}


@pytest.mark.parametrize("distribution", _KNOWN)
@pytest.mark.parametrize("algorithm", ["random", "sobol", "tpe", "bayesianoptimization", "evolutionary"])
def test_first_values_follow_the_distribution(algorithm: str, distribution: str, make_experiment: Any) -> None:
    low, high, known = _KNOWN[distribution]
    # Without results there is no model: every algorithm explores.
    proposals = make_sampler(make_experiment(algorithm, [_double(distribution, low, high)]), seed=11).propose([], 200)
    assert stats.kstest([float(p.assignments["x"]) for p in proposals], known.cdf).pvalue > 0.05


@pytest.mark.parametrize("distribution", ["logUniform", "normal"])
def test_another_distribution_is_told_apart_by_the_same_test(distribution: str, make_experiment: Any) -> None:
    _, _, known = _KNOWN["uniform"]
    low, high = ("0.1", "3") if distribution == "logUniform" else ("-1", "3")
    proposals = make_sampler(make_experiment("random", [_double(distribution, low, high)]), seed=11).propose([], 200)
    assert stats.kstest([float(p.assignments["x"]) for p in proposals], known.cdf).pvalue < 1e-3


def test_a_grid_walks_nested_loops_with_exact_decimals(make_experiment: Any) -> None:
    parameters = [
        Parameter(name="optimiser", kind="categorical", values=("sgd", "adam")),
        _double("uniform", "0.1", "0.5", "0.1"),
    ]
    sampler = make_sampler(make_experiment("grid", parameters), seed=0)
    steps = ["0.1", "0.2", "0.3", "0.4", "0.5"]
    expected = [{"optimiser": name, "x": step} for name in ("sgd", "adam") for step in steps]
    assert [p.assignments for p in sampler.propose([], 11)] == expected


def test_a_grid_goes_on_with_what_earlier_trials_left(make_experiment: Any, make_trial: Any) -> None:
    experiment = make_experiment("grid", [_double("uniform", "0.1", "0.5", "0.1")])
    earlier = [make_trial(i, Proposal(assignments={"x": text}), 1.0) for i, text in enumerate(("0.1", "0.4"))]
    left = make_sampler(experiment, seed=0, earlier=earlier).propose([], 5)
    assert sorted(p.assignments["x"] for p in left) == ["0.2", "0.3", "0.5"]


def test_a_grid_needs_steps(make_experiment: Any) -> None:
    with pytest.raises(ConfigError, match="x: grid needs a step for a double; got none. Add `step`"):
        make_sampler(make_experiment("grid", [_double("uniform", "0", "1")]), seed=0)


def test_sobols_first_points_are_the_known_ones(make_experiment: Any) -> None:
    square = [_double("uniform", "0", "1").model_copy(update={"name": name}) for name in ("x", "y")]
    proposals = make_sampler(make_experiment("sobol", square), seed=0).propose([], 4)
    assert [(float(p.assignments["x"]), float(p.assignments["y"])) for p in proposals] == [
        (0.0, 0.0), (0.5, 0.5), (0.75, 0.25), (0.25, 0.75),
    ]  # fmt: skip
