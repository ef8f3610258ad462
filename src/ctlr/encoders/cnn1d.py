"""A convolutional network for signals."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, activation_of, init_layers, scaled
from ctlr.specs import Cnn1dSpec

__all__ = ["CNN1d", "cnn1d"]


class CNN1d(Encoder):
    """Convolutions over time in a row, each a block: convolution, norm, pooling, activation, dropout."""

    channels_last = False  # a matter of pictures and volumes
    bf16 = False


def cnn1d(*, channels: int, options: Cnn1dSpec, ndim: int = 1) -> CNN1d:
    """Build the network for signals of so many channels."""
    sizes = [scaled(options.channels * 2 ** min(layer, 2), options.width) for layer in range(options.layers)]
    encoder = CNN1d([_block(*pair, options) for pair in pairwise((channels, *sizes))], sizes[-1])
    init_layers(encoder, options.activation)
    return encoder


def _block(inputs: int, outputs: int, options: Cnn1dSpec) -> nn.Sequential:
    around = options.kernel // 2
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, 2 * around + 1, padding=around, bias=False), nn.BatchNorm1d(outputs),
        nn.MaxPool1d(2), activation_of(options.activation), nn.Dropout1d(options.dropout),
    )  # fmt: skip
