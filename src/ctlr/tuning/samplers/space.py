"""The space of a search: between texts, as they stand in a command, and the unit cube in which algorithms think.

Each parameter is a `Dimension`. Its distribution is a warp of the unit interval (the inverse of its cumulative
distribution), so that what is uniform in the cube follows the distribution in the parameter, for every algorithm alike.
Numbers with a step are counted in decimals: 0.1 + 2 * 0.1 is 0.3.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ctlr.errors import ConfigError
from ctlr.specs import Parameter

__all__ = ["Dimension", "Point", "Space", "make_dimension"]

Point = tuple[int | float, ...]
"""A place in a space: by dimension the number of a value that can be counted, or the value itself."""

_DEVIATIONS = 3.0
"""A normal distribution ends this many standard deviations from its mean, as in Katib."""
_EXACT = Context(prec=800)
"""Enough digits to count the steps between any two doubles."""
_TRIES = 1000
"""Draws in search of a new place where places cannot be counted."""


class Dimension(ABC):
    """A parameter and the unit interval.

    Contract: `text(coordinate)` and `coordinate(text)` undo each other for every coordinate that `at` returns;
    `unit(at(u))` is u itself, or the middle of the cell of a value that can be counted.
    """

    name: str
    size: int | None
    """How many values there are; None where they cannot be counted."""
    ordered: bool
    """Whether neighbours are alike: not so for categories."""
    even: bool
    """Whether its values can be counted and all have the same share of the unit interval."""

    @abstractmethod
    def at(self, unit: float) -> int | float:
        """The coordinate that a number from 0 to 1 stands for."""

    @abstractmethod
    def unit(self, coordinate: int | float) -> float:
        """Where a coordinate lies in the unit interval."""

    @abstractmethod
    def text(self, coordinate: int | float) -> str:
        """The value as it is written into the command."""

    @abstractmethod
    def coordinate(self, text: str) -> int | float:
        """The coordinate of a written value, the nearest one if it lies between two.

        Raises:
            ConfigError: The parameter has no such value.
        """

    def scaled(self, coordinate: int | float, factor: float) -> int | float:
        """The coordinate of a number times a factor, kept in the range; of a list's value itself."""
        return coordinate

    @property
    def continuous(self) -> bool:
        """Whether its values cannot be counted."""
        return self.size is None

    def _refuse(self, text: str) -> ConfigError:
        return ConfigError(
            f"{self.name}: a trial's value must lie in the space; got {text!r}. Use trials of this space."
        )


class _Choice(Dimension):
    """Values from a list: discrete ones in ascending order, categories as they are listed."""

    even = True

    def __init__(self, name: str, values: Sequence[str], *, ordered: bool) -> None:
        self.name, self.ordered = name, ordered
        self._read: Callable[[str], Any] = Decimal if ordered else str
        written: dict[Any, str] = {}
        for value in values:  # "0.1" and "0.10" are one discrete value
            written.setdefault(self._read(value), value)
        self._numbers = {value: number for number, value in enumerate(sorted(written) if ordered else written)}
        self._values = tuple(written[value] for value in self._numbers)
        self.size: int = len(self._values)

    def at(self, unit: float) -> int:
        return min(int(unit * self.size), self.size - 1)

    def unit(self, coordinate: int | float) -> float:
        return (coordinate + 0.5) / self.size

    def text(self, coordinate: int | float) -> str:
        return self._values[int(coordinate)]

    def coordinate(self, text: str) -> int:
        try:
            return self._numbers[self._read(text)]
        except (KeyError, InvalidOperation):
            raise self._refuse(text) from None


