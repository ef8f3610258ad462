from __future__ import annotations

from typing import Any

import pytest

from ctlr.specs import Parameter, Proposal, Trial
from ctlr.tuning.samplers import GENERATION, MEMBER, PARENT, make_sampler

RATE = Parameter(name="lr", kind="double", low="1e-4", high="1", distribution="logUniform")
DEPTH = Parameter(name="depth", kind="int", low="1", high="20")
HEADS = Parameter(name="heads", kind="discrete", values=("1", "2", "4", "8"))
TEN = {"suggestion_trial_dir": "/opt", "n_population": "10", "truncation_threshold": "0.2"}


def _rate(assignments: dict[str, str]) -> float:
    return float(assignments["lr"])


def _generations(trials: list[Trial]) -> list[list[Trial]]:
    last = max(int(t.labels[GENERATION]) for t in trials)
    return [[t for t in trials if t.labels[GENERATION] == str(g)] for g in range(last + 1)]


def test_the_last_of_a_population_take_over_from_the_first_and_vary(make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("pbt", [RATE, DEPTH, HEADS], **TEN), seed=0)
    first, second = _generations(search(sampler, 20, _rate, batch=10))
    ranked = sorted(first, key=lambda t: t.value or 0.0)
    best, last = ranked[:2], ranked[-2:]
    by_member = {t.labels[MEMBER]: t for t in second}
    for trial in first:
        child = by_member[trial.labels[MEMBER]]
        if trial in last:
            parent = next(t for t in best if t.name == child.labels[PARENT])
            ratio = float(child.assignments["lr"]) / float(parent.assignments["lr"])
            # The range may cut the step.
            assert ratio == pytest.approx(0.8) or ratio == pytest.approx(1.2) or child.assignments["lr"] == "0.0001"
            assert child.assignments["depth"] != parent.assignments["depth"] or child.assignments["depth"] in (
                "1",
                "20",
            )
        else:
            assert child.labels[PARENT] == trial.name
            assert child.assignments == trial.assignments


def test_resampling_keeps_or_draws_each_value_anew(make_experiment: Any, search: Any) -> None:
    always, never = (
        make_sampler(make_experiment("pbt", [RATE, DEPTH], **TEN, resample_probability=p), seed=0) for p in ("1", "0")
    )
    kept = _generations(search(never, 20, _rate, batch=10))
    known = {t.assignments["lr"] for t in kept[0]}
    assert {t.assignments["lr"] for t in kept[1]} <= known
    drawn = _generations(search(always, 20, _rate, batch=10))
    assert len({t.assignments["lr"] for t in drawn[1]} - {t.assignments["lr"] for t in drawn[0]}) == 2


def test_nobody_is_replaced_without_a_threshold(make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("pbt", [RATE, DEPTH], **TEN | {"truncation_threshold": "0"}), seed=0)
    first, second = _generations(search(sampler, 20, _rate, batch=10))
    assert [t.assignments for t in first] == [t.assignments for t in second]


def test_a_member_that_failed_begins_from_one_of_the_best_in_the_same_generation(
    make_experiment: Any, search: Any
) -> None:
    sampler = make_sampler(make_experiment("pbt", [RATE, DEPTH], **TEN), seed=0)
    trials = search(sampler, 9, _rate)
    (last,) = sampler.propose(trials, 1)
    trials = search(sampler, 10, lambda _: None, trials=trials)
    (again,) = sampler.propose(trials, 1)
    best = sorted(trials[:9], key=lambda t: t.value or 0.0)[:2]
    assert again.labels[MEMBER] == last.labels[MEMBER]
    assert again.labels[GENERATION] == "0"
    assert again.labels[PARENT] in {t.name for t in best}


def test_where_all_members_train_one_more_begins(make_experiment: Any, make_trial: Any) -> None:
    sampler = make_sampler(make_experiment("pbt", [RATE, DEPTH], **TEN), seed=0)
    proposals = sampler.propose([], 12)
    assert [each.labels[MEMBER] for each in proposals] == [str(member) for member in range(12)]
    trials = [make_trial(i, p, 1.0 + i) for i, p in enumerate(proposals)]
    assert sampler.propose(trials, 1)[0].labels[GENERATION] == "1"


