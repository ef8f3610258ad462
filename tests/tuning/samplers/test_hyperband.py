from __future__ import annotations

from typing import Any

import pytest

from ctlr.errors import ConfigError
from ctlr.specs import Parameter, Trial
from ctlr.tuning.samplers import make_sampler
from ctlr.tuning.samplers.hyperband import brackets

EPOCHS = Parameter(name="epochs", kind="int", low="1", high="9")
RATE = Parameter(name="lr", kind="double", low="0", high="1")
NINE = {"r_l": "9", "eta": "3", "resource_name": "epochs"}


def test_brackets_are_those_of_the_paper() -> None:
    """Li et al. 2018, Algorithm 1, with R = 81 and eta = 3."""
    table = {s: [(rung.count, rung.resource) for rung in rungs] for s, rungs in brackets(81, 3).items()}
    assert table == {
        4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        3: [(34, 3), (11, 9), (3, 27), (1, 81)],
        2: [(15, 9), (5, 27), (1, 81)],
        1: [(8, 27), (2, 81)],
        0: [(5, 81)],
    }


def test_a_power_that_doubles_miss_by_a_bit_keeps_its_bracket() -> None:
    assert list(brackets(243, 3)) == [5, 4, 3, 2, 1, 0]
    assert list(brackets(1000, 10)) == [3, 2, 1, 0]


def test_promoted_trials_are_the_best_with_their_other_values_kept(make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("hyperband", [RATE, EPOCHS], **NINE), seed=0)
    trials: list[Trial] = search(sampler, 22, lambda a: float(a["lr"]))
    assert [t.assignments["epochs"] for t in trials] == ["1"] * 9 + ["3"] * 3 + ["9"] + ["3"] * 5 + ["9"] + ["9"] * 3
    first, second = trials[:9], trials[9:12]
    assert [t.assignments["lr"] for t in second] == sorted((t.assignments["lr"] for t in first), key=float)[:3]
    assert second[0].labels == {
        "bracket": "2", "rung": "1", "promoted": min(first, key=lambda t: float(t.assignments["lr"])).name,
    }  # fmt: skip


def test_when_all_brackets_are_through_they_begin_again_with_other_configurations(
    make_experiment: Any, search: Any
) -> None:
    sampler = make_sampler(make_experiment("hyperband", [RATE, EPOCHS], **NINE), seed=0)
    trials: list[Trial] = search(sampler, 44, lambda a: float(a["lr"]))
    first, second = trials[:22], trials[22:]
    assert [t.assignments["epochs"] for t in second] == [t.assignments["epochs"] for t in first]
    assert [t.labels.get("round") for t in trials] == [None] * 22 + ["1"] * 22
    assert not {t.assignments["lr"] for t in first} & {t.assignments["lr"] for t in second}


def test_while_a_rung_waits_the_next_bracket_goes_on(make_experiment: Any, make_trial: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("hyperband", [RATE, EPOCHS], **NINE), seed=0)
    pending = [make_trial(i, p, None, "Running") for i, p in enumerate(sampler.propose([], 20))]
    assert [t.labels["bracket"] for t in pending] == ["2"] * 9 + ["1"] * 5 + ["0"] * 3 + ["2"] * 3
    assert [t.labels.get("round") for t in pending] == [None] * 17 + ["1"] * 3


def test_the_next_round_waits_for_no_promotion_that_is_due(make_experiment: Any, make_trial: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("hyperband", [RATE, EPOCHS], **NINE), seed=0)
    trials: list[Trial] = search(sampler, 17, lambda a: float(a["lr"]), batch=17)
    (promoted,) = sampler.propose(trials, 1)
    assert promoted.labels["rung"] == "1"


def test_a_space_without_new_configurations_ends_with_its_last_bracket(make_experiment: Any, search: Any) -> None:
    few = Parameter(name="lr", kind="discrete", values=("1", "2", "3", "4"))
    sampler = make_sampler(make_experiment("hyperband", [few, EPOCHS], **NINE), seed=0)
    trials: list[Trial] = search(sampler, 100, lambda a: float(a["lr"]))
    assert len(trials) < 12
    assert sampler.exhausted(trials)


def test_failed_trials_are_never_promoted(make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("hyperband", [RATE, EPOCHS], **NINE), seed=0)
    trials = search(sampler, 100, lambda a: float(a["lr"]) if float(a["lr"]) > 0.6 else None)
    promoted = [t for t in trials if t.labels["rung"] != "0"]
    assert promoted
    assert all(float(t.assignments["lr"]) > 0.6 for t in promoted)


def test_an_early_stop_counts_with_its_last_value(make_experiment: Any, search: Any) -> None:
    sampler = make_sampler(make_experiment("hyperband", [RATE, EPOCHS], **NINE), seed=0)
    trials = search(sampler, 9, lambda a: float(a["lr"]))
    stopped = [t.model_copy(update={"status": "EarlyStopped"}) for t in trials]
    assert sampler.propose(stopped, 3) == make_sampler(
        make_experiment("hyperband", [RATE, EPOCHS], **NINE), seed=0
    ).propose(trials, 3)


@pytest.mark.parametrize(
    ("resource", "settings", "rungs"),
    [
        # As in Katib's examples/v1beta1/hp-tuning/hyperband.yaml: its range holds none of what is set but 1.
        (EPOCHS.model_copy(update={"high": "1"}), {"r_l": "2", "eta": "2"}, {"1", "2"}),
        (EPOCHS.model_copy(update={"step": "8"}), {"r_l": "9"}, {"1", "3", "9"}),
        (EPOCHS.model_copy(update={"low": "20", "high": "30", "step": "5"}), {"r_l": "9"}, {"1", "3", "9"}),
        (Parameter(name="epochs", kind="double", low="0.5", high="0.7"), {"r_l": "3.9", "eta": "2"}, {"1", "3"}),
    ],
)
def test_the_resource_is_set_whatever_its_range_and_step(
    resource: Parameter, settings: dict[str, str], rungs: set[str], make_experiment: Any, search: Any
) -> None:
    """Katib 0.19 sets it to int(r_l * eta^-s) and looks at neither."""
    sampler = make_sampler(make_experiment("hyperband", [RATE, resource], resource_name="epochs", **settings), seed=0)
    trials: list[Trial] = search(sampler, 22, lambda a: float(a["lr"]))
    assert {t.assignments["epochs"] for t in trials} == rungs


@pytest.mark.parametrize(
    ("parameters", "settings", "message"),
    [
        ([RATE, EPOCHS], NINE | {"resource_name": "steps"}, "must be one of two parameters or more; got 'steps'"),
        ([EPOCHS], NINE, "must be one of two parameters or more; got 'epochs'"),
    ],
)
def test_a_resource_that_cannot_be_set_is_refused(
    parameters: list[Parameter], settings: dict[str, str], message: str, make_experiment: Any
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_sampler(make_experiment("hyperband", parameters, **settings), seed=0)
