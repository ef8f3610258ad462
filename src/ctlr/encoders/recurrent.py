"""Networks that follow a signal in time: LSTM layers (Hochreiter & Schmidhuber 1997) over frames."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ctlr.encoders.base import Encoder, init_layers, scaled
from ctlr.specs import CnnLstmSpec, LstmSpec

__all__ = ["Frames", "Recurrent", "cnn_lstm", "lstm"]


class Recurrent(Encoder):
    """What takes in frames, then LSTM layers, each a block; the last one's outputs are averaged over the frames."""

    channels_last = False  # a matter of pictures and volumes
    bf16 = False


class Frames(nn.Module):
    """Cut signals into frames that overlap: (B, C, T) -> (B, frame, C, N), N = (T - frame) // hop + 1."""

    def __init__(self, frame: int, hop: int) -> None:
        super().__init__()
        self.frame, self.hop = frame, hop

    def forward(self, signals: Tensor) -> Tensor:
        """(B, C, T) -> (B, frame, C, N)."""
        return signals.unfold(2, self.frame, self.hop).permute(0, 3, 1, 2)


class _Steps(nn.Module):
    """An LSTM layer over what it is given frame by frame: (B, C, N) or (B, F, C, N) -> (B, units, N)."""

    def __init__(self, inputs: int, units: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, units, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, *, N) -> (B, units, N), in float32: half of it is not enough for sums over many frames."""
        with torch.autocast(maps.device.type, enabled=False):
            steps = maps.float().flatten(1, -2).transpose(1, 2)
            out: Tensor = self.dropout(self.lstm(steps)[0])
        return out.transpose(1, 2)


def lstm(*, channels: int, options: LstmSpec, ndim: int = 1) -> Recurrent:
    """Build LSTM layers over a linear layer that takes in each frame of all channels."""
    units = scaled(options.units, options.width)
    takes_in = nn.Sequential(
        Frames(options.frame, options.hop), nn.Flatten(1, 2),
        nn.Conv1d(options.frame * channels, units, 1, bias=False), nn.BatchNorm1d(units), nn.ReLU(),
        nn.Dropout(options.dropout),
    )  # fmt: skip
    encoder = Recurrent([takes_in, *(_Steps(units, units, options.dropout) for _ in range(options.layers))], units)
    init_layers(encoder, "relu")
    return encoder


def cnn_lstm(*, channels: int, options: CnnLstmSpec, ndim: int = 1) -> Recurrent:
    """Build two convolutions across channels, which see one frame at a time, and two LSTM layers over the frames.

    Neighbouring channels lie side by side: along a bipolar montage a convolution sees neighbouring electrodes.
    """
    units, filters = (scaled(size, options.width) for size in (options.units, options.filters))
    space = [
        nn.Sequential(
            *([Frames(options.frame, options.hop)] if first else []),
            nn.Conv2d(inputs, filters, (3, 1), padding=(1, 0), bias=False), nn.BatchNorm2d(filters),
            nn.MaxPool2d((2, 1), ceil_mode=True), nn.ReLU(), nn.Dropout2d(options.dropout),
        )
        for first, inputs in ((True, options.frame), (False, filters))
    ]  # fmt: skip
    left = math.ceil(channels / 4)  # halved twice, rounded up
    time = [_Steps(*pair, options.dropout) for pair in pairwise((filters * left, units, units))]
    encoder = Recurrent([*space, *time], units)
    init_layers(encoder, "relu")
    return encoder
