"""A CNN of cells, each of one of a few modules that are used again and again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ctlr.encoders.base import Encoder, activation_of, init_layers
from ctlr.specs import CellCnnSpec, CellModule

__all__ = ["Cell", "CellCNN", "cell_cnn"]


class CellCNN(Encoder):
    """A convolution that halves every side, and stages of cells, each a block."""

    # `python bench/encoders.py cell_cnn`, one thread of an EPYC with AVX-512 BF16, with the default options.
    # Volumes a second at 48^3: float32 126, channels-last 137; bf16 193, channels-last 226. Pictures likewise.
    channels_last = True
    bf16 = True


@dataclass(frozen=True)
class _Layers:
    """Of so many dimensions, with norms or none."""

    ndim: int
    norm: bool

    def convolution(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
    ) -> nn.Module:
        """Sides stay as they are, or are halved and rounded up."""
        kind = {2: nn.Conv2d, 3: nn.Conv3d}[self.ndim]
        return kind(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2 * dilation, dilation=dilation, groups=groups,
            bias=not self.norm,
        )  # fmt: skip

    def normed(self, outputs: int, *convolutions: nn.Module) -> nn.Sequential:
        """Convolutions in a row, and a norm."""
        kind = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[self.ndim]
        return nn.Sequential(*convolutions, *([kind(outputs)] if self.norm else []))

    def greatest(self, kernel: int) -> nn.Module:
        """Halve every side, rounded up: the greatest of a window; a window of one is every second place."""
        kind = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[self.ndim]
        return kind(kernel, stride=2, ceil_mode=True)

    def average(self) -> nn.Module:
        """Halve every side, rounded up."""
        kind = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[self.ndim]
        return kind(2, ceil_mode=True)


class Cell(nn.Module):
    """Pooling where sides are halved, a convolution, and what the module keeps of its input.

    Args:
        inputs: Channels that come in.
        outputs: That leave.
        module: What it is made of.
        halves: Whether sides are halved; an odd one is rounded up.
        layers: Of the network.
    """

    def __init__(self, inputs: int, outputs: int, module: CellModule, *, halves: bool, layers: _Layers) -> None:
        super().__init__()
        strides = halves and module.pooling == "stride"
        pools = {"max": layers.greatest(2), "average": layers.average(), "stride": nn.Identity()}
        self.pooling = pools[module.pooling] if halves else nn.Identity()
        self.convolution = _convolution(inputs, outputs, module, 2 if strides else 1, layers)
        self.activation = activation_of(module.activation)
        self.skip = module.skip
        self.kept = layers.greatest(1) if strides and self.skip != "none" else nn.Identity()
        self.joint: nn.Module = nn.Identity()
        if self.skip == "residual" and inputs != outputs:
            self.joint = layers.normed(outputs, layers.convolution(inputs, outputs, 1))
        elif self.skip == "dense":
            self.joint = layers.normed(outputs, layers.convolution(inputs + outputs, outputs, 1))
        init_layers(self, module.activation)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, *S) -> (B, outputs, *S')."""
        maps = self.pooling(maps)
        new: Tensor = self.convolution(maps)
        if self.skip == "residual":
            new = new + self.joint(self.kept(maps))
        elif self.skip == "dense":
            new = self.joint(torch.cat([self.kept(maps), self.activation(new)], 1))
        out: Tensor = self.activation(new)
        return out


def _convolution(inputs: int, outputs: int, module: CellModule, stride: int, layers: _Layers) -> nn.Sequential:
    kind = module.convolution if module.kernel > 1 else "plain"
    if kind == "separable":
        alone = layers.convolution(inputs, inputs, module.kernel, stride=stride, groups=inputs)
        return layers.normed(outputs, alone, layers.convolution(inputs, outputs, 1))
    dilation = 2 if kind == "dilated" else 1
    return layers.normed(
        outputs, layers.convolution(inputs, outputs, module.kernel, stride=stride, dilation=dilation)
    )  # fmt: skip


def cell_cnn(*, channels: int, options: CellCnnSpec, ndim: int) -> CellCNN:
    """Build the network for pictures (ndim 2) or volumes (3)."""
    layers, widths = _Layers(ndim, options.norm != "none"), options.widths
    stem = layers.normed(widths[0], layers.convolution(channels, widths[0], 3, stride=2))
    init_layers(stem, "relu")
    stem.append(nn.ReLU())
    stages = [
        nn.Sequential(*(
            Cell(outputs if number else inputs, outputs, module, halves=stage > 0 and not number, layers=layers)
            for number, module in enumerate(modules)
        ))
        for stage, ((inputs, outputs), modules) in enumerate(
            zip(pairwise((widths[0], *widths)), options.sequence, strict=True)
        )
    ]  # fmt: skip
    return CellCNN([stem, *stages], widths[-1])
