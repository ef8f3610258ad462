from pathlib import Path

import pytest
from plain_manifest import COUNTS, DEPTH, LR, VALID_SETTINGS, algorithm, changed, faults_of, read

from ctlr.tuning.manifest import ALGORITHMS, STOPPING_RULES, broken_settings, read_settings


def test_the_table_has_an_example_of_every_algorithm() -> None:
    assert set(VALID_SETTINGS) == set(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_takes_its_settings_and_a_seed(tmp_path: Path, name: str) -> None:
    values = {**VALID_SETTINGS[name], "random_state": "3"}
    space = (LR, 'feasibleSpace: {min: "0.1", max: "0.5", step: "0.1"}')
    resume = ("  objective:\n", "  resumePolicy: FromVolume\n  objective:\n")
    experiment = read(tmp_path, changed(algorithm(name, **values), space, resume))
    assert experiment.algorithm.settings == values
    read_back = read_settings(experiment.algorithm)
    assert read_back["random_state"] == 3
    assert set(read_back) == set(ALGORITHMS[name].settings)


def test_settings_that_are_not_written_have_their_defaults(tmp_path: Path) -> None:
    experiment = read(tmp_path, changed(algorithm("bayesianoptimization", acq_func="EI")))
    assert read_settings(experiment.algorithm) == {
        "random_state": None, "base_estimator": "GP", "n_initial_points": 10, "acq_func": "EI", "acq_optimizer": "auto",
    }  # fmt: skip


# Each row: an algorithm, a setting, a value out of its range, and the rule.
OUT_OF_RANGE = [
    ("random", "random_state", "-1", "at least 0"),
    ("random", "random_state", "1.5", "a whole number"),
    ("random", "seed", "1", "random has no setting 'seed'. Known: random_state."),
    ("grid", "gamma", "1", "no setting"),
    ("sobol", "scramble", "1", "no setting"),
    ("tpe", "gamma", "1", "below 1"),
    ("tpe", "gamma", "0", "above 0"),
    ("tpe", "prior_weight", "0", "above 0"),
    ("tpe", "n_EI_candidates", "0", "at least 1"),
    ("tpe", "n_ei_candidates", "0", "at least 1"),
    ("tpe", "n_EI_candidate", "9", "Did you mean 'n_EI_candidates'?"),
    ("multivariate-tpe", "n_startup_trials", "-1", "at least 0"),
    ("multivariate-tpe", "n_ei_candidates", "many", "a whole number"),
    ("bayesianoptimization", "acq_func", "EIps", "gp_hedge, EI, PI, LCB, TS"),
    ("bayesianoptimization", "base_estimator", "NN", "GP, RF, ET, GBRT"),
    ("bayesianoptimization", "base_estimator", "RF", "must be GP; got 'RF', which Katib's own service alone has"),
    ("bayesianoptimization", "n_initial_points", "-1", "at least 0"),
    ("bayesianoptimization", "acq_optimizer", "adam", "auto, sampling, lbfgs"),
    ("cmaes", "sigma", "0", "above 0"),
    ("cmaes", "restart_strategy", "bop", "Did you mean 'bipop'?"),
    ("hyperband", "r_l", "0", "at least 1"),
    ("hyperband", "eta", "1", "at least 2"),
    ("hyperband", "resource_name", "", "is missing"),
    ("pbt", "n_population", "4", "at least 5"),
    ("pbt", "truncation_threshold", "1.1", "at most 1"),
    ("pbt", "resample_probability", "-0.1", "at least 0"),
    ("evolutionary", "population_size", "1", "at least 2"),
    ("evolutionary", "mutation_probability", "2", "at most 1"),
    ("evolutionary", "crossover_probability", "nan", "a number; got 'nan'"),
    ("regularizedevolution", "population_size", "1", "at least 2"),
    ("regularizedevolution", "sample_size", "0", "at least 1"),
    ("regularizedevolution", "mutations", "0.5", "a whole number; got '0.5'"),
]


@pytest.mark.parametrize(("name", "setting", "value", "rule"), OUT_OF_RANGE)
def test_a_setting_out_of_its_range_is_refused(tmp_path: Path, name: str, setting: str, value: str, rule: str) -> None:
    told = faults_of(tmp_path, changed(algorithm(name, **{**VALID_SETTINGS[name], setting: value})))
    assert any(":15: spec.algorithm.algorithmSettings." in line and rule in line for line in told), "\n".join(told)


def test_hyperbands_resource_may_have_a_single_value(tmp_path: Path) -> None:
    resource = 'feasibleSpace: {min: "1", max: "1"}'
    assert read(tmp_path, changed(algorithm("hyperband", r_l="3", resource_name="depth"), (DEPTH, resource)))


def test_medianstop_is_read_with_its_settings(tmp_path: Path) -> None:
    rule = '  earlyStopping: {algorithmName: medianstop, algorithmSettings: [{name: start_step, value: "2"}]}\n'
    experiment = read(tmp_path, changed((COUNTS, COUNTS + rule)))
    assert experiment.early_stopping is not None
    assert read_settings(experiment.early_stopping) == {"min_trials_required": 3, "start_step": 2}
    assert set(STOPPING_RULES) == {"medianstop"}


def test_one_setting_is_not_written_by_two_names() -> None:
    both = {"n_EI_candidates": "8", "n_ei_candidates": "9"}
    assert list(broken_settings("tpe", both, ALGORITHMS)) == [
        ("n_ei_candidates", "n_ei_candidates is another name of n_EI_candidates, which is set too. Remove one of them.")
    ]
