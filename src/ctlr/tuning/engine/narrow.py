"""From coarse to fine: smaller spaces around what was best so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ctlr.specs import Parameter, Trial

__all__ = ["narrowed", "within"]


def narrowed(parameters: Sequence[Parameter], best: Mapping[str, str], *, share: float) -> tuple[Parameter, ...]:
    """The same parameters, numeric ranges cut to a share of their width around the best values.

    The width is measured on the parameter's own scale (logarithmic where its distribution is). A range that would run
    over an end is moved inside; steps stay on their grid; lists stay whole.

    Args:
        parameters: The whole space.
        best: Value of each parameter.
        share: Of the width, in (0, 1].
    """
    return tuple(
        _narrowed(parameter, best[parameter.name], share) if parameter.kind in ("int", "double") else parameter
        for parameter in parameters
    )


def _narrowed(parameter: Parameter, best: str, share: float) -> Parameter:
    logarithmic = parameter.distribution.startswith("log")
    low, high, centre = (_to_scale(text, logarithmic) for text in (parameter.low, parameter.high, best))
    width = share * (high - low)
    start = min(max(low, centre - width / 2), high - width)
    ends = [_from_scale(value, logarithmic) for value in (start, start + width)]
    step = parameter.step or ("1" if parameter.kind == "int" else "")
    new_low, new_high = _on_grid(parameter, ends, Decimal(step)) if step else (f"{end:.12g}" for end in ends)
    if Decimal(new_low) >= Decimal(new_high):
        return parameter
    return parameter.model_copy(update={"low": new_low, "high": new_high})


def _to_scale(text: str, logarithmic: bool) -> float:
    return math.log(float(text)) if logarithmic else float(text)


def _from_scale(value: float, logarithmic: bool) -> float:
    return math.exp(value) if logarithmic else value


def _on_grid(parameter: Parameter, ends: Sequence[float], step: Decimal) -> tuple[str, str]:
    """Both ends moved outwards to the grid of the whole range, and no further than its ends."""
    low, high = Decimal(parameter.low), Decimal(parameter.high)
    steps = (high - low) // step
    first = ((Decimal(repr(ends[0])) - low) / step).to_integral_value(ROUND_FLOOR)
    last = ((Decimal(repr(ends[1])) - low) / step).to_integral_value(ROUND_CEILING)
    return f"{low + max(first, Decimal(0)) * step:f}", f"{low + min(last, steps) * step:f}"


def within(trial: Trial, parameters: Sequence[Parameter]) -> bool:
    """Whether a trial of the whole space lies in a smaller one."""
    return all(_holds(parameter, trial.assignments[parameter.name]) for parameter in parameters)


def _holds(parameter: Parameter, value: str) -> bool:
    if parameter.kind in ("discrete", "categorical"):
        return value in parameter.values
    return Decimal(parameter.low) <= Decimal(value) <= Decimal(parameter.high)
