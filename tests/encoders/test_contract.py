"""The suite that every encoder passes, on every number of dimensions that it takes."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from light import usual_width
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ctlr import specs
from ctlr.encoders import Encoder, build_encoder, freeze_blocks

CASES = [
    pytest.param(name, ndim, id=f"{name}-{ndim}d") for name, part in specs.ENCODERS.items() for ndim in part.dimensions
]
every_encoder = pytest.mark.parametrize(("name", "ndim"), CASES)


def build(name: str, ndim: int, *, channels: int = 1, seed: int = 0, **options: object) -> Encoder:
    """An encoder; large ones for volumes at a quarter of their width: the same layers, a sixteenth of the work."""
    spec = specs.EncoderSpec.model_validate({"name": name, "width": usual_width(name, ndim), **options})
    return build_encoder(spec, channels=channels, ndim=ndim, seed=seed)


@cache
def shared(name: str, ndim: int) -> Encoder:
    """One encoder for the tests that leave it as it is."""
    return build(name, ndim).eval().requires_grad_(False)


def images(ndim: int, *sides: int, channels: int = 1) -> Tensor:
    return torch.randn(2, channels, *(sides or [32] * ndim), generator=torch.Generator().manual_seed(1))


@every_encoder
def test_features_have_the_promised_width(name: str, ndim: int) -> None:
    encoder = shared(name, ndim)
    features = encoder(images(ndim))
    assert features.shape == (2, encoder.width)
    assert features.dtype == torch.float32
    assert features.isfinite().all()


@every_encoder
def test_sides_may_differ_and_need_be_no_powers_of_two(name: str, ndim: int) -> None:
    encoder = shared(name, ndim)
    assert encoder(images(ndim, *(32, 40, 36)[:ndim])).shape == (2, encoder.width)


@every_encoder
def test_images_are_told_apart(name: str, ndim: int) -> None:
    one, other = shared(name, ndim)(images(ndim))
    assert (one - other).norm() > 1e-3 * one.norm() > 0


@every_encoder
def test_stopping_and_going_on_equals_running_through(name: str, ndim: int) -> None:
    encoder = shared(name, ndim)
    batch = images(ndim)
    whole = encoder(batch)
    for n in range(len(encoder.blocks) + 1):
        maps = encoder(batch, stop=n)
        kept = maps.clone()
        assert torch.equal(encoder(maps, start=n), whole)
        assert torch.equal(maps, kept), f"block {n} writes into its input"


@every_encoder
def test_there_are_blocks_to_freeze(name: str, ndim: int) -> None:
    encoder = shared(name, ndim)
    assert len(encoder.blocks) >= 3
    in_blocks = sum(parameter.numel() for parameter in encoder.blocks.parameters())
    assert in_blocks == sum(parameter.numel() for parameter in encoder.parameters())
    assert all(list(block.parameters()) for block in encoder.blocks)


@every_encoder
def test_training_draws_no_random_numbers_and_teaches_every_weight(name: str, ndim: int) -> None:
    encoder = build(name, ndim).train()
    before = torch.get_rng_state()
    encoder(images(ndim)).square().sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    for parameter in encoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@every_encoder
def test_initial_weights_depend_on_the_seed_alone(name: str, ndim: int) -> None:
    first = build(name, ndim, seed=3)
    torch.rand(1)
    before = torch.get_rng_state()
    second, other = build(name, ndim, seed=3), build(name, ndim, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    for tensor, same in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(tensor, same)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@every_encoder
def test_channels_last_memory_changes_no_feature(name: str, ndim: int) -> None:
    layout = torch.channels_last if ndim == 2 else torch.channels_last_3d
    encoder = build(name, ndim, channels=3).eval().requires_grad_(False)
    batch = images(ndim, channels=3)
    contiguous = encoder(batch)
    encoder.to(memory_format=layout)  # type: ignore[call-overload]
    torch.testing.assert_close(encoder(batch.contiguous(memory_format=layout)), contiguous, rtol=1e-3, atol=1e-4)


@every_encoder
def test_frozen_blocks_stay_as_they_are(name: str, ndim: int) -> None:
    encoder = build(name, ndim).train()
    n = len(encoder.blocks) - 2
    freeze_blocks(encoder, n)
    encoder.train()
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    encoder(images(ndim)).square().sum().backward()
    frozen = tuple(f"blocks.{index}." for index in range(n))
    for key, tensor in encoder.state_dict().items():
        if key.startswith(frozen):
            assert torch.equal(tensor, before[key])
    for index, block in enumerate(encoder.blocks):
        assert all((parameter.grad is None) == (index < n) for parameter in block.parameters())
        assert block.training == (index >= n)


@every_encoder
def test_half_precision_gives_nearly_the_same_features_in_float32(name: str, ndim: int) -> None:
    encoder, batch = shared(name, ndim), images(ndim)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(batch)
    assert features.dtype == torch.float32
    expected = encoder(batch)
    assert (features - expected).norm() < 0.05 * expected.norm()


GROUPED = [case for case in CASES if specs.ENCODERS[case.values[0]].has_norms]


@pytest.mark.parametrize(("name", "ndim"), GROUPED)
def test_group_norm_leaves_an_image_alone_with_itself(name: str, ndim: int) -> None:
    encoder = build(name, ndim, norm="group").train().requires_grad_(False)
    assert not any(isinstance(part, _BatchNorm) for part in encoder.modules())
    assert any(isinstance(part, nn.GroupNorm) for part in encoder.modules())
    batch = images(ndim)
    torch.testing.assert_close(encoder(batch)[:1], encoder(batch[:1]), rtol=1e-3, atol=1e-4)


SCALED = [case for case in CASES if case.values[1] in specs.ENCODERS[case.values[0]].scaled_in]


@pytest.mark.parametrize(("name", "ndim"), SCALED)
def test_half_the_width_has_half_the_features_and_about_a_quarter_of_the_weights(name: str, ndim: int) -> None:
    whole, half = build(name, ndim, width=1.0), build(name, ndim, width=0.5)
    assert half.width == whole.width // 2
    ratio = sum(p.numel() for p in half.parameters()) / sum(p.numel() for p in whole.parameters())
    assert ratio == pytest.approx(0.25, abs=0.02)


@every_encoder
def test_what_the_table_says_is_so(name: str, ndim: int) -> None:
    part, encoder = specs.ENCODERS[name], shared(name, ndim)
    assert part.about
    assert len(encoder.blocks) == part.blocks
    assert part.has_norms == any(isinstance(module, _BatchNorm) for module in encoder.modules())
    assert part.published or not encoder.published
