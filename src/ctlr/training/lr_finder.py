"""How the loss answers to the learning rate (Smith 2017, arXiv:1506.01186, sec. 3.3), and which rate that suggests.

Sweep, smoothing, the parts that are left out and the suggestions are those of fastai's `Learner.lr_find`
(https://docs.fast.ai/callback.schedule.html): equal losses give equal suggestions.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ctlr.errors import TrainingError
from ctlr.methods.base import Batch
from ctlr.training.optimisers import set_rate
from ctlr.training.stepping import Stepper

__all__ = ["RateCurve", "RateSuggestions", "SweepSpec", "suggest", "sweep", "untouched"]

Floats = npt.NDArray[np.float64]

SMOOTHING = 0.98
"""Share of the running average that a new loss leaves."""
DIVERGED = 4.0
"""A smoothed loss of so many times the best one ends the sweep."""
_LAST = 5
"""Points at the end that suggest nothing: there the loss explodes."""


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """An exponential sweep of the rate."""

    lr_min: float = 1e-7
    lr_max: float = 10.0
    steps: int = 100

    @property
    def rates(self) -> Floats:
        """(steps,) rates; each is the same multiple of the one before."""
        return np.asarray(self.lr_min * (self.lr_max / self.lr_min) ** (np.arange(self.steps) / self.steps))


@dataclass(frozen=True)
class RateCurve:
    """A sweep, as far as it came.

    Attributes:
        spec: What was asked for.
        rates: (N,) of the head.
        losses: (N,) of each batch, before its update.
        smoothed: (N,) running average of the losses, corrected for its start.
        diverged: Whether the sweep was ended before its last step.
    """

    spec: SweepSpec
    rates: Floats
    losses: Floats
    smoothed: Floats
    diverged: bool


@dataclass(frozen=True)
class RateSuggestions:
    """Rates that a curve suggests.

    Attributes:
        steepest: Where the smoothed loss falls most per logarithm of the rate.
        valley: Two thirds down its longest fall.
        minimum: A tenth of the rate at which it is lowest.
    """

    steepest: float
    valley: float
    minimum: float


def sweep(
    stepper: Stepper, spec: SweepSpec, *, seed: int, progress: Callable[[int, int], None] | None = None
) -> RateCurve:
    """Train at rates that grow from step to step, until the loss diverges; everything is put back as it was.

    Restored bit for bit: weights, buffers, modes, the optimiser with its rates, the gradient scaler, the stepper's
    generator and torch's own (also of the GPU).

    Args:
        stepper: What is trained.
        spec: Range and number of rates.
        seed: Of dropout.
        progress: Told (steps done, steps).

    Raises:
        TrainingError: The loss is no number from the first step on.
    """
    losses: list[float] = []
    smoothed: list[float] = []
    average = 0.0
    with untouched(stepper):
        torch.manual_seed(seed)
        stepper.objective.networks.train()
        with closing(_endless(stepper)) as batches:
            for rate in spec.rates.tolist():
                set_rate(stepper.optimiser, rate)
                loss = float(stepper.step(next(batches)))
                if not math.isfinite(loss):
                    break
                average = SMOOTHING * average + (1 - SMOOTHING) * loss
                losses.append(loss)
                smoothed.append(average / (1 - SMOOTHING ** len(losses)))
                if progress is not None:
                    progress(len(losses), spec.steps)
                if smoothed[-1] > DIVERGED * min(smoothed):
                    break
    if not losses:
        raise TrainingError("the loss is no finite number at the first step already; check the images, or set `clip`")
    count = len(losses)
    return RateCurve(spec, spec.rates[:count], np.array(losses), np.array(smoothed), count < spec.steps)


def suggest(curve: RateCurve) -> RateSuggestions:
    """Rates that a curve suggests, its first tenth and last five points left out.

    `valley` is ESRI's: of the longest run of ever smaller losses (others may lie between) from point a to b, the point
    a + int((b - a) / 3) + int((b - a) / 6).

    Raises:
        TrainingError: Too few points are left.
    """
    kept = slice(curve.spec.steps // 10, len(curve.rates) - _LAST)
    rates, losses = curve.rates[kept], curve.smoothed[kept]
    if len(rates) < 2:
        raise TrainingError(
            f"the loss diverged at step {len(curve.rates)} of {curve.spec.steps}, too early to suggest a rate; "
            f"lower `--lr-min` below {curve.spec.lr_min:g}"
        )
    slope = np.diff(losses) / np.diff(np.log(rates))
    return RateSuggestions(
        steepest=float(rates[slope.argmin()]),
        valley=float(rates[_valley(losses)]),
        minimum=float(rates[losses.argmin()]) / 10,
    )


def _valley(losses: Floats) -> int:
    """Index of the point. As in the original a run begins one before its first member, and the first point is a run."""
    lengths = np.ones(len(losses), dtype=int)
    for index in range(1, len(losses)):
        larger = losses[:index] > losses[index]
        lengths[index] = 1 + int(lengths[:index].max(initial=0, where=larger))
    end = int(lengths.argmax())
    start = end - int(lengths[end]) if end else 0
    third = (end - start) / 3
    return start + int(third) + int(third / 2)


def _endless(stepper: Stepper) -> Generator[Mapping[str, Batch]]:
    """Epoch after epoch."""
    while True:
        with closing(stepper.batches()) as batches:
            yield from batches


@contextmanager
def untouched(stepper: Stepper) -> Iterator[None]:
    """Let a block train, and put back all that it changed."""
    objective, optimiser = stepper.objective, stepper.optimiser
    weights = {name: tensor.clone() for name, tensor in objective.networks.state_dict().items()}
    modes = {module: module.training for module in objective.networks.modules()}
    state, scaler = copy.deepcopy(optimiser.state_dict()), copy.deepcopy(stepper.scaler.state_dict())
    draws = stepper.rng.get_state()
    device = stepper.placement.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            objective.networks.load_state_dict(weights)
            for module, mode in modes.items():
                module.training = mode
            optimiser.zero_grad(set_to_none=True)
            optimiser.load_state_dict(state)
            stepper.scaler.load_state_dict(scaler)
            stepper.rng.set_state(draws)
