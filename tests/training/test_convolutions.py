"""An encoder's convolutions, and float32 for some of them."""

import copy

import pytest
import torch
from torch import Tensor, nn

from ctlr.encoders import build_encoder, freeze_blocks
from ctlr.encoders.base import Encoder
from ctlr.specs import EncoderSpec
from ctlr.training.convolutions import convolutions_of, run_in_float32


def small(ndim: int = 3) -> Encoder:
    return build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=ndim, seed=0)


def test_convolutions_are_found_with_the_maps_that_enter_and_leave_them() -> None:
    found = {each.name: (each.entering, each.leaving) for each in convolutions_of(small(), (1, 20, 17, 16))}
    assert found == {
        "blocks.0.0": ((1, 20, 17, 16), (8, 10, 9, 8)),
        "blocks.1.0": ((8, 10, 9, 8), (16, 10, 9, 8)),
        "blocks.2.0": ((16, 5, 4, 4), (32, 5, 4, 4)),
        "blocks.3.0": ((32, 2, 2, 2), (32, 2, 2, 2)),
    }


def test_looking_at_an_encoder_changes_nothing_in_it() -> None:
    encoder = small(2)
    freeze_blocks(encoder.train(), 2)
    weights, modes = copy.deepcopy(encoder.state_dict()), [module.training for module in encoder.modules()]
    state = torch.get_rng_state()
    convolutions_of(encoder, (1, 32, 32))
    assert all(torch.equal(value, weights[name]) for name, value in encoder.state_dict().items())
    assert [module.training for module in encoder.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in encoder.modules())


def bf16(module: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        output: Tensor = module(images)
    return output


def test_a_chosen_convolution_computes_in_float32_and_leaves_maps_in_bf16() -> None:
    encoder = small(2)
    first = encoder.get_submodule("blocks.0.0")
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    exact = first(images)
    rounded = bf16(first, images)
    run_in_float32(encoder, ["blocks.0.0"])
    assert torch.equal(bf16(first, images), exact.bfloat16())
    assert not torch.equal(rounded, exact.bfloat16())
    assert torch.equal(first(images), exact)
    assert bf16(encoder.get_submodule("blocks.1.0"), torch.zeros(1, 8, 4, 4)).dtype == torch.bfloat16


def test_gradients_of_a_chosen_convolution_are_float32s() -> None:
    encoder = small(2)
    chosen = encoder.get_submodule("blocks.1.0")
    images = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    chosen(images.float()).sum().backward()
    exact = chosen.weight.grad.clone()
    run_in_float32(encoder, ["blocks.1.0"])
    chosen.weight.grad = None
    bf16(chosen, images).float().sum().backward()
    assert torch.equal(chosen.weight.grad, exact)


def test_names_of_weights_copies_and_frozen_blocks_stay() -> None:
    encoder = small(2)
    freeze_blocks(encoder, 1)
    names = list(encoder.state_dict())
    run_in_float32(encoder, ["blocks.0.0"])
    assert list(encoder.state_dict()) == names
    assert not encoder.get_submodule("blocks.0.0").weight.requires_grad
    twin = copy.deepcopy(encoder)
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(encoder.get_submodule("blocks.0.0").weight)
    assert float(bf16(twin.get_submodule("blocks.0.0"), images).float().norm()) > 0
    assert torch.equal(
        bf16(twin.get_submodule("blocks.0.0"), images), twin.get_submodule("blocks.0.0")(images).bfloat16()
    )


def test_another_choice_takes_the_place_of_the_first() -> None:
    encoder = small(2)
    run_in_float32(encoder, ["blocks.0.0"])
    run_in_float32(encoder, ["blocks.1.0"])
    assert [type(each.module) for each in convolutions_of(encoder, (1, 32, 32))] == [nn.Conv2d] * 4
    run_in_float32(encoder, [])
    assert {type(module) for name, module in encoder.named_modules() if name.endswith(".0.0")} == {nn.Conv2d}


def test_a_convolution_of_ones_own_keeps_what_it_does() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, maps: Tensor) -> Tensor:
            return 2 * super().forward(maps)

    encoder = small(2)
    encoder.blocks[0][0] = Doubled(1, 8, 3, stride=2, padding=1, bias=False)
    images = torch.ones(1, 1, 8, 8)
    exact = encoder.blocks[0][0](images)
    run_in_float32(encoder, ["blocks.0.0"])
    assert torch.equal(bf16(encoder.blocks[0][0], images), exact.bfloat16())
    assert isinstance(encoder.blocks[0][0], Doubled)


@pytest.mark.parametrize("name", ["densenet121", "resnet18"])
def test_encoders_with_shortcuts_take_a_chosen_convolution_too(name: str) -> None:
    encoder = build_encoder(EncoderSpec(name=name, width=0.25), channels=1, ndim=3, seed=0)
    last = list(dict(encoder.named_modules()))
    chosen = [each for each in last if isinstance(encoder.get_submodule(each), nn.Conv3d)][-3:]
    run_in_float32(encoder, chosen)
    features = bf16(encoder.eval(), torch.zeros(2, 1, 32, 32, 32))
    assert features.dtype == torch.float32
    assert bool(features.isfinite().all())
