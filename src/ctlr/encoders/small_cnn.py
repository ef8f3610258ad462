"""A small CNN for processors without a GPU."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, init_convolutions, scaled

__all__ = ["SmallCNN", "small_cnn"]

_CHANNELS = (8, 16, 32, 32)


class SmallCNN(Encoder):
    """Four blocks of convolution, norm, pooling and ReLU, after SFCN's with an eighth of its channels."""

    channels_last = True
    bf16 = True


def small_cnn(*, channels: int, ndim: int, width: float = 1.0) -> SmallCNN:
    """Build the small CNN for pictures (ndim 2) or volumes (3): 32 features, some 45,000 weights in 3-D."""
    sizes = [channels, *(scaled(size, width) for size in _CHANNELS)]
    encoder = SmallCNN([_block(*pair, ndim) for pair in pairwise(sizes)], sizes[-1])
    init_convolutions(encoder, "fan_out")
    return encoder


def _block(inputs: int, outputs: int, ndim: int) -> nn.Sequential:
    """Halve every side. The pooling stands before the ReLU (the order changes nothing else) to leave it less to do."""
    if ndim == 2:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.MaxPool2d(2), nn.ReLU()
        )
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm3d(outputs), nn.MaxPool3d(2), nn.ReLU()
    )
