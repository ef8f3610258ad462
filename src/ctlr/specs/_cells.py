"""The small CNN taken apart: a network of cells, each of one of three modules, whose options a search may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from ctlr.space import Choice, Range, integers
from ctlr.specs._encoders import EncoderPart, EncoderSpec, Extent
from ctlr.specs._networks import Activation

__all__ = ["CELL_CNN", "CellCnnSpec", "CellModule"]

Kernel = Literal[1, 3, 5]
Convolution = Literal["plain", "separable", "dilated"]
Skip = Literal["none", "residual", "dense"]
Pooling = Literal["max", "average", "stride"]
Letter = Literal["a", "b", "c"]

_MOST_CHANNELS = 512


@dataclass(frozen=True, kw_only=True)
class CellModule:
    """What a cell is made of."""

    kernel: Kernel
    convolution: Convolution
    skip: Skip
    activation: Activation
    pooling: Pooling


class CellCnnSpec(EncoderSpec):
    """Stages of cells. Every combination of the options is a network, and what has no meaning in it is not read: the
    kind of a convolution of one pixel, the pooling of a module with which no stage begins, a module without a cell."""

    norm: Literal["batch", "group", "none"] = "batch"
    """Batch norm after every convolution, group norm in its place, or none."""
    stages: Annotated[int, Field(ge=1, le=5)] = 3
    """Parts of one resolution; all but the first begin by halving every side. With the convolution in front of them,
    which halves the image's, the blocks to copy or freeze."""
    cells: Annotated[int, Field(ge=1, le=4)] = 1
    """In each stage."""
    channels: Annotated[int, Field(ge=1, le=128)] = 16
    """Of the first stage."""
    growth: Annotated[float, Field(ge=1, le=2)] = 2.0
    """How many times the channels of one stage the next one has; none has more than 512."""
    cell_1: Letter = "a"
    """Which module the first cell is made of, counted from the image on, whatever stage it stands in."""
    cell_2: Letter = "a"
    """The second."""
    cell_3: Letter = "a"
    """The third."""
    cell_4: Letter = "a"
    """The fourth."""
    cell_5: Letter = "a"
    """The fifth."""
    cell_6: Letter = "a"
    """The sixth. The seventh is again of the module of the first, and so on."""
    a_kernel: Kernel = 3
    """Side of the convolution of module a, in pixels or voxels."""
    a_convolution: Convolution = "plain"
    """All channels at once, each by itself and then all at each place (separable), or every second place (dilated)."""
    a_skip: Skip = "none"
    """What becomes of the cell's input: nothing, added to what the convolution makes (residual), or beside it, both
    mixed by a convolution of one pixel (dense)."""
    a_activation: Activation = "relu"
    """After the norm."""
    a_pooling: Pooling = "max"
    """How sides are halved where it begins a stage: by the greatest or the average of two, or by the convolution."""
    b_kernel: Kernel = 3
    """As `a_kernel`, of module b."""
    b_convolution: Convolution = "plain"
    """Likewise."""
    b_skip: Skip = "residual"
    """Likewise."""
    b_activation: Activation = "relu"
    """Likewise."""
    b_pooling: Pooling = "max"
    """Likewise."""
    c_kernel: Kernel = 5
    """As `a_kernel`, of module c."""
    c_convolution: Convolution = "separable"
    """Likewise."""
    c_skip: Skip = "none"
    """Likewise."""
    c_activation: Activation = "relu"
    """Likewise."""
    c_pooling: Pooling = "max"
    """Likewise."""

    @property
    def blocks(self) -> int:
        """A block a stage; the convolution in front comes first."""
        return 1 + self.stages

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every stage, under the width multiplier."""
        sizes = (self.channels * self.growth**stage * self.width for stage in range(self.stages))
        return tuple(min(max(1, round(size)), _MOST_CHANNELS) for size in sizes)

    @property
    def sequence(self) -> tuple[tuple[CellModule, ...], ...]:
        """The module of every cell, by stage."""
        letters = (self.cell_1, self.cell_2, self.cell_3, self.cell_4, self.cell_5, self.cell_6)
        modules = [self._module(letters[cell % len(letters)]) for cell in range(self.stages * self.cells)]
        return tuple(tuple(modules[first : first + self.cells]) for first in range(0, len(modules), self.cells))

    def _module(self, letter: Letter) -> CellModule:
        return CellModule(**{name: getattr(self, f"{letter}_{name}") for name in CellModule.__dataclass_fields__})


_OF_A_MODULE = {
    "kernel": Choice((1, 3, 5)),
    "convolution": Choice(("plain", "separable", "dilated")),
    "skip": Choice(("none", "residual", "dense")),
    "activation": Choice(("relu", "elu", "silu")),
    "pooling": Choice(("max", "average", "stride")),
}

CELL_CNN = EncoderPart(
    build="ctlr.encoders.cell_cnn:cell_cnn", blocks=4, options=CellCnnSpec, algorithm="regularizedevolution",
    extents={2: Extent(26e3, 38.5), 3: Extent(77e3, 16.2)},
    about="the small CNN taken apart: stages of cells, each of one of three modules, whose kernel, kind of "
    "convolution, skip connection, activation and pooling are options, for a search of architectures",
    space={
        "stages": integers(2, 4),
        "cells": integers(1, 3),
        "channels": Range(low=8, high=32, whole=True, distribution="logUniform"),
        "growth": Choice((1, 1.5, 2)),
        "norm": Choice(("batch", "group")),
        **{f"cell_{number}": Choice(("a", "b", "c")) for number in range(1, 7)},
        **{f"{letter}_{name}": values for letter in "abc" for name, values in _OF_A_MODULE.items()},
    },
)  # fmt: skip
