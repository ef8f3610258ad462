"""A multilayer perceptron for points."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, scaled

__all__ = ["MLP", "mlp"]

_UNITS = (64, 64, 64)


class MLP(Encoder):
    """Layers in a row, each a block: linear, norm, ReLU."""

    channels_last = False  # a matter of images
    bf16 = False


def mlp(*, channels: int, ndim: int = 0, width: float = 1.0) -> MLP:
    """Build the perceptron for points with as many features as `channels` says."""
    sizes = [scaled(size, width) for size in _UNITS]
    blocks = [
        nn.Sequential(nn.Linear(*pair, bias=False), nn.BatchNorm1d(pair[1]), nn.ReLU())
        for pair in pairwise([channels, *sizes])
    ]
    encoder = MLP(blocks, sizes[-1])
    for part in encoder.modules():
        if isinstance(part, nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
    return encoder
