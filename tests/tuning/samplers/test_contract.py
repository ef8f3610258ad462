"""What every search algorithm must keep, whatever the space."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Parameter, Proposal, Trial
from ctlr.tuning.manifest import ALGORITHMS
from ctlr.tuning.samplers import SAMPLERS, make_sampler
from ctlr.tuning.samplers.space import Space

SETTINGS: dict[str, dict[str, str]] = {
    "bayesianoptimization": {"n_initial_points": "5"},
    "cmaes": {"restart_strategy": "ipop"},
    "evolutionary": {"population_size": "6"},
    "hyperband": {"r_l": "9", "eta": "3", "resource_name": "epochs"},
    "multivariate-tpe": {"n_startup_trials": "5"},
    "regularizedevolution": {"population_size": "6"},
    "pbt": {"suggestion_trial_dir": "/opt", "n_population": "5", "truncation_threshold": "0.2"},
}


def _number(name: str, kind: str, low: str, high: str, step: str = "", distribution: str = "uniform") -> Parameter:
    return Parameter(name=name, kind=kind, low=low, high=high, step=step, distribution=distribution)


EPOCHS = _number("epochs", "int", "1", "9")
SPACES: dict[str, tuple[Parameter, ...]] = {
    "continuous": (
        _number("a", "double", "-1", "3"),
        _number("b", "double", "1e-6", "0.1", distribution="logUniform"),
        _number("c", "double", "0", "10", distribution="normal"),
        _number("d", "double", "0.1", "10", distribution="logNormal"),
        EPOCHS,
    ),
    "stepped": (
        _number("a", "double", "0.1", "0.9", step="0.05"),
        _number("b", "int", "16", "512", step="16", distribution="logUniform"),
        _number("c", "int", "-50", "50", distribution="normal"),
        EPOCHS,
    ),
    "mixed": (
        _number("a", "double", "1e-5", "1", distribution="logUniform"),
        Parameter(name="b", kind="categorical", values=("adam", "sgd", "rmsprop")),
        Parameter(name="c", kind="discrete", values=("128", "32", "64")),
        _number("d", "int", "3", "3"),
        EPOCHS,
    ),
    "large": (
        _number("a", "int", "0", str(10**20)),
        _number("b", "double", "0", "1", step="1e-9"),
        EPOCHS,
    ),
}
FINITE = (
    _number("a", "int", "1", "3"),
    Parameter(name="b", kind="categorical", values=("x", "y")),
    _number("c", "double", "0.1", "0.3", step="0.1", distribution="logUniform"),
    EPOCHS,
)

REPEATS = {"pbt": "a member that trains on keeps its values and goes on from its checkpoint"}
CLIMBS = {"hyperband": "what it walks is the space without its resource"}
COUNTED = {"grid": "needs a space that can be counted"}
BLIND = {"grid", "random", "sobol"}

CASES = [(a, s) for a in SAMPLERS for s in SPACES if a not in COUNTED or s in ("stepped", "large")]


def _value(assignments: dict[str, str]) -> float:
    """Any objective with a slope."""
    return sum(len(text) + float(i) if not _is_number(text) else math.atan(float(text)) for i, text in
               enumerate(assignments.values()))  # fmt: skip


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).replace("e-", "", 1).isdigit()


def _made(make_experiment: Any, algorithm: str, parameters: tuple[Parameter, ...], **options: Any) -> Experiment:
    return make_experiment(algorithm, parameters, **SETTINGS.get(algorithm, {}), **options)


def test_every_algorithm_that_manifests_know_has_a_sampler() -> None:
    assert set(SAMPLERS) == set(ALGORITHMS)


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_a_fresh_sampler_proposes_what_one_that_went_along_does(
    algorithm: str, space: str, make_experiment: Any, search: Any
) -> None:
    experiment = _made(make_experiment, algorithm, SPACES[space])
    along = make_sampler(experiment, seed=3)
    trials = search(along, 14, _value, batch=2)
    fresh = make_sampler(experiment, seed=3)
    assert along.propose(trials, 3) == fresh.propose(trials, 3)
    assert along.propose(trials[:7], 2) == make_sampler(experiment, seed=3).propose(trials[:7], 2)


@pytest.mark.parametrize(
    ("algorithm", "setting"),
    [(a, name) for a, known in ALGORITHMS.items() for name, each in known.settings.items() if each.default is not None],
)
def test_a_default_that_is_written_out_changes_nothing(
    algorithm: str, setting: str, make_experiment: Any, search: Any
) -> None:
    needed = {name: text for name, text in SETTINGS.get(algorithm, {}).items() if name != setting}
    default = ALGORITHMS[algorithm].settings[setting].default
    space = SPACES["stepped"]
    plain = make_sampler(make_experiment(algorithm, space, **needed), seed=4)
    written = make_sampler(make_experiment(algorithm, space, **{**needed, setting: str(default)}), seed=4)
    trials = search(plain, 16, _value, batch=2)
    assert written.propose(trials, 2) == plain.propose(trials, 2)


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_proposals_lie_in_the_space_on_its_steps_and_never_repeat(
    algorithm: str, space: str, make_experiment: Any, search: Any
) -> None:
    trials = search(make_sampler(_made(make_experiment, algorithm, SPACES[space]), seed=5), 24, _value, batch=3)
    assert len(trials) == 24
    for trial in trials:
        assert list(trial.assignments) == [parameter.name for parameter in SPACES[space]]
        for parameter in SPACES[space]:
            assert _is_allowed(parameter, trial.assignments[parameter.name])
    if algorithm not in REPEATS:
        assert len({tuple(trial.assignments.values()) for trial in trials}) == len(trials)


def _is_allowed(parameter: Parameter, text: str) -> bool:
    if parameter.values:
        return text in parameter.values
    low, value, high = Decimal(parameter.low), Decimal(text), Decimal(parameter.high)
    if parameter.kind == "int" and not text.lstrip("-").isdigit():
        return False
    if not parameter.step and parameter.kind == "double":
        return low <= value <= high and repr(float(text)) == text
    return low <= value <= high and (value - low) % Decimal(parameter.step or 1) == 0


@pytest.mark.parametrize("algorithm", [a for a in SAMPLERS if a not in REPEATS and a not in CLIMBS])
def test_a_countable_space_is_walked_to_its_end(algorithm: str, make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(_made(make_experiment, algorithm, FINITE[:3]), seed=2)
    assert not sampler.exhausted([])
    trials = search(sampler, 100, _value, batch=4)
    assert len(trials) == 3 * 2 * 3
    assert len({tuple(trial.assignments.values()) for trial in trials}) == 18
    assert sampler.exhausted(trials)
    assert not sampler.exhausted(trials[:-1])


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_one_seed_proposes_other_places_than_another(algorithm: str, space: str, make_experiment: Any) -> None:
    experiment = _made(make_experiment, algorithm, SPACES[space])
    one, other = (make_sampler(experiment, seed=seed).propose([], 4) for seed in (0, 1))
    if algorithm in ("grid", "sobol"):  # fixed sequences
        assert one == other
    else:
        assert one != other


@pytest.mark.parametrize("algorithm", [a for a in SAMPLERS if a not in BLIND])
def test_maximising_mirrors_minimising(algorithm: str, make_experiment: Any, search: Any) -> None:
    low = search(make_sampler(_made(make_experiment, algorithm, SPACES["mixed"]), seed=1), 20, _value)
    up = _made(make_experiment, algorithm, SPACES["mixed"], direction="maximize")
    high = search(make_sampler(up, seed=1), 20, lambda a: -_value(a))
    assert [trial.assignments for trial in low] == [trial.assignments for trial in high]


@pytest.mark.parametrize("algorithm", list(SAMPLERS))
def test_whether_results_count_is_said(
    algorithm: str, make_experiment: Any, make_trial: Callable[..., Trial], search: Any
) -> None:
    # Every fifth value is the best: what comes after the 20 trials has to depend on which.
    sampler = make_sampler(_made(make_experiment, algorithm, FINITE), seed=4)
    trials = search(sampler, 16, _value)
    turned = [t.model_copy(update={"value": -(t.value or 0.0)}) for t in trials]
    followed = [[p.assignments for p in sampler.propose(each, 4)] for each in (trials, turned)]
    assert (followed[0] != followed[1]) == sampler.uses_results


@pytest.mark.parametrize(("algorithm", "space"), CASES)
def test_proposals_made_together_differ_and_are_those_made_one_by_one(
    algorithm: str, space: str, make_experiment: Any, make_trial: Callable[..., Trial], search: Any
) -> None:
    experiment = _made(make_experiment, algorithm, SPACES[space])
    sampler = make_sampler(experiment, seed=7)
    trials = search(sampler, 12, _value)
    together = sampler.propose(trials, 4)
    one_by_one: list[Proposal] = []
    for _ in together:
        pending = [make_trial(12 + i, p, None, "Running") for i, p in enumerate(one_by_one)]
        one_by_one += make_sampler(experiment, seed=7).propose([*trials, *pending], 1)
    assert together == one_by_one
    if algorithm not in REPEATS:
        assert len({tuple(p.assignments.values()) for p in together}) == len(together)


@pytest.mark.parametrize("algorithm", list(SAMPLERS))
def test_failed_trials_are_passed_over_by_none_and_stop_none(algorithm: str, make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(_made(make_experiment, algorithm, FINITE), seed=6)
    trials = search(sampler, 16, lambda a: None if a["b"] == "x" else _value(a), batch=2)
    assert len(trials) == 16
    if algorithm not in REPEATS:
        assert len({tuple(trial.assignments.values()) for trial in trials}) == 16
    assert make_sampler(_made(make_experiment, algorithm, FINITE), seed=6).propose([], 1)


@pytest.mark.parametrize("algorithm", list(SAMPLERS))
@pytest.mark.parametrize("values", [[None] * 12, [1.0] * 12, [1e300, -1e300] * 6, [None, 3.0] * 6])
def test_no_values_upset_an_algorithm(
    algorithm: str, values: list[float | None], make_experiment: Any, search: Any
) -> None:
    left = iter(values)
    sampler = make_sampler(_made(make_experiment, algorithm, SPACES["stepped"]), seed=8)
    trials = search(sampler, 12, lambda _: next(left))
    assert len(trials) >= 9
    assert len(sampler.propose(trials, 1)) == 1


@pytest.mark.parametrize("algorithm", list(SAMPLERS))
def test_earlier_trials_are_not_proposed_again(algorithm: str, make_experiment: Any, search: Any) -> None:
    experiment = _made(make_experiment, algorithm, FINITE[:3] if algorithm not in CLIMBS else FINITE)
    earlier = search(make_sampler(experiment, seed=1), 9, _value)
    warm = make_sampler(experiment, seed=2, earlier=earlier)
    trials = search(warm, 9, _value)
    known = {tuple(trial.assignments.values()) for trial in earlier}
    assert len(trials) == 9
    if algorithm not in REPEATS:
        assert not known & {tuple(trial.assignments.values()) for trial in trials}
        assert warm.exhausted(trials) == (algorithm not in CLIMBS)


@pytest.mark.parametrize("algorithm", list(SAMPLERS))
def test_what_a_sampler_was_shown_before_leaves_no_trace(algorithm: str, make_experiment: Any, search: Any) -> None:
    experiment = _made(make_experiment, algorithm, FINITE)
    trials = search(make_sampler(experiment, seed=1), 12, _value)
    others = search(make_sampler(experiment, seed=2), 12, _value)
    late = [*trials[:5], *(t.model_copy(update={"status": "Running", "value": None}) for t in trials[5:])]
    sampler = make_sampler(experiment, seed=1)
    for shown in (others, late, trials[:3]):
        sampler.propose(shown, 2)
    assert sampler.propose(trials, 2) == make_sampler(experiment, seed=1).propose(trials, 2)
    assert sampler.propose(late, 2) == make_sampler(experiment, seed=1).propose(late, 2)


def test_a_trial_outside_the_space_is_refused(make_experiment: Any, make_trial: Callable[..., Trial]) -> None:
    sampler = make_sampler(make_experiment("random", FINITE[:1]), seed=0)
    with pytest.raises(ConfigError, match=r"a: a trial's value must lie in the space; got '4'"):
        sampler.propose([make_trial(0, Proposal(assignments={"a": "4"}), 1.0)], 1)


def test_an_unknown_algorithm_is_refused_with_the_nearest_name(make_experiment: Any) -> None:
    experiment = make_experiment("random", FINITE)
    wrong = experiment.model_copy(update={"algorithm": experiment.algorithm.model_copy(update={"name": "randon"})})
    with pytest.raises(ConfigError, match="Did you mean 'random'"):
        make_sampler(wrong, seed=0)


@pytest.mark.parametrize("space", SPACES)
def test_texts_and_points_undo_each_other(space: str, make_experiment: Any, search: Any) -> None:
    for trial in search(make_sampler(make_experiment("random", SPACES[space]), seed=9), 50, _value):
        point = Space(SPACES[space]).point(trial.assignments)
        assert Space(SPACES[space]).assignments(point) == trial.assignments
