"""SqueezeNet 1.1 for pictures (Iandola et al. 2016, arXiv:1602.07360), from torchvision."""

from __future__ import annotations

from torch import nn

from ctlr.encoders.base import Encoder, init_convolutions
from ctlr.encoders.pictures import allocate, picture_network

__all__ = ["SqueezeNet", "squeezenet1_1"]

_STARTS = (0, 3, 6, 9, 11)


class SqueezeNet(Encoder):
    """A stem and four pairs of fire modules, which squeeze the channels before they expand them; no norm layers."""

    channels_last = True
    bf16 = True


def squeezenet1_1(*, channels: int, ndim: int = 2, width: float = 1.0) -> SqueezeNet:
    """Build SqueezeNet 1.1: 512 features, those that the original classifies by a last convolution."""
    network = picture_network("squeezenet1_1", channels=channels)
    layers = list(network.get_submodule("features").children())
    ends = (*_STARTS[1:], len(layers))
    encoder = SqueezeNet(
        [nn.Sequential(*layers[start:end]) for start, end in zip(_STARTS, ends, strict=True)], width=512
    )
    allocate(encoder, network)
    init_convolutions(encoder, "fan_in")
    return encoder
