"""Rates by step: known numbers, and torch's own schedulers."""

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim import lr_scheduler

from ctlr.specs import FitSpec
from ctlr.training.schedules import cycled_momentum, rate_factor

SCHEDULES = get_args(FitSpec.model_fields["schedule"].annotation)


def spec(schedule: str = "constant", **options: object) -> FitSpec:
    return FitSpec.model_validate({"schedule": schedule, "warmup": 0, **options})


def factors(fit: FitSpec, total: int, epoch: int = 10) -> list[float]:
    return [rate_factor(step, fit, total=total, epoch=epoch) for step in range(total)]


def torch_factors(scheduler: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], total: int) -> list[float]:
    """Rates of a scheduler of torch whose peak is 1."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, rates = scheduler(optimiser), []
    for _ in range(total):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return rates


def test_a_cosine_stands_at_one_half_midway_and_ends_near_zero() -> None:
    found = factors(spec("cosine"), 100)
    assert (found[0], found[50]) == (1, pytest.approx(0.5))
    assert found[99] == pytest.approx((1 + math.cos(math.pi * 0.99)) / 2)


def test_a_step_drops_to_a_tenth_after_every_cycle() -> None:
    assert factors(spec("step", cycle=2.0), 60)[19:21] == pytest.approx([1, 0.1])
    found = factors(spec("step", cycle=3.0, gamma=0.5), 90)
    assert found == pytest.approx(torch_factors(lambda o: lr_scheduler.StepLR(o, 30, 0.5), 90))


@pytest.mark.parametrize("growth", [1, 2])
def test_warm_restarts_are_those_of_torch(growth: int) -> None:
    found = factors(spec("warm_restarts", cycle=2.0, cycle_growth=float(growth)), 140)
    restarts = torch_factors(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 20, T_mult=growth), 140)
    assert found == pytest.approx(restarts)
    assert found[20] == 1


def test_the_peaks_of_warm_restarts_fall_by_gamma() -> None:
    found = factors(spec("warm_restarts", cycle=1.0, gamma=0.5, cycle_growth=2.0), 70)
    assert [found[step] for step in (0, 10, 30)] == [1, 0.5, 0.25]


@pytest.mark.parametrize(("gamma", "mode"), [(None, "triangular"), (0.5, "triangular2")])
def test_triangles_are_those_of_torch(gamma: float | None, mode: str) -> None:
    def cyclic(optimiser: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.CyclicLR(optimiser, 0.25, 1.0, step_size_up=10, mode=mode, cycle_momentum=False)

    assert factors(spec("triangular", cycle=2.0, gamma=gamma), 80) == pytest.approx(torch_factors(cyclic, 80))


def test_triangles_shrink_at_every_step_where_the_decay_is_smooth() -> None:
    def cyclic(optimiser: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.CyclicLR(
            optimiser, 0.25, 1.0, step_size_up=10, mode="exp_range", gamma=0.5 ** (1 / 20), cycle_momentum=False
        )

    found = factors(spec("triangular", cycle=2.0, gamma=0.5, decay="smooth"), 80)
    assert found == pytest.approx(torch_factors(cyclic, 80))


def test_several_steps_drop_at_their_milestones_as_those_of_torch() -> None:
    found = factors(spec("multi_step", milestones=(2.0, 3.0, 5.0), gamma=0.5), 70)
    assert found == pytest.approx(torch_factors(lambda o: lr_scheduler.MultiStepLR(o, [20, 30, 50], 0.5), 70))


def test_several_steps_drop_after_half_and_three_quarters_where_nobody_says_when() -> None:
    found = factors(spec("multi_step"), 80)
    assert [found[step] for step in (39, 40, 59, 60, 79)] == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])


def test_milestones_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"`milestones` must rise; got \[3\.0, 2\.0\]"):
        spec("multi_step", milestones=(3.0, 2.0))


def test_an_exponential_fall_is_that_of_torch_a_cycle() -> None:
    found = factors(spec("exponential", cycle=1.0, gamma=0.9), 50, epoch=1)
    assert found == pytest.approx(torch_factors(lambda o: lr_scheduler.ExponentialLR(o, 0.9), 50))
    assert factors(spec("exponential", cycle=4.0), 81)[80] == pytest.approx(0.01)


def test_an_inverse_of_time_halves_after_a_cycle_and_is_a_third_after_two() -> None:
    found = factors(spec("inverse_time", cycle=2.0), 41)
    assert [found[step] for step in (0, 20, 40)] == pytest.approx([1, 1 / 2, 1 / 3])


def test_a_polynomial_falls_as_that_of_torch_and_stops_at_its_floor() -> None:
    found = factors(spec("polynomial", power=2.0), 40)
    assert found == pytest.approx(torch_factors(lambda o: lr_scheduler.PolynomialLR(o, 40, 2.0), 40))
    assert factors(spec("polynomial", floor=0.2), 40)[20] == pytest.approx(0.6)


def test_a_cosine_ends_at_its_floor_as_that_of_torch() -> None:
    found = factors(spec("cosine", floor=0.1), 40)
    assert found == pytest.approx(torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, 40, 0.1), 40))
    waves = factors(spec("cyclic_cosine", cycle=2.0, floor=0.1), 90)
    assert waves == pytest.approx(torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, 10, 0.1), 90))


def lrbench(
    name: str, step: int, *, k0: float, k1: float = 0.0, gamma: float = 1.0, p: float = 1.0, half: float = 1.0,
    steps: tuple[int, ...] = (),
) -> float:  # fmt: skip
    """The rate at a step by the formulas of Wu et al. 2019 (arXiv:1908.06477); `half` is their l, half a period."""
    triangle = 2 / math.pi * abs(math.asin(math.sin(math.pi * step / (2 * half))))
    sine, halved = abs(math.sin(math.pi * step / (2 * half))), 0.5 ** (step // (2 * half))
    rates = {
        "FIX": k0,
        "STEP": k0 * gamma ** (step // half),
        "NSTEP": k0 * gamma ** sum(step >= each for each in steps),
        "EXP": k0 * gamma**step,
        "INV": k0 * (1 + step * gamma) ** -p,
        "POLY": (k1 - k0) * (1 - step / half) ** p + k0,
        "TRI": (k1 - k0) * triangle + k0,
        "TRI2": (k1 - k0) * triangle * halved + k0,
        "TRIEXP": (k1 - k0) * triangle * gamma**step + k0,
        "SIN": (k1 - k0) * sine + k0,
        "SIN2": (k1 - k0) * sine * halved + k0,
        "SINEXP": (k1 - k0) * sine * gamma**step + k0,
        "COS": (k1 - k0) / 2 * (1 + math.cos(math.pi * step / half)) + k0,
    }
    return rates[name]


LRBENCH = {
    "FIX": ({"k0": 0.01}, {"schedule": "constant"}),
    "STEP": ({"k0": 0.01, "gamma": 0.85, "half": 20}, {"schedule": "step", "gamma": 0.85, "cycle": 2.0}),
    "NSTEP": (
        {"k0": 0.01, "gamma": 0.1, "steps": (30, 50)},
        {"schedule": "multi_step", "gamma": 0.1, "milestones": (3.0, 5.0)},
    ),
    "EXP": ({"k0": 0.01, "gamma": 0.99}, {"schedule": "exponential", "gamma": 0.99**10, "cycle": 1.0}),
    "INV": (
        {"k0": 0.01, "gamma": 0.01, "p": 0.75},
        {"schedule": "inverse_time", "gamma": 0.1, "cycle": 1.0, "power": 0.75},
    ),
    "POLY": ({"k0": 0.001, "k1": 0.01, "p": 1.2, "half": 90}, {"schedule": "polynomial", "power": 1.2, "floor": 0.1}),
    "TRI": ({"k0": 0.001, "k1": 0.01, "half": 10}, {"schedule": "triangular", "cycle": 2.0, "floor": 0.1}),
    "TRI2": (
        {"k0": 0.001, "k1": 0.01, "half": 10},
        {"schedule": "triangular", "cycle": 2.0, "floor": 0.1, "gamma": 0.5},
    ),
    "TRIEXP": (
        {"k0": 0.001, "k1": 0.01, "half": 10, "gamma": 0.99},
        {"schedule": "triangular", "cycle": 2.0, "floor": 0.1, "gamma": 0.99**20, "decay": "smooth"},
    ),
    "SIN": ({"k0": 0.001, "k1": 0.01, "half": 10}, {"schedule": "sine", "cycle": 2.0, "floor": 0.1}),
    "SIN2": ({"k0": 0.001, "k1": 0.01, "half": 10}, {"schedule": "sine", "cycle": 2.0, "floor": 0.1, "gamma": 0.5}),
    "SINEXP": (
        {"k0": 0.001, "k1": 0.01, "half": 10, "gamma": 0.99},
        {"schedule": "sine", "cycle": 2.0, "floor": 0.1, "gamma": 0.99**20, "decay": "smooth"},
    ),
    "COS": ({"k0": 0.001, "k1": 0.01, "half": 10}, {"schedule": "cyclic_cosine", "cycle": 2.0, "floor": 0.1}),
}


@pytest.mark.parametrize("name", LRBENCH)
def test_each_of_the_thirteen_functions_of_lrbench_is_among_ours(name: str) -> None:
    theirs, ours = LRBENCH[name]
    rates = [lrbench(name, step, **theirs) for step in range(90)]  # type: ignore[arg-type]
    assert [0.01 * each for each in factors(spec(**ours), 90)] == pytest.approx(rates)  # type: ignore[arg-type]


def test_new_options_at_their_defaults_leave_identities_alone() -> None:
    assert FitSpec().model_dump().keys().isdisjoint({"decay", "milestones", "power", "floor"})


def test_one_cycle_is_that_of_torch_in_rate_and_momentum() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    schedule = lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=100)
    fit = spec("one_cycle")
    for step in range(100):
        group = optimiser.param_groups[0]
        assert rate_factor(step, fit, total=100, epoch=10) == pytest.approx(group["lr"], rel=1e-6)
        assert cycled_momentum(step, fit, total=100, epoch=10) == pytest.approx(group["momentum"])
        optimiser.step()
        if step < 99:
            schedule.step()


@pytest.mark.parametrize("schedule", SCHEDULES[:-1])
def test_momentum_is_cycled_by_one_cycle_alone(schedule: str) -> None:
    assert cycled_momentum(3, spec(schedule), total=100, epoch=10) is None


def test_warm_up_rises_in_equal_steps_to_the_base_rate() -> None:
    assert factors(spec(warmup=0.4), 10)[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_a_reversed_cosine_of_one_epoch_rises_slowly_at_both_ends() -> None:
    found = factors(spec(warmup=1.0, warmup_shape="cosine"), 30, epoch=9)
    assert [found[step] for step in (0, 4, 8, 9)] == pytest.approx(
        [0.5 * (1 - math.cos(math.pi / 10)), 0.5, 0.97553, 1], abs=1e-5
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_ends_where_the_schedule_begins(schedule: str) -> None:
    plain = factors(spec(schedule), 90)
    warmed = factors(spec(schedule, warmup=1.0), 100)
    assert warmed[10:] == pytest.approx(plain)
    assert warmed[9] == pytest.approx(plain[0] * 10 / 11)


def test_no_warm_up_leaves_a_constant_rate_alone() -> None:
    assert set(factors(spec(), 5)) == {1.0}


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 300), st.floats(0, 40), st.sampled_from(SCHEDULES), st.integers(1, 30), st.floats(1, 9),
    st.floats(1, 3), st.sampled_from(["linear", "cosine"]),
)  # fmt: skip
def test_a_rate_never_vanishes_nor_exceeds_its_base(
    total: int, warmup: float, schedule: str, epoch: int, cycle: float, growth: float, shape: str
) -> None:
    fit = spec(schedule, warmup=warmup, cycle=cycle, cycle_growth=growth, warmup_shape=shape)
    found = factors(fit, total, epoch)
    assert min(found) > 0
    assert max(found) <= 1
