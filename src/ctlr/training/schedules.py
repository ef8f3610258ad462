"""Learning rates and momenta over the steps of a training stage: pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ctlr.specs import FitSpec

__all__ = ["cycled_momentum", "rate_factor"]

WAVE_FLOOR = 0.25
"""A triangle or wave rises from this share of its peak; Smith 2017, sec. 3.3, advises a third or a fourth."""

DROP = 0.1
"""What a rate that drops is multiplied by."""

RISE, START, END = 0.3, 1 / 25, 1 / 25e4
"""One cycle: share of the steps in which it rises, first and last rate as shares of the peak; as torch's OneCycleLR."""

HIGH_MOMENTUM, LOW_MOMENTUM = 0.95, 0.85
"""One cycle: momentum at the lowest and at the highest rate (Smith & Topin 2018, sec. 3; torch's OneCycleLR)."""


def rate_factor(step: int, spec: FitSpec, *, total: int, epoch: int) -> float:
    """What the base rate is multiplied by at a step.

    Over the warm-up it rises to the schedule's first value; the first step already moves. Then

    - `constant`: 1;
    - `step`: drops to `gamma` of itself after every `cycle`;
    - `multi_step`: drops to `gamma` of itself after each of the `milestones`;
    - `exponential`: falls steadily, to `gamma` of itself in every `cycle`;
    - `inverse_time`: is (1 + `gamma` cycles) ^ -`power` after so many cycles (Caffe's `inv`);
    - `polynomial`: falls along (1 - share of the steps) ^ `power` to nearly its floor at the last step;
    - `cosine`: falls along half a cosine to nearly zero at the last step (Loshchilov & Hutter 2017, one cycle);
    - `warm_restarts`: does so in every cycle, each `cycle_growth` times as long as the last and with a peak of `gamma`
      of the last one's (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5);
    - `triangular`: rises and falls linearly in every cycle, from and to a fourth of the peak; `gamma` is the next
      triangle's height against the last one's (Smith 2017, arXiv:1506.01186; 0.5 is its `triangular2`, and with
      `decay: smooth` it is its `exp_range`);
    - `sine`: likewise along the upper half of a sine;
    - `cyclic_cosine`: falls and rises along a cosine in every cycle, from and to the peak;
    - `one_cycle`: rises for 30 % of the steps and falls to nearly zero, along half cosines (Smith & Topin 2018,
      arXiv:1708.07120).

    Args:
        step: 0 .. total - 1.
        spec: Schedule and warm-up.
        total: Steps of the stage.
        epoch: Steps of an epoch.

    Returns:
        Factor in (0, 1].
    """
    schedule = _SCHEDULES[spec.schedule]
    warmup = min(spec.warmup * epoch, float(total))
    if step < warmup:
        risen = min(1.0, (step + 1) / (warmup + 1))
        if spec.warmup_shape == "cosine":
            risen = _half_cosine(1 - risen)
        return risen * schedule(0.0, total - warmup, spec, epoch)
    return schedule(step - warmup, total - warmup, spec, epoch)


def cycled_momentum(step: int, spec: FitSpec, *, total: int, epoch: int) -> float | None:
    """Momentum (or Adam's first beta) at a step of `one_cycle`: low where the rate is high; None for other schedules.

    Args:
        step: 0 .. total - 1.
        spec: Schedule and warm-up.
        total: Steps of the stage.
        epoch: Steps of an epoch.
    """
    if spec.schedule != "one_cycle":
        return None
    warmup = min(spec.warmup * epoch, float(total))
    height = _one_cycle_height(max(0.0, step - warmup), total - warmup)
    return HIGH_MOMENTUM - (HIGH_MOMENTUM - LOW_MOMENTUM) * height


# Each takes the steps since the warm-up, how many there are, the options and the steps of an epoch.


