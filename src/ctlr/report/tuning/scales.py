"""Where the values of a searched parameter stand on an axis: a log one, a plain one, or one after another."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.report.tuning.drawing import Axis, plain
from ctlr.specs import Parameter

__all__ = ["Scale"]


class Scale:
    """A parameter's own axis.

    Args:
        parameter: As it was searched.
        values: That trials had, which may lie outside.
    """

    def __init__(self, parameter: Parameter, values: Sequence[str]) -> None:
        self.numeric = parameter.kind in ("int", "double")
        self.listed = tuple(dict.fromkeys((*parameter.values, *values)))
        self.whole = parameter.kind == "int"
        numbers = [float(text) for text in (parameter.low, parameter.high, *values)] if self.numeric else [0.0]
        self.low, self.high = min(numbers), max(numbers)
        self.logarithmic = self.numeric and parameter.distribution.startswith("log") and self.low > 0

    def axis(self, count: int = 4, *, room: float = 0.0) -> Axis:
        """Ticks in round numbers, or the listed values in their order.

        Args:
            count: Ticks, about.
            room: Share of the range that is left free at both ends.
        """
        if not self.numeric:
            last = len(self.listed) - 1
            return Axis(low=-0.5, high=last + 0.5, ticks=tuple((float(n), text) for n, text in enumerate(self.listed)))
        if self.logarithmic and self.high > self.low:
            factor = (self.high / self.low) ** room
            return Axis.of(self.low / factor, self.high * factor, logarithmic=True, count=count)
        wide = room * (self.high - self.low) or (0.0 if self.high > self.low else 1.0)
        return Axis.of(self.low - wide, self.high + wide, whole=self.whole, count=count)

    def place(self, text: str) -> float:
        """The value, or its place in the list."""
        return float(text) if self.numeric else float(self.listed.index(text))

    def ends(self) -> tuple[str, str]:
        """The range in words of a tick."""
        return plain(self.low), plain(self.high)
