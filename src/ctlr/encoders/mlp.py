"""A multilayer perceptron for points."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ctlr.encoders.base import Encoder, activation_of, init_layers
from ctlr.specs import MlpSpec

__all__ = ["MLP", "mlp"]


class MLP(Encoder):
    """Layers in a row, each a block: linear, norm, activation, dropout."""

    channels_last = False  # a matter of pictures and volumes
    bf16 = False


def mlp(*, channels: int, options: MlpSpec, ndim: int = 0) -> MLP:
    """Build the perceptron for points with as many features as `channels` says."""
    blocks = [_block(*pair, options) for pair in pairwise((channels, *options.sizes))]
    encoder = MLP(blocks, options.sizes[-1])
    init_layers(encoder, options.activation)
    return encoder


def _block(inputs: int, units: int, options: MlpSpec) -> nn.Sequential:
    norms = [] if options.norm == "none" else [nn.BatchNorm1d(units)]
    linear = nn.Linear(inputs, units, bias=not norms)
    return nn.Sequential(linear, *norms, activation_of(options.activation), nn.Dropout(options.dropout))
