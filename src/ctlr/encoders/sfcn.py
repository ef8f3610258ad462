"""SFCN, the simple fully convolutional network for brain age (Peng et al. 2021, Medical Image Analysis 68:101871)."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, scaled

__all__ = ["SFCN", "sfcn"]

_CHANNELS = (32, 64, 128, 256, 256)
_LAST = 64


class SFCN(Encoder):
    """Five blocks of 3^3 convolution, norm, pooling and ReLU, and one of 1^3 convolution, norm and ReLU.

    As in the authors' code; its classifier (average pooling, dropout, a 1^3 convolution to 40 age bins) is left
    to pooling and head.
    """

    # `python bench/encoders.py sfcn`, one thread of a Xeon with AMX.
    # Volumes a second at 48^3: float32 6.6, channels-last 8.8; bf16 9.2, channels-last 14.4.
    channels_last = True
    bf16 = True


def sfcn(*, channels: int, ndim: int = 3, width: float = 1.0) -> SFCN:
    """Build SFCN for volumes: 64 features, 2,950,336 weights."""
    sizes = [channels, *(scaled(size, width) for size in _CHANNELS)]
    last = scaled(_LAST, width)
    blocks = [
        nn.Sequential(nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs), nn.MaxPool3d(2), nn.ReLU())
        for inputs, outputs in pairwise(sizes)
    ]
    top = nn.Sequential(nn.Conv3d(sizes[-1], last, 1), nn.BatchNorm3d(last), nn.ReLU())
    encoder = SFCN([*blocks, top], last)
    encoder.published = {
        f"blocks.{n}.{part}": f"feature_extractor.conv_{n}.{part}" for n in range(6) for part in (0, 1)
    }
    return encoder
