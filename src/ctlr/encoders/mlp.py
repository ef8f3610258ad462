"""A multilayer perceptron for points."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ctlr.encoders.base import Encoder, activation_of, init_layers
from ctlr.specs import MlpSpec

__all__ = ["MLP", "PointNorm", "mlp"]


class MLP(Encoder):
    """Layers in a row, each a block: linear, norm, activation, dropout."""

    channels_last = False  # a matter of pictures and volumes
    bf16 = False


class PointNorm(nn.BatchNorm1d):
    """Batch norm of points; one alone in its batch has no variance, and is normalised by the running averages."""

    def forward(self, points: Tensor) -> Tensor:
        """(B, units) -> (B, units)."""
        if not self.training or len(points) > 1:
            return super().forward(points)
        return nn.functional.batch_norm(
            points, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )  # fmt: skip


def mlp(*, channels: int, options: MlpSpec, ndim: int = 0) -> MLP:
    """Build the perceptron for points with as many features as `channels` says."""
    blocks = [_block(*pair, options) for pair in pairwise((channels, *options.sizes))]
    encoder = MLP(blocks, options.sizes[-1])
    init_layers(encoder, options.activation)
    return encoder


def _block(inputs: int, units: int, options: MlpSpec) -> nn.Sequential:
    norms = [] if options.norm == "none" else [PointNorm(units)]
    linear = nn.Linear(inputs, units, bias=not norms)
    return nn.Sequential(linear, *norms, activation_of(options.activation), nn.Dropout(options.dropout))
