"""Networks that follow a signal in time, or a picture from the top to the bottom.

LSTM layers (Hochreiter & Schmidhuber 1997) over frames; these or GRU layers (Cho et al. 2014) over rows.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn

from ctlr.encoders.base import Encoder, init_layers, scaled
from ctlr.specs import CnnLstmSpec, LstmSpec, RowRnnSpec

__all__ = ["Frames", "Recurrent", "Rows", "cnn_lstm", "lstm", "row_rnn"]


class Recurrent(Encoder):
    """What takes in frames or rows, then recurrent layers, each a block; the last one's outputs are averaged."""

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
        """(B, *, N) -> (B, units, N)."""
        return _over(maps.flatten(1, -2), self.lstm, self.dropout)


class Rows(nn.Module):
    """Bring rows to so many columns, each the average over its part: (B, C, H, W) -> (B, C * columns, H, 1)."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C * columns, H, 1)."""
        if (width := pictures.shape[3]) != self.columns:
            pictures = pictures @ _shares(width, self.columns).to(pictures)
        return pictures.transpose(2, 3).flatten(1, 2).unsqueeze(3)


def _shares(width: int, columns: int) -> Tensor:
    """(width, columns) the share that each pixel has in each column; a column's sum is 1.

    As a product its gradient adds in one order on a GPU too, which adaptive pooling's does not.
    """
    edges = torch.arange(columns + 1) * (width / columns)
    pixels = torch.arange(width).unsqueeze(1)
    common = torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)
    return common.clamp(min=0) * (columns / width)


class _RowSteps(nn.Module):
    """A recurrent layer from row to row: (B, F, H, 1) -> (B, units, H, 1)."""

    def __init__(self, units: int, options: RowRnnSpec) -> None:
        super().__init__()
        kind = nn.GRU if options.kind == "gru" else nn.LSTM
        self.recurrent = kind(units, units, batch_first=True)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, F, H, 1) -> (B, units, H, 1)."""
        return _over(maps.squeeze(3), self.recurrent, self.dropout).unsqueeze(3)


def _over(steps: Tensor, recurrent: nn.LSTM | nn.GRU, dropout: nn.Dropout) -> Tensor:
    """(B, F, N) -> (B, units, N), in float32: half of it is not enough for sums over many steps."""
    # Shapes alone, as they are counted on the device `meta`, have no precision.
    with nullcontext() if steps.is_meta else torch.autocast(steps.device.type, enabled=False):
        out: Tensor = dropout(recurrent(steps.float().transpose(1, 2))[0])
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


def row_rnn(*, channels: int, options: RowRnnSpec, ndim: int = 2) -> Recurrent:
    """Build recurrent layers over a linear layer that takes in each row of all channels."""
    units = scaled(options.units, options.width)
    takes_in = nn.Sequential(
        Rows(options.columns), nn.Conv2d(options.columns * channels, units, 1, bias=False), nn.BatchNorm2d(units),
        nn.ReLU(), nn.Dropout(options.dropout),
    )  # fmt: skip
    encoder = Recurrent([takes_in, *(_RowSteps(units, options) for _ in range(options.layers))], units)
    init_layers(encoder, "relu")
    return encoder
