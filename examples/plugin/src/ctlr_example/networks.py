"""The encoder: blocks in a row; CTLR averages over space, copies and freezes by blocks."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, init_convolutions, scaled


class AveragingCNN(Encoder):
    """Average pooling where others take the maximum."""

    channels_last = False
    bf16 = False


def averaging_cnn(*, channels: int, ndim: int, width: float = 1.0) -> AveragingCNN:
    """Build it for pictures with so many channels; `width` multiplies its 8, 16 and 32 channels."""
    sizes = [scaled(size, width) for size in (8, 16, 32)]
    blocks = [
        nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.AvgPool2d(2), nn.ReLU()
        )
        for inputs, outputs in pairwise([channels, *sizes])
    ]
    encoder = AveragingCNN(blocks, sizes[-1])
    init_convolutions(encoder, "fan_out")
    return encoder