class _Continuous(Dimension):
    """Doubles without a step, written so that they read back to the last bit."""

    ordered = True
    even = False
    size = None

    def __init__(self, name: str, low: float, high: float, warp: _Warp) -> None:
        self.name, self._low, self._high, self._warp = name, low, high, warp

    def at(self, unit: float) -> float:
        return self._warp.quantile(unit)

    def unit(self, coordinate: int | float) -> float:
        return self._warp.share(coordinate)

    def text(self, coordinate: int | float) -> str:
        return repr(float(coordinate))

    def coordinate(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self._refuse(text) from None
        if not self._low <= value <= self._high:
            raise self._refuse(text)
        return value

    def scaled(self, coordinate: int | float, factor: float) -> float:
        return min(max(coordinate * factor, self._low), self._high)


class _Stepped(Dimension):
    """Integers, and doubles with a step.

    A uniform one has equal chances for all values. Of the others a value has the share of the distribution that is
    rounded to it, so the first and the last have half a step each.
    """

    ordered = True

    def __init__(self, name: str, low: Decimal, high: Decimal, step: Decimal, warp: _Warp, *, whole: bool) -> None:
        self.name, self._first, self._step, self._whole = name, low, step, whole
        self.size: int = int(_EXACT.divide_int(_EXACT.subtract(high, low), step)) + 1
        self.even = warp.uniform or self.size == 1
        self._warp = None if self.even else warp

    def at(self, unit: float) -> int:
        if self._warp is None:
            return min(int(unit * self.size), self.size - 1)
        return self._nearest(Decimal(self._warp.quantile(unit)))

    def unit(self, coordinate: int | float) -> float:
        if self._warp is None:
            return (coordinate + 0.5) / self.size
        value, half = float(self._value(int(coordinate))), float(self._step) / 2
        return (self._warp.share(value - half) + self._warp.share(value + half)) / 2

    def text(self, coordinate: int | float) -> str:
        value = self._value(int(coordinate))
        if self._whole:
            return str(int(value))
        written = format(_EXACT.normalize(value), "f")
        return written if "." in written else f"{written}.0"

    def coordinate(self, text: str) -> int:
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise self._refuse(text) from None
        half = self._step / 2
        if not (value.is_finite() and self._first - half <= value <= self._value(self.size - 1) + half):
            raise self._refuse(text)
        return self._nearest(value)

    def scaled(self, coordinate: int | float, factor: float) -> int:
        return self._nearest(_EXACT.multiply(self._value(int(coordinate)), Decimal(factor)))

    def _value(self, number: int) -> Decimal:
        return _EXACT.fma(self._step, Decimal(number), self._first)

    def _nearest(self, value: Decimal) -> int:
        steps = _EXACT.divide(_EXACT.subtract(value, self._first), self._step)
        return min(max(int(steps.to_integral_value(ROUND_HALF_UP)), 0), self.size - 1)


class _Warp:
    """A distribution between two bounds: its quantiles and its cumulative shares."""

    def __init__(self, distribution: str, low: float, high: float) -> None:
        self.uniform = distribution == "uniform"
        self._low, self._high = low, high
        self._log = distribution in ("logUniform", "logNormal")
        self._normal = distribution in ("normal", "logNormal")
        self._bounds = (math.log(low), math.log(high)) if self._log else (low, high)
        self._tail = float(ndtr(-_DEVIATIONS))

    def quantile(self, unit: float) -> float:
        unit = min(max(float(unit), 0.0), 1.0)
        if self._normal:
            unit = float(ndtri(self._tail + unit * (1 - 2 * self._tail))) / (2 * _DEVIATIONS) + 0.5
        low, high = self._bounds
        value = low * (1 - unit) + high * unit  # no difference, which could be infinite
        return min(max(math.exp(value) if self._log else value, self._low), self._high)

    def share(self, value: float) -> float:
        value = min(max(value, self._low), self._high)
        low, high = self._bounds
        value = math.log(value) if self._log else value
        unit = (value / 2 - low / 2) / (high / 2 - low / 2)
        if self._normal:
            unit = (float(ndtr((unit - 0.5) * 2 * _DEVIATIONS)) - self._tail) / (1 - 2 * self._tail)
        return min(max(unit, 0.0), 1.0)


def make_dimension(parameter: Parameter) -> Dimension:
    """The dimension of a parameter that has no fault (`read_experiment` refuses those that have)."""
    if parameter.kind in ("discrete", "categorical"):
        return _Choice(parameter.name, parameter.values, ordered=parameter.kind == "discrete")
    low, high = Decimal(parameter.low), Decimal(parameter.high)
    whole = parameter.kind == "int"
    warp = _Warp(parameter.distribution, float(low), float(high))
    if low == high or parameter.step or whole:
        return _Stepped(parameter.name, low, high, Decimal(parameter.step or 1), warp, whole=whole)
    return _Continuous(parameter.name, float(low), float(high), warp)


class Space:
    """All assignments of an experiment's parameters, and the unit cube."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.dimensions = tuple(make_dimension(parameter) for parameter in parameters)
        self.names = tuple(dimension.name for dimension in self.dimensions)
        sizes = [dimension.size for dimension in self.dimensions]
        self.size: int | None = None if None in sizes else math.prod(size for size in sizes if size is not None)
        """How many assignments there are; None where they cannot be counted."""

    def __len__(self) -> int:
        return len(self.dimensions)

    def point(self, assignments: Mapping[str, str]) -> Point:
        """Where an assignment lies.

        Raises:
            ConfigError: A parameter is missing or has no such value.
        """
        missing = [name for name in self.names if name not in assignments]
        if missing:
            raise ConfigError(f"{missing[0]}: a trial must have a value for each parameter. Use trials of this space.")
        return tuple(dimension.coordinate(assignments[dimension.name]) for dimension in self.dimensions)

    def assignments(self, point: Point) -> dict[str, str]:
        """The values at a place, as they are written into the command."""
        return {d.name: d.text(coordinate) for d, coordinate in zip(self.dimensions, point, strict=True)}

    def at(self, units: Sequence[float] | NDArray[np.floating[Any]]) -> Point:
        """The place that a point of the unit cube stands for."""
        return tuple(dimension.at(float(unit)) for dimension, unit in zip(self.dimensions, units, strict=True))

    def units(self, point: Point) -> NDArray[np.float64]:
        """(D,) where a place lies in the unit cube."""
        return np.array([d.unit(coordinate) for d, coordinate in zip(self.dimensions, point, strict=True)])

    def numbered(self, number: int) -> Point:
        """A place of a countable space by its number, the last parameter changing fastest."""
        coordinates: list[int] = []
        for dimension in reversed(self.dimensions):
            assert dimension.size is not None
            number, coordinate = divmod(number, dimension.size)
            coordinates.append(coordinate)
        return tuple(reversed(coordinates))

    def draw(self, rng: np.random.Generator) -> Point:
        """A place by the parameters' distributions."""
        return self.at(rng.random(len(self)))

    def unseen(self, seen: Collection[Point], rng: np.random.Generator) -> Point | None:
        """A place that was not seen, or None where all were; a countable space is never listed.

        From a number drawn at random the next unseen one is taken: at most `len(seen)` are passed over.
        """
        if self.size is None:
            return next((point for _ in range(_TRIES) if (point := self.draw(rng)) not in seen), None)
        # 16 bytes more than the size needs: no number is noticeably more likely than another.
        start = int.from_bytes(rng.bytes(16 + self.size.bit_length() // 8), "little")
        steps = range(min(len(seen) + 1, self.size))
        return next((p for step in steps if (p := self.numbered((start + step) % self.size)) not in seen), None)
