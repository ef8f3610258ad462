"""The learning-rate finder: what it leaves untouched, when it stops, what it suggests."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ctlr.encoders import build_encoder, build_head
from ctlr.errors import TrainingError
from ctlr.methods.base import Batch
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import EncoderSpec, FinetuneSpec, FitSpec, ViewsSpec
from ctlr.training.fit import fit
from ctlr.training.images import Images, Labelled
from ctlr.training.lr_finder import RateCurve, SweepSpec, suggest, sweep
from ctlr.training.optimisers import OPTIMISERS
from ctlr.training.placement import Placement
from ctlr.training.stepping import Stepper

CPU = torch.device("cpu")
PLAIN = Placement(CPU, None, torch.contiguous_format)


def rows(n: int = 12) -> Labelled:
    images = torch.randn(n, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return Labelled(Images.of(images, CPU), images.mean((1, 2, 3)) * 32)


def stepper(spec: FitSpec | None = None, kind: type[Supervised] = Supervised) -> Stepper:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    head = build_head(encoder.width, 1, dropout=0.3, seed=0)
    objective = kind(encoder, head, TaskLoss(classes=0), views=ViewsSpec(noise=0.1))
    return Stepper(objective, {"labelled": rows()}, spec or FitSpec(batch_size=4), 0, PLAIN)


def state(found: Stepper) -> list[Tensor]:
    """Everything that a training depends on, as tensors."""
    optimiser = found.optimiser.state_dict()
    moments = [torch.as_tensor(value) for one in optimiser["state"].values() for value in one.values()]
    rates = [torch.tensor([group["lr"], group["weight_decay"]]) for group in optimiser["param_groups"]]
    modes = torch.tensor([module.training for module in found.objective.networks.modules()])
    weights = [tensor.clone() for tensor in found.objective.networks.state_dict().values()]
    return [*weights, *copy.deepcopy(moments), *rates, modes, found.rng.get_state(), torch.get_rng_state()]


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_sweep_leaves_every_bit_as_it_was_even_amid_a_training(optimiser: str) -> None:
    found = stepper(FitSpec.model_validate({"batch_size": 4, "optimiser": optimiser}))
    found.objective.networks.train()
    for batch in found.batches():
        found.step(batch)
    found.objective.head.eval()  # type: ignore[operator, union-attr]
    before = state(found)
    sweep(found, SweepSpec(steps=20), seed=1)
    after = state(found)
    assert len(before) == len(after)
    assert all(map(torch.equal, before, after))
    assert all(parameter.grad is None for parameter in found.objective.networks.parameters())


def test_a_sweep_that_fails_puts_everything_back_too() -> None:
    class Broken(Supervised):
        """A loss that is no number."""

        def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
            return super().__call__(batches, rng) * float("nan")

    found = stepper(kind=Broken)
    before = state(found)
    with pytest.raises(TrainingError, match="no finite number at the first step already"):
        sweep(found, SweepSpec(), seed=1)
    assert all(map(torch.equal, before, state(found)))


def test_a_training_after_a_sweep_gives_the_same_numbers_as_one_without(tmp_path: Path) -> None:
    spec = FitSpec(epochs=2, batch_size=4, dropout=0.3)
    weights = []
    for swept in (False, True):
        found = stepper(spec)
        if swept:
            sweep(found, SweepSpec(steps=20), seed=5)
        folder = tmp_path / str(swept)
        folder.mkdir()
        fit(found.objective, {"labelled": rows()}, spec=spec, seed=0, placement=PLAIN, folder=folder)
        weights.append([tensor.clone() for tensor in found.objective.networks.state_dict().values()])
    assert all(map(torch.equal, *weights))


def test_the_same_seed_gives_the_same_curve() -> None:
    first, again, other = (sweep(stepper(), SweepSpec(steps=20), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.losses, again.losses)
    assert not np.array_equal(first.losses, other.losses)


def test_rates_grow_by_one_factor_and_each_layer_keeps_its_share() -> None:
    spec = SweepSpec(lr_min=1e-4, lr_max=1.0, steps=4)
    assert spec.rates == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    found = stepper(FinetuneSpec(batch_size=4, w=0.5))
    seen: list[list[float]] = []
    hook = found.optimiser.register_step_pre_hook(
        lambda optimiser, *_: seen.append(sorted({group["lr"] for group in optimiser.param_groups}))
    )
    sweep(found, spec, seed=0)
    hook.remove()
    for rate, layers in zip(spec.rates, seen, strict=True):
        assert layers == pytest.approx([rate * 0.5**power for power in (4, 3, 2, 1, 0)])


class Scripted(Supervised):
    """Losses as given, one a step."""

    losses: list[float]

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        return super().__call__(batches, rng) * 0.0 + self.losses.pop(0)


def swept(losses: list[float]) -> RateCurve:
    found = stepper(kind=Scripted)
    found.objective.losses = losses  # type: ignore[assignment]
    return sweep(found, SweepSpec(), seed=0)


def test_the_running_average_is_corrected_for_its_start() -> None:
    curve = swept([2.0] * 100)
    assert curve.smoothed == pytest.approx([2.0] * 100)
    assert not curve.diverged
    assert swept([1.0, 3.0, *[1.0] * 98]).smoothed[1] == pytest.approx((0.98 * 0.02 * 1 + 0.02 * 3) / (1 - 0.98**2))


@pytest.mark.parametrize(("after", "steps"), [(1e6, 31), (float("nan"), 30), (float("inf"), 30)])
def test_a_sweep_ends_where_the_loss_diverges(after: float, steps: int) -> None:
    curve = swept([1.0] * 30 + [after] * 70)
    assert curve.diverged
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed) == steps


def test_an_average_of_four_times_the_best_ends_it() -> None:
    # After 20 losses of 1 the average of a step to 40 is 1 + 39 * (1 - 0.98^k) / (1 - 0.98^(20 + k)): 4.3 at k = 2.
    curve = swept([1.0] * 20 + [40.0] * 80)
    k = np.arange(1, 9)
    average = 1 + 39 * (1 - 0.98**k) / (1 - 0.98 ** (20 + k))
    assert len(curve.rates) == 20 + int(k[average > 4][0])


# ---------------------------------------------------------------- suggestions


def curve_of(loss: Callable[[int], float]) -> RateCurve:
    spec = SweepSpec()
    losses = np.array([loss(step) for step in range(100)])
    return RateCurve(spec, spec.rates, losses, losses, False)


def test_a_straight_valley_suggests_what_its_definitions_say() -> None:
    """Steps 10 .. 94 count. Flat to step 30, down by one a step to step 80, by three from 60 to 61, then up."""

    def loss(step: int) -> float:
        if step <= 30:
            return 100.0
        return 130.0 - step - 2 * (step > 60) if step <= 80 else step - 20.0

    found = suggest(curve_of(loss))
    rates = SweepSpec().rates
    # The longest fall has 51 members and ends at point 70 (step 80), so it begins at 19; a third is 17, a sixth 8.
    assert found.valley == rates[10 + 19 + 17 + 8]
    assert found.steepest == rates[60]
    assert found.minimum == rates[80] / 10


def test_a_fall_over_everything_begins_before_its_first_point() -> None:
    found = suggest(curve_of(lambda step: -(float(step) ** 2)))
    # 85 points: from -1 to 84, a third is 28, a sixth 14.
    assert found.valley == SweepSpec().rates[10 - 1 + 28 + 14]
    assert found.steepest == SweepSpec().rates[93]


def test_small_rises_do_not_end_a_valley() -> None:
    """Down by two and up by one in turn: every second step is lower than all before."""
    found = suggest(curve_of(lambda step: -float(step // 2) + (0.5 if step % 2 else 0.0)))
    # Points 0, 2, .. 84 make a run of 43 that ends at 84: it counts as begun at 41, a third is 14, a sixth 7.
    assert found.valley == SweepSpec().rates[10 + 41 + 14 + 7]


def test_a_loss_that_only_rises_suggests_the_first_rate_that_counts() -> None:
    found = suggest(curve_of(float))
    assert found.valley == SweepSpec().rates[10]
    assert found.minimum == SweepSpec().rates[10] / 10


def test_a_sweep_that_diverges_at_once_says_where_to_begin() -> None:
    with pytest.raises(TrainingError, match="diverged at step 12 of 100, too early .* lower `--lr-min` below 1e-07"):
        suggest(swept([1.0] * 11 + [1e6]))
