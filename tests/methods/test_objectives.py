"""The contract that every objective passes, and what is special to each."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ctlr.contracts import GivenParts, methods, parts_to_try
from ctlr.contracts.methods import batches
from ctlr.encoders import build_encoder, build_head
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Batch, Task
from ctlr.methods.losses import TaskLoss
from ctlr.methods.pooled import Pooled, PooledSpec
from ctlr.methods.vat import VAT, VATSpec, batch_statistics_kept, with_rms
from ctlr.specs import METHODS, EncoderSpec, FinetuneSpec, ViewsSpec


def encoder(ndim: int = 2) -> Encoder:
    return build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=ndim, seed=0)


def head(net: Encoder, outputs: int) -> nn.Module:
    return build_head(net.width, outputs, dropout=0.0, seed=0)


CASES = [case for name in METHODS if methods.objectives_of(name) for case in methods.cases_of(name, Path())]
CASES += [replace(case, encoder=name) for case in CASES if case.ndim == 1 for name in ("lstm", "cnn_lstm")]
"""Whatever the table has."""


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("promise", methods.ONCE, ids=lambda promise: promise.__name__)
def test_a_method_keeps_its_promise(promise: Callable[[methods.Case], None], name: str) -> None:
    promise(next(methods.cases_of(name, Path())))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.classes}-{case.ndim}d{case.encoder}")
def test_an_objective_is_a_finite_scalar_that_moves_its_encoder(case: methods.Case) -> None:
    methods.loss_is_a_finite_scalar_that_moves_the_encoder(case)


@pytest.mark.parametrize("name", dict.fromkeys(case.name for case in CASES))
def test_another_seed_gives_another_loss_where_views_are_drawn(name: str) -> None:
    case = next(methods.cases_of(name, Path()))
    for one, other in zip(case.objectives(), case.objectives(), strict=True):
        losses = [
            objective(case.batches(), torch.Generator().manual_seed(seed))
            for seed, (_, objective) in enumerate((one, other))
        ]
        assert not torch.equal(*losses)


class Slope(Encoder):
    """Features that are the images times known slopes: its adversary is known too."""

    def __init__(self, slopes: Tensor) -> None:
        super().__init__([nn.Identity()], width=slopes.numel())
        self.slopes = slopes

    def forward(self, images: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        return images.flatten(1) * self.slopes


def linear_vat(slopes: Tensor, spec: VATSpec) -> VAT:
    top = nn.Linear(slopes.numel(), 1, bias=False)
    nn.init.ones_(top.weight)
    return VAT(spec, GivenParts(Slope(slopes), top, TaskLoss(classes=0)))


def test_the_adversary_of_a_linear_predictor_points_along_its_slope() -> None:
    slopes = torch.tensor([3.0, -4.0, 0.0, 0.0])
    objective = linear_vat(slopes, VATSpec())
    images = torch.zeros(5, 1, 2, 2)
    reference = torch.zeros(5, 1)
    direction = objective.adversarial_direction(Batch(images), reference, torch.Generator().manual_seed(0)).flatten(1)
    # Up to sign, the slope's direction, scaled to a root mean square of 1 over 4 pixels (length 2).
    expected = slopes / 5 * 2
    assert torch.allclose(direction * direction[:, :1].sign(), expected * expected[0].sign(), atol=1e-5)


def test_the_adversarial_term_of_a_linear_predictor_is_its_squared_slope() -> None:
    spec = VATSpec(epsilon=0.5, weight=1.0, consistency=0.0)
    objective = linear_vat(torch.tensor([3.0, -4.0, 0.0, 0.0]), spec)
    empty = Batch(torch.zeros(2, 1, 2, 2), torch.zeros(2))
    loss = objective({"labelled": empty, "pool": empty}, torch.Generator().manual_seed(0))
    # Step of length epsilon * sqrt(4) = 1 along a slope of length 5 changes the output by 5.
    assert loss.item() == pytest.approx(25, rel=1e-4)


def test_rows_are_scaled_to_unit_root_mean_square_and_nought_stays_nought() -> None:
    scaled = with_rms(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    assert torch.allclose(scaled[0], torch.tensor([3.0, 4.0]) / math.sqrt(12.5))
    assert torch.equal(scaled[1], torch.zeros(2))


def test_running_statistics_stand_still_inside_the_block_and_move_again_after_it() -> None:
    norm = nn.BatchNorm1d(3)
    with batch_statistics_kept(norm):
        norm(torch.randn(8, 3) + 5)
    assert torch.equal(norm.running_mean, torch.zeros(3))
    norm(torch.ones(8, 3))
    assert torch.allclose(norm.running_mean, torch.full((3,), 0.1))


# ---------------------------------------------------------------- pooled


def pool_of(images: Tensor, spec: PooledSpec, source_head: nn.Module | None) -> tuple[Pooled, dict[str, Batch]]:
    net = encoder()
    loss = TaskLoss(classes=0)
    objective = Pooled(spec, GivenParts(net, head(net, 1), loss, Task(None, source_head, loss)))
    own, other = Batch(images[:4], torch.zeros(4)), Batch(images[4:], torch.ones(len(images) - 4))
    return objective, {"labelled": own, "source": other}


def test_a_pooled_loss_is_the_targets_plus_the_weighted_sources() -> None:
    images = torch.randn(10, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    other_head = head(encoder(), 1)
    totals = {}
    for weight in (1.0, 3.0):
        objective, given = pool_of(images, PooledSpec(source_weight=weight), other_head)
        totals[weight] = objective(given, torch.Generator()).item()
    features = encoder()(images)  # batch norms see both sides at once
    own = head(encoder(), 1)(features)[:4, 0].square().mean().item()
    other = (other_head(features)[4:, 0] - 1).square().mean().item()
    assert totals[1.0] == pytest.approx(own + other, rel=1e-5)
    assert totals[3.0] == pytest.approx(own + 3 * other, rel=1e-5)


def test_one_task_on_both_sides_has_one_head_that_learns_from_both() -> None:
    images = torch.randn(10, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    objective, given = pool_of(images, PooledSpec(), None)
    assert sum("head" in name for name, _ in objective.networks.named_parameters()) == 2  # weight and bias
    total = objective(given, torch.Generator()).item()
    outputs = head(encoder(), 1)(encoder()(images))[:, 0]
    assert total == pytest.approx(outputs[:4].square().mean().item() + (outputs[4:] - 1).square().mean().item(), 1e-5)


def test_views_of_finetuning_change_the_images_of_both_sides() -> None:
    images = torch.randn(10, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    mirrored = ViewsSpec(rotate=0, translate=0, scale=0, warp=0, flip=1)
    objective, given = pool_of(images, PooledSpec(finetune=FinetuneSpec(views=mirrored)), None)
    plain, flipped = pool_of(images.flip(-1), PooledSpec(), None)
    assert objective(given, torch.Generator()).item() == pytest.approx(plain(flipped, torch.Generator()).item(), 1e-5)


def test_virtual_adversarial_training_sees_labelled_images_through_the_views_of_finetuning() -> None:
    mirrored = ViewsSpec(rotate=0, translate=0, scale=0, warp=0, flip=1)
    given = batches(0, 2)
    flipped = given | {"labelled": Batch(given["labelled"].images.flip(-1), given["labelled"].target)}
    losses = []
    for views, seen in ((mirrored, given), (None, flipped)):
        spec = VATSpec(weight=0, consistency=0, finetune=FinetuneSpec(views=views))
        losses.append(VAT(spec, parts_to_try())(seen, torch.Generator().manual_seed(0)).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
