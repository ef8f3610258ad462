"""A small CNN for processors without a GPU."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, init_convolutions, scaled

__all__ = ["SmallCNN", "small_cnn"]

_CHANNELS = (8, 16, 32, 32)


class SmallCNN(Encoder):
    """Four blocks of convolution, norm, pooling and ReLU, after SFCN's with an eighth of its channels.

    The first one strides instead of pooling. At full resolution a convolution costs as much as all that follows: a
    training step at 32^3 takes a third of the time without it.
    """

    # `python bench/encoders.py small_cnn`, one thread of a Xeon with AMX.
    # Volumes a second at 48^3: float32 86, channels-last 135; bf16 169, channels-last 206.
    channels_last = True
    bf16 = True


def small_cnn(*, channels: int, ndim: int, width: float = 1.0) -> SmallCNN:
    """Build the small CNN for pictures (ndim 2) or volumes (3): 32 features, some 45,000 weights in 3-D."""
    first, *others = (scaled(size, width) for size in _CHANNELS)
    blocks = [_block(channels, first, ndim, stride=2)]
    blocks += [_block(*pair, ndim, stride=1) for pair in pairwise([first, *others])]
    encoder = SmallCNN(blocks, others[-1])
    init_convolutions(encoder, "fan_out")
    return encoder


def _block(inputs: int, outputs: int, ndim: int, *, stride: int) -> nn.Sequential:
    """Halve every side. The pooling stands before the ReLU (the order changes nothing else) to leave it less to do."""
    convolution, norm, pool = {
        2: (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d),
        3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d),
    }[ndim]
    halving = [pool(2)] if stride == 1 else []
    return nn.Sequential(
        convolution(inputs, outputs, 3, stride=stride, padding=1, bias=False), norm(outputs), *halving, nn.ReLU()
    )
