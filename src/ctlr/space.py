"""Dimensions of a search space, for `ctlr.tune`: each is a value that becomes a parameter of a Katib Experiment.

A list stands for a choice by itself: `{"lr": loguniform(1e-4, 1e-1), "depth": [1, 2, 3], "norm": ["batch", "group"]}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from ctlr.errors import ConfigError

__all__ = ["Choice", "Range", "choice", "integers", "loguniform", "uniform"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers between two ends, both included."""

    low: float
    high: float
    whole: bool = False
    """Whether only whole numbers are tried."""
    distribution: Literal["uniform", "logUniform"] = "uniform"
    step: float | None = None
    """Between neighbouring values; None for none (1 where they are whole)."""

    def __post_init__(self) -> None:
        _check_numbers(self.low, self.high, 1 if self.step is None else self.step)
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ConfigError(f"A range needs finite ends with low < high; got {self.low} to {self.high}.")
        if self.distribution == "logUniform" and self.low <= 0:
            raise ConfigError(f"`loguniform` needs low > 0; got {self.low}. Use `uniform`.")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ConfigError(f"`step` must be above 0 and at most high - low; got {self.step}.")

    @property
    def words(self) -> str:
        """For a reader: `0.1 to 1000, by magnitude`."""
        kind = "whole numbers, " if self.whole else ""
        step = f", in steps of {self.step:g}" if self.step is not None else ""
        return f"{kind}{self.low:g} to {self.high:g}{', by magnitude' * (self.distribution == 'logUniform')}{step}"


@dataclass(frozen=True)
class Choice:
    """One of several values: numbers in order where all are numbers, else names without one."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ConfigError("A choice needs a value; got none.")
        if len({str(value) for value in self.values}) < len(self.values):
            raise ConfigError(f"A choice holds each value once; got {list(self.values)}.")

    @property
    def ordered(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    @property
    def words(self) -> str:
        """For a reader: `4, 6 or 8`."""
        *others, last = ["null" if value is None else str(value) for value in self.values]
        return f"{', '.join(others)} or {last}" if others else last


def uniform(low: float, high: float, *, step: float | None = None) -> Range:
    """Any number from `low` to `high`, each as likely.

    Raises:
        ConfigError: `low < high` does not hold, or the step does not fit.
    """
    return Range(low=low, high=high, step=step)


def loguniform(low: float, high: float) -> Range:
    """Any number from `low` to `high`, each magnitude as likely: for learning rates and the like.

    Raises:
        ConfigError: `0 < low < high` does not hold.
    """
    return Range(low=low, high=high, distribution="logUniform")


def integers(low: int, high: int, *, step: int | None = None) -> Range:
    """Whole numbers from `low` to `high`, both included.

    Raises:
        ConfigError: `low < high` does not hold, or an end or the step is not whole.
    """
    _check_numbers(low, high, step or 1)
    for number in (low, high, step or 1):
        if not float(number).is_integer():
            raise ConfigError(f"`integers` needs whole numbers; got {number}. Use `uniform`.")
    return Range(low=int(low), high=int(high), whole=True, step=step)


def choice(values: Iterable[Any]) -> Choice:
    """One of the values; a list in a space says the same.

    Raises:
        ConfigError: There is none, or two are written alike.
    """
    return Choice(tuple(values))


def _check_numbers(*values: Any) -> None:
    for value in values:
        try:
            number = not isinstance(value, bool) and isinstance(value, Real) and float(value)
        except OverflowError:
            number = False
        if number is False:
            raise ConfigError(f"A range needs numbers; got {value!r}. Names stand in a list.")