def test_a_genetic_algorithm_closes_in_on_the_optimum(make_experiment: Any, search: Any) -> None:
    def distance(a: dict[str, str]) -> float:
        return abs(float(a["lr"]) - 0.5) + abs(int(a["depth"]) - 7) / 20 + (a["heads"] != "4")

    evolved = make_sampler(make_experiment("evolutionary", [RATE, DEPTH, HEADS]), seed=0)
    drawn = make_sampler(make_experiment("random", [RATE, DEPTH, HEADS]), seed=0)
    best, chance = (min(t.value for t in search(s, 150, distance)) for s in (evolved, drawn))
    assert best < 0.02 < 0.04 < chance


def _apart(one: Trial, other: Trial) -> int:
    return sum(one.assignments[name] != other.assignments[name] for name in one.assignments)


SWITCHES = [Parameter(name=f"s{i}", kind="categorical", values=("a", "b", "c")) for i in range(8)]


def test_a_child_differs_from_one_of_the_youngest_by_as_many_values_as_mutate(
    make_experiment: Any, search: Any
) -> None:
    for mutations in (1, 3):
        settings = {"population_size": "5", "mutations": str(mutations)}
        sampler = make_sampler(make_experiment("regularizedevolution", SWITCHES, **settings), seed=0)
        trials = search(sampler, 25, lambda a: float(sum(value == "a" for value in a.values())))
        for number in range(5, 25):
            assert mutations in {_apart(trials[number], parent) for parent in trials[number - 5 : number]}


def test_the_best_dies_of_age_and_is_no_parent_any_more(make_experiment: Any, make_trial: Any) -> None:
    """Real et al. 2019: it is the oldest that dies, not the worst."""
    settings = {"population_size": "4", "sample_size": "50"}
    sampler = make_sampler(make_experiment("regularizedevolution", SWITCHES, **settings), seed=0)
    best = make_trial(0, _all("a"), 0.0)
    young = [make_trial(1 + i, _all("b", s7="ac"[i % 2], s6="ac"[i // 2]), 5.0) for i in range(4)]
    (child,) = sampler.propose([best, *young[:3]], 1)
    assert sum(value != "a" for value in child.assignments.values()) == 1
    (child,) = sampler.propose([best, *young], 1)
    assert sum(value == "b" for value in child.assignments.values()) >= 5


def test_the_best_of_a_large_sample_is_the_parent_and_of_one_any_is(make_experiment: Any, make_trial: Any) -> None:
    trials = [make_trial(i, _all("abc"[i % 3], s7="abc"[i // 3]), float(i)) for i in range(9)]

    def parents(sample: str) -> set[str]:
        settings = {"population_size": "9", "sample_size": sample}
        found = set()
        for seed in range(20):
            sampler = make_sampler(make_experiment("regularizedevolution", SWITCHES, **settings), seed=seed)
            (child,) = sampler.propose(trials, 1)
            values = list(child.assignments.values())
            found.add(max("abc", key=values.count))
        return found

    assert parents("200") == {"a"}
    assert parents("1") == {"a", "b", "c"}


def test_a_trial_that_failed_has_no_children(make_experiment: Any, make_trial: Any) -> None:
    settings = {"population_size": "2"}
    sampler = make_sampler(make_experiment("regularizedevolution", SWITCHES, **settings), seed=0)
    failed = [make_trial(1 + i, _all("b", s0="ac"[i]), None, "Failed") for i in range(2)]
    trials = [make_trial(0, _all("a"), 1.0), *failed]
    (child,) = sampler.propose(trials, 1)
    assert sum(value != "a" for value in child.assignments.values()) == 1


def _all(value: str, **others: str) -> Proposal:
    return Proposal(assignments={parameter.name: value for parameter in SWITCHES} | others)


def test_evolution_of_single_values_climbs_where_chance_does_not(make_experiment: Any, search: Any) -> None:
    def wrong(a: dict[str, str]) -> float:
        return float(sum(value != "c" for value in a.values()))

    found = {
        name: min(t.value for t in search(make_sampler(make_experiment(name, SWITCHES), seed=0), 60, wrong))
        for name in ("regularizedevolution", "random")
    }
    assert found["regularizedevolution"] == 0
    assert found["random"] > 0


def test_children_without_mutation_are_mixtures_of_their_parents(make_experiment: Any, search: Any) -> None:
    settings = {"mutation_probability": "0", "crossover_probability": "1", "population_size": "8"}
    trials = search(make_sampler(make_experiment("evolutionary", [RATE, DEPTH], **settings), seed=1), 14, _rate)
    for name in ("lr", "depth"):
        assert {t.assignments[name] for t in trials[8:]} <= {t.assignments[name] for t in trials[:8]}