def _constant(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    return 1.0


def _step(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    return _above_zero(_gamma(spec, DROP) ** (step // (spec.cycle * epoch)))


def _multi_step(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    drops = (total / 2, total * 3 / 4) if spec.milestones is None else [after * epoch for after in spec.milestones]
    return _above_zero(_gamma(spec, DROP) ** sum(step >= drop for drop in drops))


def _exponential(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    return _above_zero(_gamma(spec, DROP) ** (step / (spec.cycle * epoch)))


def _inverse_time(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    return _above_zero((1 + _gamma(spec, 1.0) * step / (spec.cycle * epoch)) ** -spec.power)


def _polynomial(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    return _above_zero(_over_floor((1 - min(1.0, step / max(1.0, total))) ** spec.power, spec))


def _cosine(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    return _over_floor(_half_cosine(min(1.0, step / max(1.0, total))), spec)


def _warm_restarts(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    cycle, into, length = _cycle(step, spec.cycle * epoch, spec.cycle_growth)
    return _above_zero(_over_floor(_half_cosine(into / length), spec, _peak(spec, cycle, into / length)))


def _wave(shape: Callable[[float], float]) -> Callable[[float, float, FitSpec, int], float]:
    """Cycles of one length, whose height goes from 0 to 1 over each of them as `shape` says."""

    def wave(step: float, total: float, spec: FitSpec, epoch: int) -> float:
        cycle, into, length = _cycle(step, spec.cycle * epoch, 1.0)
        peak = _peak(spec, cycle, into / length)
        return _above_zero(_over_floor(shape(into / length), spec, peak, usual=WAVE_FLOOR))

    return wave


def _one_cycle(step: float, total: float, spec: FitSpec, epoch: int) -> float:
    floor = START if step <= RISE * total - 1 else END
    return floor + (1 - floor) * _one_cycle_height(step, total)


_SCHEDULES: Mapping[str, Callable[[float, float, FitSpec, int], float]] = MappingProxyType(
    {
        "constant": _constant,
        "step": _step,
        "multi_step": _multi_step,
        "exponential": _exponential,
        "inverse_time": _inverse_time,
        "polynomial": _polynomial,
        "cosine": _cosine,
        "warm_restarts": _warm_restarts,
        "triangular": _wave(lambda share: 1 - abs(2 * share - 1)),
        "sine": _wave(lambda share: math.sin(math.pi * share)),
        "cyclic_cosine": _wave(lambda share: _half_cosine(2 * share)),
        "one_cycle": _one_cycle,
    }
)


def _gamma(spec: FitSpec, usual: float) -> float:
    return usual if spec.gamma is None else spec.gamma


def _peak(spec: FitSpec, cycle: int, share: float) -> float:
    """Height of a cycle against the first one's, at a share of it."""
    exponent = cycle + share if spec.decay == "smooth" else cycle
    return _gamma(spec, 1.0) ** exponent


def _over_floor(height: float, spec: FitSpec, peak: float = 1.0, *, usual: float = 0.0) -> float:
    floor = usual if spec.floor is None else spec.floor
    return floor + (1 - floor) * peak * height


def _half_cosine(progress: float) -> float:
    """From 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _one_cycle_height(step: float, total: float) -> float:
    """From 0 to 1 at the peak, and back to 0 at the last step."""
    peak, last = max(0.0, RISE * total - 1), max(1.0, total - 1)
    if step < peak:
        return _half_cosine(1 - step / peak)
    return _half_cosine(min(1.0, (step - peak) / (last - peak)))


def _cycle(step: float, length: float, growth: float) -> tuple[int, float, float]:
    """Number of the cycle that a step is in, steps into it, its length."""
    if growth == 1:
        return int(step // length), step % length, length
    number = 0
    while step >= length:
        step, length, number = step - length, length * growth, number + 1
    return number, step, length


def _above_zero(factor: float) -> float:
    """Powers of many cycles would underflow, and a rate of 0 is refused by nobody but moves nothing."""
    return max(factor, 1e-12)
