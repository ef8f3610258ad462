from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from ctlr import specs
from ctlr.encoders import build_encoder, freeze_blocks
from ctlr.encoders.base import replace_batch_norms
from ctlr.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "ndim", "message"),
    [
        ({"name": "sfcn"}, 2, r"sfcn takes 3-D images; these are 2-D images, for which there are: small_cnn, cell_cnn"),
        ({"name": "alexnet"}, 3, r"alexnet takes 2-D images; these are 3-D images"),
        (
            {"name": "resnet18"},
            1,
            r"takes 2-D images and 3-D images; these are signals, for which there are: cnn1d",
        ),
        ({"name": "resnet18", "width": 0.5}, 2, r"`width` must be 1 for resnet18 on 2-D images; got 0\.5"),
    ],
)
def test_what_an_encoder_cannot_be_is_said(options: dict[str, object], ndim: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_encoder(specs.EncoderSpec.model_validate(options), channels=1, ndim=ndim, seed=0)


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (13, 1), (16, 2), (24, 3), (64, 8), (96, 12), (512, 32)])
def test_groups_have_at_least_eight_channels(channels: int, groups: int) -> None:
    module = nn.Sequential(nn.Sequential(nn.BatchNorm3d(channels)), nn.BatchNorm2d(channels))
    assert replace_batch_norms(module) == 2
    assert [part.num_groups for part in module.modules() if isinstance(part, nn.GroupNorm)] == [groups, groups]


@pytest.mark.parametrize("n", [5, -1])
def test_no_more_blocks_can_be_frozen_than_there_are(n: int) -> None:
    encoder = build_encoder(specs.EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    with pytest.raises(ConfigError, match=rf"between 0 and 4, .*; got {n}\."):
        freeze_blocks(encoder, n)


def test_a_frozen_encoder_thaws_and_hands_gradients_down_to_the_image() -> None:
    encoder = build_encoder(specs.EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    freeze_blocks(encoder, 4)
    image = torch.randn(2, 1, 32, 32, requires_grad=True)
    encoder(image).square().sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    freeze_blocks(encoder, 1)
    assert [next(block.parameters()).requires_grad for block in encoder.blocks] == [False, True, True, True]


def test_torchvision_stays_out_until_one_of_its_networks_is_built() -> None:
    script = """
import sys, warnings
warnings.simplefilter("error")
from ctlr.encoders import build_encoder
from ctlr.specs import EncoderSpec
build_encoder(EncoderSpec(name="resnet18", width=0.1), channels=1, ndim=3, seed=0)
build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
assert "torchvision" not in sys.modules
build_encoder(EncoderSpec(name="alexnet"), channels=1, ndim=2, seed=0)
assert "torchvision" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
