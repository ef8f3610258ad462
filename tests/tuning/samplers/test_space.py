from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ctlr.errors import ConfigError
from ctlr.specs import Parameter
from ctlr.tuning.samplers.space import Space, make_dimension


def _number(kind: str, low: str, high: str, step: str = "", distribution: str = "uniform") -> Parameter:
    return Parameter(name="x", kind=kind, low=low, high=high, step=step, distribution=distribution)


def _texts(parameter: Parameter) -> list[str]:
    dimension = make_dimension(parameter)
    assert dimension.size is not None
    return [dimension.text(number) for number in range(dimension.size)]


@pytest.mark.parametrize(
    ("parameter", "texts"),
    [
        (_number("double", "0.1", "0.5", "0.1"), ["0.1", "0.2", "0.3", "0.4", "0.5"]),
        (_number("double", "0", "1", "0.25"), ["0.0", "0.25", "0.5", "0.75", "1.0"]),
        (_number("double", "1e-7", "3e-7", "1e-7"), ["0.0000001", "0.0000002", "0.0000003"]),
        (_number("double", "-0.10", "0.15", "0.1"), ["-0.1", "0.0", "0.1"]),
        (_number("double", "1e3", "1.2e3", "1e2"), ["1000.0", "1100.0", "1200.0"]),
        (_number("int", "1", "10", "4"), ["1", "5", "9"]),
        (_number("int", "-1", "1"), ["-1", "0", "1"]),
        (_number("double", "2.5", "2.5"), ["2.5"]),
        (Parameter(name="x", kind="discrete", values=("128", "32", "64.0", "64")), ["32", "64.0", "128"]),
        (Parameter(name="x", kind="categorical", values=("sgd", "adam")), ["sgd", "adam"]),
    ],
)
def test_counted_values_are_exact_and_written_shortly(parameter: Parameter, texts: list[str]) -> None:
    assert _texts(parameter) == texts


_RANGES = {
    "uniform": ("-1", "3", stats.uniform(-1, 4)),
    "logUniform": ("1e-5", "0.1", stats.loguniform(1e-5, 0.1)),
    "normal": ("0", "12", stats.truncnorm(-3, 3, loc=6, scale=2)),
}


@pytest.mark.parametrize("distribution", _RANGES)
def test_the_warp_is_the_inverse_of_the_distribution(distribution: str) -> None:
    low, high, known = _RANGES[distribution]
    dimension = make_dimension(_number("double", low, high, distribution=distribution))
    for unit in (0.0, 0.001, 0.25, 0.5, 0.9, 1.0):
        value = dimension.at(unit)
        assert value == pytest.approx(known.ppf(unit), rel=1e-9, abs=1e-12)
        assert dimension.unit(value) == pytest.approx(unit, abs=1e-9)


def test_a_log_normal_has_its_mean_in_the_middle_of_the_logarithms() -> None:
    dimension = make_dimension(_number("double", "1e-4", "1e-2", distribution="logNormal"))
    assert dimension.at(0.5) == pytest.approx(1e-3)
    # One deviation of six up from the middle.
    assert dimension.at(stats.truncnorm(-3, 3).cdf(1)) == pytest.approx(10 ** (-3 + 2 / 6))


def test_rounded_values_have_the_share_that_is_rounded_to_them() -> None:
    dimension = make_dimension(_number("int", "1", "4", distribution="logUniform"))
    found = np.bincount([int(dimension.at(unit)) for unit in np.linspace(0, 1, 20_001)], minlength=4) / 20_001
    edges = np.log([1, 1.5, 2.5, 3.5, 4]) / np.log(4)
    assert found == pytest.approx(np.diff(edges), abs=1e-3)


def test_ranges_as_wide_as_doubles_do_not_overflow() -> None:
    dimension = make_dimension(_number("double", "-1.7e308", "1.7e308"))
    assert dimension.at(0.0) == -1.7e308
    assert dimension.at(0.5) == 0.0
    assert dimension.unit(1.7e308) == 1.0


def test_places_are_numbered_with_the_last_parameter_fastest() -> None:
    space = Space([_number("int", "0", "1"), Parameter(name="y", kind="categorical", values=("a", "b", "c"))])
    assert space.size == 6
    assert [space.numbered(number) for number in range(6)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_the_last_unseen_place_of_a_space_is_found() -> None:
    space = Space([_number("int", "0", "9"), _number("double", "0", "1", "0.1")])
    every = {space.numbered(number) for number in range(110)}
    rng = np.random.default_rng(0)
    assert space.unseen(every - {(4, 7)}, rng) == (4, 7)
    assert space.unseen(every, rng) is None


@pytest.mark.parametrize("text", ["11", "-0.6", "ten", "nan"])
def test_a_value_outside_the_range_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must lie in the space"):
        make_dimension(_number("int", "0", "10")).coordinate(text)


@pytest.mark.parametrize(
    "parameter",
    [_number("double", "0", "1"), Parameter(name="x", kind="discrete", values=("1", "2")),
     Parameter(name="x", kind="categorical", values=("1", "2"))],
)  # fmt: skip
def test_a_text_that_is_no_value_is_refused(parameter: Parameter) -> None:
    with pytest.raises(ConfigError, match="must lie in the space; got 'three'"):
        make_dimension(parameter).coordinate("three")


def test_a_value_that_another_tool_rounded_is_taken_for_the_nearest() -> None:
    dimension = make_dimension(_number("double", "0.1", "0.5", "0.1"))
    assert dimension.text(dimension.coordinate("0.30000000000000004")) == "0.3"


def test_a_trial_without_a_value_for_a_parameter_is_refused() -> None:
    with pytest.raises(ConfigError, match="y: a trial must have a value for each parameter"):
        Space([_number("int", "0", "1"), _number("int", "0", "1").model_copy(update={"name": "y"})]).point({"x": "0"})


@given(
    low=st.decimals(-1000, 1000, places=3), steps=st.integers(0, 50), step=st.decimals("0.001", 10, places=3),
    distribution=st.sampled_from(["uniform", "normal"]), unit=st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_stepped_value_reads_back(low: object, steps: int, step: object, distribution: str, unit: float) -> None:
    from decimal import Decimal

    high = Decimal(str(low)) + steps * Decimal(str(step))
    dimension = make_dimension(_number("double", str(low), str(high), str(step), distribution))
    assert dimension.size == (steps + 1)
    number = dimension.at(unit)
    assert dimension.coordinate(dimension.text(number)) == number
    assert dimension.at(dimension.unit(number)) == number


@given(unit=st.floats(0, 1), distribution=st.sampled_from(["uniform", "logUniform", "normal", "logNormal"]))
@settings(max_examples=60, deadline=None)
def test_every_double_reads_back_to_the_last_bit(unit: float, distribution: str) -> None:
    dimension = make_dimension(_number("double", "1e-7", "123.456", distribution=distribution))
    value = dimension.at(unit)
    assert dimension.coordinate(dimension.text(value)) == value
