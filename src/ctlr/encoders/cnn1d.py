"""A convolutional network for signals."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, init_convolutions, scaled

__all__ = ["CNN1d", "cnn1d"]

_CHANNELS = (16, 32, 64, 64)


class CNN1d(Encoder):
    """Four blocks of convolution over time, norm, pooling and ReLU."""

    channels_last = False  # a matter of images
    bf16 = False


def cnn1d(*, channels: int, ndim: int = 1, width: float = 1.0) -> CNN1d:
    """Build the network for signals of so many channels."""
    sizes = [scaled(size, width) for size in _CHANNELS]
    blocks = [
        nn.Sequential(nn.Conv1d(*pair, 7, padding=3, bias=False), nn.BatchNorm1d(pair[1]), nn.MaxPool1d(2), nn.ReLU())
        for pair in pairwise([channels, *sizes])
    ]
    encoder = CNN1d(blocks, sizes[-1])
    init_convolutions(encoder, "fan_out")
    return encoder
