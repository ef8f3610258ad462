import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctlr.training.schedules import rate_factor


def test_a_cosine_stands_at_one_half_midway_and_ends_near_zero() -> None:
    def factor(step: int) -> float:
        return rate_factor(step, total=100, warmup=0, schedule="cosine")

    assert factor(0) == 1
    assert factor(50) == pytest.approx(0.5)
    assert factor(99) == pytest.approx((1 + math.cos(math.pi * 0.99)) / 2)


def test_warm_up_rises_in_equal_steps_to_the_base_rate() -> None:
    factors = [rate_factor(step, total=10, warmup=4, schedule="constant") for step in range(6)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_no_warm_up_leaves_a_constant_rate_alone() -> None:
    assert {rate_factor(step, total=5, warmup=0, schedule="constant") for step in range(5)} == {1.0}


@given(st.integers(1, 500), st.floats(0, 600), st.sampled_from(["constant", "cosine"]))
def test_a_rate_never_vanishes_nor_exceeds_its_base(total: int, warmup: float, schedule: str) -> None:
    factors = [rate_factor(step, total=total, warmup=warmup, schedule=schedule) for step in range(total)]
    assert min(factors) > 0
    assert max(factors) <= 1
