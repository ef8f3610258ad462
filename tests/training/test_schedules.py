"""Rates by step: known numbers, and torch's own schedulers."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from ctlr.specs import FitSpec
from ctlr.training.schedules import cycled_momentum, rate_factor

SCHEDULES = ("constant", "step", "cosine", "warm_restarts", "triangular", "one_cycle")


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
