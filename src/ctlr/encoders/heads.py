"""Heads that turn an encoder's features into outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ctlr.encoders.base import Encoder, seeded
from ctlr.errors import ConfigError

__all__ = ["FusedHead", "build_head", "fused_head", "patch_decoder", "projection_head"]


def build_head(width: int, outputs: int, *, dropout: float, seed: int) -> nn.Sequential:
    """Dropout and one linear layer: (B, width) -> (B, outputs).

    Weights are drawn from N(0, 0.01^2) and biases are 0, so that training starts near the mean of a standardised
    target, or near equal probabilities, whatever the features.

    Args:
        width: Of the encoder.
        outputs: One for regression, else the number of classes.
        dropout: Probability that a feature is left out while training; draws from torch's global state.
        seed: Of the weights.
    """
    with seeded(seed):
        linear = nn.Linear(width, outputs)
        nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Dropout(dropout), linear)


class FusedHead(nn.Module):
    """Late fusion: what columns become stands beside the encoder's features, and one head answers from both.

    Args:
        columns: (B, C) numbers of the columns -> (B, hidden).
        head: (B, width + hidden) -> (B, outputs).
    """

    def __init__(self, columns: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.columns, self.head = columns, head

    def forward(self, features: Tensor, columns: Tensor | None = None) -> Tensor:
        """(B, width) features and (B, C) columns -> (B, outputs).

        Raises:
            ConfigError: There are no columns: a method of somebody's own does not hand them on.
        """
        if columns is None:
            raise ConfigError(
                "The task has `inputs`, and the method does not hand them to the head. Let it call "
                "`predict_outputs(encoder, head, images, columns=batch.columns)`, or write `fusion: none`."
            )
        outputs: Tensor = self.head(torch.cat([features, self.columns(columns)], dim=1))
        return outputs


def fused_head(width: int, columns: int, hidden: int, outputs: int, *, dropout: float, seed: int) -> FusedHead:
    """Columns through one layer of rectified units, then `build_head` on them and the features.

    Args:
        width: Of the encoder.
        columns: Numbers that the columns are.
        hidden: Units that they become.
        outputs: As of `build_head`.
        dropout: Likewise.
        seed: Of the weights.
    """
    head = build_head(width + hidden, outputs, dropout=dropout, seed=seed)
    with seeded(seed + 1):
        return FusedHead(nn.Sequential(nn.Linear(columns, hidden), nn.ReLU()), head)


def projection_head(width: int, outputs: int, *, seed: int, hidden: int | None = None) -> nn.Sequential:
    """The head behind which SimCLR contrasts views (Chen et al. 2020, sec. 4.2): (B, width) -> (B, outputs).

    Linear to the hidden units, batch norm (so B >= 2 in training), ReLU, linear. Thrown away after pretraining.

    Args:
        width: Of what it takes, such as the encoder's features.
        outputs: Dimension in which cosines are taken.
        seed: Of the weights.
        hidden: Units between; by default as many as it takes.
    """
    hidden = hidden or width
    with seeded(seed):
        return nn.Sequential(
            # The norm's own offset makes a bias superfluous.
            nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True),
            nn.Linear(hidden, outputs),
        )  # fmt: skip


class PatchDecoder(nn.Module):
    """From the maps of an encoder's last block to images: each place of a map draws the box of the image above it.

    Args:
        width: Channels of the maps.
        channels: Of the images.
        sides: Of the images.
        map_sides: Of the maps.
    """

    def __init__(self, width: int, channels: int, sides: Sequence[int], map_sides: Sequence[int]) -> None:
        super().__init__()
        self.sides = tuple(sides)
        self.box = tuple(math.ceil(side / places) for side, places in zip(sides, map_sides, strict=True))
        self.channels = channels
        self.linear = nn.Linear(width, channels * math.prod(self.box))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, *S') -> (B, channels, *S)."""
        places, n = maps.shape[2:], len(self.box)
        boxes = self.linear(maps.movedim(1, -1)).unflatten(-1, (self.channels, *self.box))  # (B, *S', C, *box)
        order = [pair for axis in range(n) for pair in (1 + axis, 2 + n + axis)]
        whole = boxes.permute(0, 1 + n, *order)  # (B, C, S'1, box1, S'2, box2, ...)
        images: Tensor = whole.reshape(
            len(maps), self.channels, *(p * b for p, b in zip(places, self.box, strict=True))
        )
        for axis, side in enumerate(self.sides):
            images = images.narrow(2 + axis, 0, side)
        return images


def patch_decoder(encoder: Encoder, shape: Sequence[int], *, seed: int) -> PatchDecoder:
    """A decoder for what leaves an encoder's last block.

    Args:
        encoder: In any mode; left as it is.
        shape: (C, *S) of an image.
        seed: Of the weights.
    """
    mode, parameter = encoder.training, next(encoder.parameters())
    with torch.no_grad():
        maps = encoder.eval()(torch.zeros(1, *shape, device=parameter.device), stop=len(encoder.blocks))
    encoder.train(mode)
    with seeded(seed):
        return PatchDecoder(maps.shape[1], shape[0], shape[1:], maps.shape[2:])
