"""Algorithms that model results: Gaussian processes and their acquisitions, TPE, CMA-ES."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import check_grad

from ctlr.errors import ConfigError
from ctlr.specs import Parameter
from ctlr.tuning.samplers import make_sampler
from ctlr.tuning.samplers.acquisition import ACQUISITIONS, Lattice
from ctlr.tuning.samplers.gaussian_process import GaussianProcess, Kernel, _Loss, fit
from ctlr.tuning.samplers.space import Space

BRANIN = [
    Parameter(name="x", kind="double", low="-5", high="10"),
    Parameter(name="y", kind="double", low="0", high="15"),
]


def _branin(a: dict[str, str]) -> float:
    x, y = float(a["x"]), float(a["y"])
    bowl = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def _process(noise: float = 1e-6) -> GaussianProcess:
    rows = np.random.default_rng(0).random((20, 3))
    rows[:, 2] = np.where(rows[:, 2] < 0.5, 0.25, 0.75)
    kernel = Kernel(np.array([0.4, 0.7, 1.5]), 1.3, noise, np.array([False, False, True]))
    return GaussianProcess(kernel, rows, np.sin(6 * rows[:, 0]) + rows[:, 1] + (rows[:, 2] > 0.5))


def test_the_kernel_is_the_matern_five_halves() -> None:
    kernel = Kernel(np.array([0.5]), 2.0, 0.0, np.array([False]))
    r = math.sqrt(5) * 0.3 / 0.5
    assert kernel(np.array([[0.1]]), np.array([[0.4]]))[0, 0] == pytest.approx(2 * (1 + r + r * r / 3) * math.exp(-r))


def test_categories_are_told_apart_but_not_measured() -> None:
    kernel = Kernel(np.array([0.5]), 1.0, 0.0, np.array([True]))
    found = kernel(np.array([[0.1]]), np.array([[0.1], [0.3], [0.9]]))[0]
    assert found[0] == 1.0
    assert found[1] == found[2] < 1.0


def test_a_process_without_noise_runs_through_its_values() -> None:
    process = _process()
    mean, deviation = process.predict(process.rows)
    assert mean == pytest.approx(process.values, abs=1e-3)
    assert deviation.max() < 2e-3
    assert process.predict(np.array([[50.0, 50.0, 0.25]]))[1][0] == pytest.approx(math.sqrt(1.3))


def test_slopes_of_the_posterior_are_its_differences() -> None:
    process, place, step = _process(), np.array([0.31, 0.52, 0.25]), 1e-5
    mean, deviation, by_mean, by_deviation = process.gradients(place)
    assert (mean, deviation) == pytest.approx(tuple(float(v[0]) for v in process.predict(place[None])))
    for i in range(2):
        around = np.array([place + step * np.eye(3)[i], place - step * np.eye(3)[i]])
        means, deviations = process.predict(around)
        assert by_mean[i] == pytest.approx((means[0] - means[1]) / (2 * step), rel=1e-4)
        assert by_deviation[i] == pytest.approx((deviations[0] - deviations[1]) / (2 * step), rel=1e-3)


def test_slopes_of_the_fit_are_its_differences() -> None:
    process = _process()
    loss = _Loss(process.rows, process.values, np.array([False, False, True]))
    for start in loss.starts():
        assert check_grad(lambda logs: loss(logs)[0], lambda logs: loss(logs)[1], start) < 1e-4


def test_a_fit_finds_which_parameter_counts_and_how_noisy_values_are() -> None:
    rng = np.random.default_rng(1)
    rows = rng.random((120, 3))
    values = np.sin(8 * rows[:, 0]) + 0.3 * rng.standard_normal(120)
    deviation = values.std()
    kernel = fit(rows, (values - values.mean()) / deviation, np.zeros(3, dtype=bool)).kernel
    assert kernel.lengths[0] < 0.5 * kernel.lengths[1:].min()
    assert math.sqrt(kernel.noise) * deviation == pytest.approx(0.3, rel=0.2)


def test_noise_among_few_values_is_not_taken_for_a_rough_function() -> None:
    # 60 places of a grid of 10 x 10 x 10 x 10, as in tables of trainings that were repeated.
    rng = np.random.default_rng(0)
    rows = (rng.integers(10, size=(60, 4)) + 0.5) / 10
    slope = (rows[:, 0] - 0.5) ** 2 + 0.5 * rows[:, 1]
    values = slope / slope.std() + 0.5 * rng.standard_normal(60)
    deviation = values.std()
    kernel = fit(rows, (values - values.mean()) / deviation, np.zeros(4, dtype=bool)).kernel
    assert math.sqrt(kernel.noise) * deviation == pytest.approx(0.5, rel=0.3)


def test_values_without_noise_are_believed() -> None:
    rows = np.random.default_rng(0).random((60, 2))
    values = np.sin(6 * rows[:, 0]) + rows[:, 1]
    kernel = fit(rows, (values - values.mean()) / values.std(), np.zeros(2, dtype=bool)).kernel
    assert math.sqrt(kernel.noise) < 1e-3


def test_believed_trials_leave_no_doubt_and_change_no_mean() -> None:
    process, places = _process(), np.array([[0.5, 0.5, 0.25], [0.9, 0.1, 0.75]])
    believing = process.believing(places)
    assert believing.predict(places)[1].max() < 2e-3
    assert believing.predict(process.rows)[0] == pytest.approx(process.predict(process.rows)[0], abs=1e-4)


def test_rows_that_all_but_coincide_are_no_obstacle() -> None:
    kernel = Kernel(np.array([100.0]), 100.0, 0.0, np.array([False]))
    rows = np.linspace(0.5, 0.5 + 1e-7, 60)[:, None]
    mean, _ = GaussianProcess(kernel, rows, np.ones(60)).predict(np.array([[0.5]]))
    assert mean[0] == pytest.approx(1.0, abs=1e-3)


def test_five_hundred_trials_of_ten_parameters_are_modelled(make_experiment: Any, search: Any) -> None:
    parameters = [Parameter(name=f"x{i}", kind="double", low="0", high="1") for i in range(10)]

    def value(a: dict[str, str]) -> float:
        return (float(a["x0"]) - 0.3) ** 2 + (float(a["x1"]) - 0.7) ** 2

    drawn = search(make_sampler(make_experiment("random", parameters), seed=0), 500, value)
    (proposal,) = make_sampler(make_experiment("bayesianoptimization", parameters), seed=0).propose(drawn, 1)
    # By now the model knows the bowl's bottom far better than the best of 500 draws.
    assert value(proposal.assignments) < 0.1 * min(t.value for t in drawn)


def test_initial_points_without_number_take_no_room(make_experiment: Any) -> None:
    few, endless = (
        make_sampler(make_experiment("bayesianoptimization", BRANIN, n_initial_points=number), seed=0).propose([], 3)
        for number in ("10", "99999999")
    )
    assert few == endless


_Z = [-30.0, -3.0, -1.5, -0.5, 0.0, 2.0]


@pytest.mark.parametrize("z", _Z)
def test_log_expected_improvement_is_its_integral(z: float) -> None:
    score, _, _ = ACQUISITIONS["EI"](np.array([-2.0 * z]), np.array([2.0]), 0.0)
    if z > -5:
        known = math.log(2 * (z * stats.norm.cdf(z) + stats.norm.pdf(z)))
    else:  # its asymptote: phi(z) / z^2
        known = math.log(2) + stats.norm.logpdf(z) - 2 * math.log(-z) + math.log1p(-3 / z**2)
    assert float(score[0]) == pytest.approx(known, rel=1e-4)


def test_the_chance_of_improvement_and_the_bound_are_the_known_ones() -> None:
    mean, deviation = np.array([0.5]), np.array([0.25])
    assert ACQUISITIONS["PI"](mean, deviation, 0.51)[0][0] == pytest.approx(math.log(0.5))
    assert ACQUISITIONS["LCB"](mean, deviation, 0.0)[0][0] == pytest.approx(-0.5 + 1.96 * 0.25)


@pytest.mark.parametrize("name", ACQUISITIONS)
@pytest.mark.parametrize("z", _Z)
def test_slopes_of_acquisitions_are_their_differences(name: str, z: float) -> None:
    def score(mean: float, deviation: float) -> Any:
        return ACQUISITIONS[name](np.array([mean]), np.array([deviation]), 0.3)

    mean, deviation, step = 0.3 - 0.8 * z, 0.8, 1e-6
    _, by_mean, by_deviation = score(mean, deviation)
    differences = [
        (score(mean + step, deviation)[0] - score(mean - step, deviation)[0]) / (2 * step),
        (score(mean, deviation + step)[0] - score(mean, deviation - step)[0]) / (2 * step),
    ]
    assert [by_mean[0], by_deviation[0]] == pytest.approx([d[0] for d in differences], rel=1e-3, abs=1e-6)


def test_rows_snap_to_values_and_neighbours_are_values() -> None:
    space = Space([
        Parameter(name="a", kind="double", low="0", high="1"),
        Parameter(name="b", kind="int", low="0", high="4"),
        Parameter(name="c", kind="int", low="1", high="64", distribution="logUniform"),
        Parameter(name="d", kind="categorical", values=("x", "y", "z")),
    ])  # fmt: skip
    lattice = Lattice(space)
    rows = lattice.snap(np.random.default_rng(0).random((50, 4)))
    assert rows == pytest.approx(np.array([space.units(space.at(row)) for row in rows]))
    around = lattice.neighbours(space.units((0.3, 0, 63, 1)))
    assert sorted(space.at(row) for row in around[1:]) == sorted(
        [(0.3, b, 63, 1) for b in (1, 2, 3)]
        + [(0.3, 0, c, 1) for c in (60, 61, 62)]
        + [(0.3, 0, 63, d) for d in (0, 2)]
    )


@pytest.mark.parametrize("function", ["EI", "PI", "LCB", "TS", "gp_hedge"])
def test_every_acquisition_beats_chance_on_branin(function: str, make_experiment: Any, search: Any) -> None:
    modelled = make_sampler(make_experiment("bayesianoptimization", BRANIN, acq_func=function), seed=0)
    drawn = make_sampler(make_experiment("random", BRANIN), seed=0)
    best, chance = (min(t.value for t in search(s, 30, _branin)) for s in (modelled, drawn))
    assert best - 0.397887 < 0.1 < chance - 0.397887


def test_a_trial_that_diverged_does_not_blind_the_model(make_experiment: Any, search: Any) -> None:
    def value(a: dict[str, str]) -> float:
        return 1e30 if float(a["x"]) > 6 else _branin(a)

    trials = search(make_sampler(make_experiment("bayesianoptimization", BRANIN), seed=3), 30, value)
    assert max(t.value for t in trials[:10]) == 1e30
    assert min(t.value for t in trials) - 0.397887 < 0.01


def test_a_portfolio_says_which_function_chose(make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("bayesianoptimization", BRANIN, acq_func="gp_hedge"), seed=0)
    trials = search(sampler, 30, _branin)
    assert all("acquisition" not in t.labels for t in trials[:10])
    assert {t.labels["acquisition"] for t in trials[10:]} == {"EI", "LCB", "PI"}


@pytest.mark.parametrize(
    ("algorithm", "edge", "by_chance"),
    # CMA-ES looks around the middle first, so its region begins there.
    [("bayesianoptimization", 7.0, 24), ("tpe", 7.0, 24), ("multivariate-tpe", 7.0, 24), ("cmaes", 2.5, 15)],
)
def test_a_region_that_fails_is_left(
    algorithm: str, edge: float, by_chance: int, make_experiment: Any, search: Any
) -> None:
    def value(a: dict[str, str]) -> float | None:
        return None if float(a["x"]) < edge else _branin(a)

    trials = search(make_sampler(make_experiment(algorithm, BRANIN), seed=0), 60, value)
    assert sum(t.status == "Failed" for t in trials[30:]) < 0.65 * by_chance


@pytest.mark.parametrize("algorithm", ["bayesianoptimization", "tpe", "multivariate-tpe", "cmaes", "evolutionary"])
def test_a_warm_start_begins_near_the_earlier_best(algorithm: str, make_experiment: Any, search: Any) -> None:
    def bowl(a: dict[str, str]) -> float:
        return (float(a["x"]) - 8) ** 2 + (float(a["y"]) - 3) ** 2

    earlier = search(make_sampler(make_experiment("random", BRANIN), seed=1), 60, bowl)
    cold, warm = (
        [t.value for t in search(make_sampler(make_experiment(algorithm, BRANIN), seed=2, earlier=known), 5, bowl)]
        for known in ((), earlier)
    )
    assert np.median(warm) < 0.5 * np.median(cold)


@pytest.mark.parametrize("strategy", ["none", "ipop", "bipop"])
def test_cma_es_begins_anew_only_if_told_to(strategy: str, make_experiment: Any, search: Any) -> None:
    experiment = make_experiment("cmaes", BRANIN, restart_strategy=strategy, sigma="0.2")
    # A plateau gives the strategy nothing to go by: it stops at the 25th generation of 6 at the latest.
    trials = search(make_sampler(experiment, seed=0), 420, lambda _: 1.0)
    sizes = np.bincount([int(t.labels["generation"]) for t in trials])[:-1]
    assert set(sizes[:20]) == {6}
    assert (sizes.max() > 6) == (strategy != "none")


def test_cma_es_needs_a_number(make_experiment: Any) -> None:
    with pytest.raises(ConfigError, match="cmaes needs numbers to vary"):
        make_sampler(make_experiment("cmaes", [Parameter(name="x", kind="categorical", values=("a", "b"))]), seed=0)


@pytest.mark.parametrize("settings", [{}, {"gamma": "0.3", "prior_weight": "2.0", "n_EI_candidates": "8"}])
def test_tpe_takes_katibs_settings(settings: dict[str, str], make_experiment: Any, search: Any) -> None:
    trials = search(make_sampler(make_experiment("tpe", BRANIN, **settings), seed=0), 40, _branin)
    assert np.median([t.value for t in trials[20:]]) < 0.75 * np.median([t.value for t in trials[:10]])


def test_tpe_takes_optunas_names_too(make_experiment: Any, search: Any) -> None:
    ours = make_sampler(make_experiment("tpe", BRANIN, n_EI_candidates="8"), seed=0)
    trials = search(ours, 15, _branin)
    theirs = make_sampler(make_experiment("tpe", BRANIN, n_ei_candidates="8"), seed=0)
    assert theirs.propose(trials, 2) == ours.propose(trials, 2)
    later = make_sampler(make_experiment("tpe", BRANIN, n_EI_candidates="8", n_startup_trials="30"), seed=0)
    assert later.propose(trials, 2) != ours.propose(trials, 2)


def test_ten_proposals_after_three_thousand_trials_are_there_well_before_katib_gives_up(
    make_experiment: Any, make_trial: Callable[..., Any]
) -> None:
    places = make_sampler(make_experiment("random", BRANIN), seed=0).propose([], 3000)
    trials = [make_trial(i, p, _branin(p.assignments)) for i, p in enumerate(places)]
    sampler = make_sampler(make_experiment("bayesianoptimization", BRANIN), seed=0)
    began = time.process_time()
    found = sampler.propose(trials, 10)
    assert time.process_time() - began < 25  # of the 60 s that Katib waits
    assert np.median([_branin(p.assignments) for p in found]) < np.quantile([t.value for t in trials], 0.02)


def test_tpe_models_the_best_and_the_latest_of_many_trials(
    make_experiment: Any, make_trial: Callable[..., Any]
) -> None:
    sampler = make_sampler(make_experiment("tpe", BRANIN), seed=0)
    random = make_sampler(make_experiment("random", BRANIN), seed=0).propose([], 500)
    trials = [make_trial(i, p, _branin(p.assignments)) for i, p in enumerate(random)]
    worst = max(trials[100:200], key=lambda t: t.value)
    best = min(trials[:200], key=lambda t: t.value)
    base = sampler.propose(trials, 5)

    def proposed_after(number: int, value: float) -> Any:
        changed = [*trials[:number], trials[number].model_copy(update={"value": value}), *trials[number + 1 :]]
        return sampler.propose(changed, 5)

    assert proposed_after(worst.number, worst.value + 1) == base
    assert proposed_after(best.number, 1e6) != base


def test_neither_optuna_nor_torch_is_loaded_with_the_package() -> None:
    code = "import sys, ctlr.tuning.samplers; sys.exit(bool({'optuna', 'torch', 'scipy.stats'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
