import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.specs import Parameter, Trial
from ctlr.tuning.engine import narrowed, within


def double(low: str, high: str, **more: str) -> Parameter:
    return Parameter.model_validate({"name": "x", "kind": "double", "low": low, "high": high, **more})


def ends(parameter: Parameter, best: str, share: float = 0.5) -> tuple[str, str]:
    (found,) = narrowed([parameter], {"x": best}, share=share)
    return found.low, found.high


def test_half_of_the_range_lies_around_the_best_value() -> None:
    assert ends(double("0", "1"), "0.5") == ("0.25", "0.75")


def test_a_range_that_would_run_over_an_end_is_moved_inside() -> None:
    assert ends(double("0", "1"), "0.9") == ("0.5", "1")
    assert ends(double("0", "1"), "0") == ("0", "0.5")


def test_a_logarithmic_range_is_halved_in_decades() -> None:
    low, high = ends(double("1e-5", "1e-1", distribution="logUniform"), "1e-3")
    assert math.isclose(float(low), 1e-4)
    assert math.isclose(float(high), 1e-2)


def test_steps_stay_on_the_grid_of_the_whole_range() -> None:
    assert ends(double("0.05", "0.95", step="0.1"), "0.45") == ("0.15", "0.75")


def test_whole_numbers_stay_whole() -> None:
    assert ends(Parameter(name="x", kind="int", low="1", high="9"), "4") == ("2", "6")


def test_two_neighbouring_numbers_are_not_cut_to_one() -> None:
    assert ends(Parameter(name="x", kind="int", low="1", high="2"), "1", share=0.1) == ("1", "2")


def test_lists_stay_whole() -> None:
    names = Parameter(name="x", kind="categorical", values=("sgd", "adam"))
    assert narrowed([names], {"x": "sgd"}, share=0.5) == (names,)


@given(
    low=st.integers(-50, 50), width=st.integers(1, 80), at=st.floats(0, 1), share=st.floats(0.05, 1),
    step=st.sampled_from(["", "0.25", "1", "3"]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_the_best_value_stays_inside_and_nothing_new_comes_in(
    low: int, width: int, at: float, share: float, step: str
) -> None:
    whole = double(str(low), str(low + width), step=step)
    if step:
        best = Decimal(low) + int(at * float(Decimal(width) // Decimal(step))) * Decimal(step)
    else:
        best = Decimal(repr(low + at * width))
    (small,) = narrowed([whole], {"x": f"{best:f}"}, share=share)
    # Twelve digits are kept, so an end may be off by the thirteenth.
    assert Decimal(small.low) - Decimal("1e-9") <= best <= Decimal(small.high) + Decimal("1e-9")
    assert Decimal(low) - Decimal("1e-9") <= Decimal(small.low) < Decimal(small.high) <= low + width + Decimal("1e-9")
    if step:
        assert (Decimal(small.low) - low) % Decimal(step) == 0


@pytest.mark.parametrize(("value", "inside"), [("0.3", True), ("0.30001", False), ("0.1", True)])
def test_trials_of_the_whole_space_are_told_apart(value: str, inside: bool) -> None:
    trial = Trial(number=0, name="t", assignments={"x": value})
    assert within(trial, [double("0.1", "0.3")]) is inside
