"""What every encoder promises, and the parts that the families share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ctlr.errors import ConfigError
from ctlr.specs import Activation

__all__ = [
    "Encoder",
    "StemPooling3d",
    "activation_of",
    "freeze_blocks",
    "init_convolutions",
    "init_layers",
    "replace_batch_norms",
    "scaled",
    "seeded",
    "train_blocks",
]


class Encoder(nn.Module):
    """Turn images into features: blocks in a row, then the mean over space, of which points have none.

    Contract: float (B, C, *S) -> float32 (B, width) for every side >= 32, under autocast too; forward draws no
    random numbers, and no block writes into its input (so that maps computed once can be used again). Dropout that an
    option switches on draws while it trains, from torch's global state as the head's does: a stage seeds that state
    and keeps it in its checkpoints. A frozen block does not train, so its maps stay the same.

    Args:
        blocks: From the stem to the last stage; the units of freezing and of layer groups. At least three by default.
        width: Channels that leave the last block.

    Attributes:
        frozen: Indices of the blocks that do not learn.
        keeps_statistics: Whether the batch norms of all blocks keep their running averages and normalise by them.
        published: What each part that has weights is called in the files that `load_published` reads; empty: there
            are none.
    """

    channels_last: ClassVar[bool]
    """Whether channels-last memory trains faster on a CPU at the precision of `bf16`; measured with batch norm."""
    bf16: ClassVar[bool]
    """Whether bfloat16 autocast trains faster on a CPU that multiplies it in hardware; measured with batch norm."""

    def __init__(self, blocks: Iterable[nn.Module], width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.width = width
        self.frozen: frozenset[int] = frozenset()
        self.keeps_statistics = False
        self.published: Mapping[str, str] = {}

    def forward(self, images: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Run `blocks[start:stop]`, and pool if `stop` is None.

        `forward(forward(x, stop=n), start=n)` equals `forward(x)`.

        Args:
            images: (B, C, *S), or the maps that left block `start - 1`.
            start: First block to run.
            stop: The block before which to stop; None runs all and pools.

        Returns:
            (B, width) features, or the maps (B, C', *S') that enter block `stop`.
        """
        maps = images
        for block in islice(self.blocks, start, stop):
            maps = block(maps)
        if stop is not None:
            return maps
        # Half-precision maps are averaged into float32: rounding the average would cost what averaging won.
        wide = torch.promote_types(maps.dtype, torch.float32)
        return maps.to(wide) if maps.ndim == 2 else maps.mean(dim=tuple(range(2, maps.ndim)), dtype=wide)

    @staticmethod
    def published_today(name: str) -> str:
        """What a tensor of an older published file is called in newer ones."""
        return name

    def train(self, mode: bool = True) -> Self:
        """Set training mode, frozen blocks excepted: their batch-norm statistics stay."""
        super().train(mode)
        for index in self.frozen:
            self.blocks[index].eval()
        if self.keeps_statistics:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


class StemPooling3d(nn.MaxPool3d):
    """The stem's maximum over 3^3 at stride 2, whose gradient is the same each time on a GPU too.

    There the windows that a number leads add to its gradient in whatever order they end. Along one axis they are two at
    the most, whose sum has one value: so the maximum is taken axis by axis. Of equal numbers the same one leads.
    """

    def __init__(self) -> None:
        super().__init__(3, stride=2, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S')."""
        return self.axis_by_axis(maps) if maps.is_cuda else super().forward(maps)

    @staticmethod
    def axis_by_axis(maps: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S')."""
        for axis in (2, 1, 0):
            kernel, stride, padding = ([other if axis == n else own for n in range(3)]
                                       for own, other in ((1, 3), (1, 2), (0, 1)))  # fmt: skip
            maps = nn.functional.max_pool3d(maps, kernel, stride, padding)
        return maps


def train_blocks(encoder: Encoder, blocks: Iterable[int]) -> None:
    """Let some blocks learn; the others keep their weights and batch-norm statistics.

    Args:
        encoder: Changed in place.
        blocks: Indices, from the image on.

    Raises:
        ConfigError: The encoder has no such block.
    """
    learning, known = set(blocks), range(len(encoder.blocks))
    unknown = learning - set(known)
    if unknown:
        raise ConfigError(
            f"unknown layer group {min(unknown)}: this encoder has the blocks 0 to {len(known) - 1}. Name one of them."
        )
    encoder.frozen = frozenset(known) - learning
    for index, block in enumerate(encoder.blocks):
        block.requires_grad_(index in learning)
    encoder.train(encoder.training)


def freeze_blocks(encoder: Encoder, n: int) -> None:
    """Keep the lower n blocks as they are: weights and batch-norm statistics. The others learn.

    Raises:
        ConfigError: The encoder has fewer blocks.
    """
    if not 0 <= n <= len(encoder.blocks):
        raise ConfigError(
            f"`n_frozen` must lie between 0 and {len(encoder.blocks)}, the number of blocks of this encoder; got {n}."
        )
    train_blocks(encoder, range(n, len(encoder.blocks)))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch's initialisers draw from a seed of their own, on the CPU; the global state comes back afterwards."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would reseed every GPU too.
        torch.default_generator.manual_seed(seed)
        yield


def scaled(channels: int, width: float) -> int:
    """Number of channels under a width multiplier, at least one."""
    return max(1, round(channels * width))


def init_convolutions(module: nn.Module, mode: Literal["fan_in", "fan_out"]) -> None:
    """Draw the weights of all convolutions below a module as He et al. 2015 (eq. 10) do for ReLU; biases are 0.

    Args:
        module: Changed in place.
        mode: Whose variance is kept: `fan_in` the activations', `fan_out` the gradients'.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode=mode, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


_ACTIVATIONS: Mapping[Activation, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU,
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
}  # fmt: skip


def activation_of(name: Activation) -> nn.Module:
    """A fresh one, which does not write into its input."""
    return _ACTIVATIONS[name]()


def init_layers(module: nn.Module, activation: Activation) -> None:
    """Draw the weights of all linear layers and convolutions below a module as an activation wants them; biases are 0.

    Their variance is 2 / inputs before ReLU and its smooth relatives (He et al. 2015, eq. 10), and 1 / inputs before
    SELU (Klambauer et al. 2017), tanh and sigmoid (LeCun et al. 1998).

    Args:
        module: Changed in place.
        activation: What follows the layers.
    """
    variance = 1.0 if activation in ("selu", "tanh", "sigmoid") else 2.0
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.normal_(part.weight, std=(variance / part.weight[0].numel()) ** 0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def replace_batch_norms(module: nn.Module) -> int:
    """Put group norm (Wu & He 2018) in the place of every batch norm below a module.

    A group has at least eight channels, and there are at most 32 groups. Smaller groups would cost nothing on
    large maps (their table 3), but on maps of a single voxel, as deep encoders make of 32^3 images, they
    normalise a handful of numbers and leave little but signs.

    Returns:
        How many were replaced.
    """
    count = 0
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            channels = child.num_features
            setattr(module, name, nn.GroupNorm(_groups(channels), channels, eps=child.eps))
            count += 1
        else:
            count += replace_batch_norms(child)
    return count


def _groups(channels: int) -> int:
    return max((n for n in range(1, 33) if channels % n == 0 and channels >= 8 * n), default=1)
