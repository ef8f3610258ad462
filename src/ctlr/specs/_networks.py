"""Encoders with options of their own: perceptrons and networks that follow a signal or a picture's rows; a search may
set their depth and width."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctlr.space import Choice, Range, integers, uniform
from ctlr.specs._encoders import EncoderPart, EncoderSpec, Extent

__all__ = [
    "CNN1D",
    "CNN_LSTM",
    "LENET",
    "LSTM",
    "MLP",
    "ROW_RNN",
    "Activation",
    "Cnn1dSpec",
    "CnnLstmSpec",
    "LeNetSpec",
    "LstmSpec",
    "MlpSpec",
    "RowRnnSpec",
]

Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid"]
Channels = Annotated[int, Field(ge=1, le=1024)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class MlpSpec(EncoderSpec):
    """A multilayer perceptron."""

    norm: Literal["batch", "group", "none"] = "batch"
    """Batch norm after every layer, group norm in its place, or none."""
    layers: Annotated[int, Field(ge=1, le=32)] = 3
    """Layers before the head, the blocks to copy or freeze."""
    units: Annotated[int, Field(ge=1, le=4096)] = 64
    """Of the first layer."""
    shape: Literal["constant", "triangle", "halving"] = "constant"
    """Units of the later layers: as many; fewer by the same number each, down to units / layers; or half of the layer
    before. Never less than one."""
    activation: Activation = "relu"
    """After the norm."""
    dropout: Dropout = 0.0
    """Probability that a unit is left out while training, after each layer."""

    @property
    def blocks(self) -> int:
        """A block a layer."""
        return self.layers

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, under the width multiplier."""
        shares = {
            "constant": [1.0] * self.layers,
            "triangle": [1 - layer / self.layers for layer in range(self.layers)],
            "halving": [0.5**layer for layer in range(self.layers)],
        }[self.shape]
        return tuple(max(1, round(self.units * share * self.width)) for share in shares)


class LeNetSpec(EncoderSpec):
    """LeNet for pictures of 28 x 28 pixels or more."""

    filters: Annotated[tuple[Channels, ...], Field(min_length=2, max_length=2)] = (20, 50)
    """Of the two convolutions of 5 x 5."""
    padding: Annotated[tuple[Annotated[int, Field(ge=0, le=4)], ...], Field(min_length=2, max_length=2)] = (0, 0)
    """Zeros around what each of them sees; 2 keeps its size."""
    pool: Annotated[int, Field(ge=2, le=3)] = 2
    """Side and stride of the first pooling, which 3 surrounds by a pixel; the second has 2."""
    units: Annotated[int, Field(ge=1, le=4096)] = 500
    """Of the layer over the last map."""
    activation: Activation = "relu"
    """After that layer."""
    between: Activation | Literal["none"] = "none"
    """After each convolution."""

    @property
    def grid(self) -> int:
        """Side of the last map of 28 x 28 pixels."""
        side = (28 + 2 * self.padding[0] - 4 + 2 * (self.pool // 3)) // self.pool
        return (side + 2 * self.padding[1] - 4) // 2


class Cnn1dSpec(EncoderSpec):
    """Convolutions over time."""

    layers: Annotated[int, Field(ge=1, le=12)] = 4
    """Convolutions, the blocks to copy or freeze. Each halves the length, so a signal needs 2^layers values."""
    channels: Channels = 16
    """Of the first convolution; the second has twice as many, all others four times."""
    kernel: Annotated[int, Field(ge=1, le=99)] = 7
    """Values that a convolution sees at once: an odd number, else one more."""
    activation: Activation = "relu"
    """After the norm."""
    dropout: Dropout = 0.0
    """Probability that a channel is left out while training, after each convolution."""

    @property
    def blocks(self) -> int:
        """A block a convolution."""
        return self.layers

    @property
    def least(self) -> int:
        """One value is left of it."""
        return 1 << self.layers


class _FramedSpec(EncoderSpec):
    units: Annotated[int, Field(ge=1, le=2048)] = 64
    """Of every LSTM layer."""
    frame: Annotated[int, Field(ge=1, le=1024)] = 15
    """Values of a channel that are looked at together: 15 are 0.3 s at 50 Hz. 1 where the data are framed already."""
    hop: Annotated[int, Field(ge=1, le=1024)] = 5
    """Values from the beginning of one frame to that of the next: 5 are 0.1 s at 50 Hz."""
    dropout: Dropout = 0.0
    """Probability that a unit is left out while training, after each layer."""

    @property
    def least(self) -> int:
        """One frame."""
        return self.frame


class LstmSpec(_FramedSpec):
    """LSTM layers over frames of a signal."""

    layers: Annotated[int, Field(ge=1, le=8)] = 2
    """LSTM layers; with the linear layer that takes in the frames, the blocks to copy or freeze."""

    @property
    def blocks(self) -> int:
        """The layer that takes in the frames comes first."""
        return 1 + self.layers


class CnnLstmSpec(_FramedSpec):
    """Convolutions across the channels of each frame, then LSTM layers over the frames."""

    filters: Annotated[int, Field(ge=1, le=512)] = 16
    """Of each convolution."""


class RowRnnSpec(EncoderSpec):
    """Recurrent layers over the rows of a picture, from the top to the bottom."""

    kind: Literal["lstm", "gru"] = "lstm"
    """Long short-term memory, or gated recurrent units."""
    layers: Annotated[int, Field(ge=1, le=8)] = 2
    """Recurrent layers; with the linear layer that takes in the rows, the blocks to copy or freeze."""
    units: Annotated[int, Field(ge=1, le=2048)] = 64
    """Of every layer."""
    columns: Annotated[int, Field(ge=1, le=1024)] = 32
    """That every row is brought to, by averages over area: a network has as many inputs whatever the picture's side."""
    dropout: Dropout = 0.0
    """Probability that a unit is left out while training, after each layer."""

    @property
    def blocks(self) -> int:
        """The layer that takes in the rows comes first."""
        return 1 + self.layers


MLP = EncoderPart(
    build="ctlr.encoders.mlp:mlp", blocks=3, options=MlpSpec, dimensions=(0,), scaled_in=(0,),
    extents={0: Extent(9.09e3, 768)},
    about="a multilayer perceptron whose layers, units, activation, norm and dropout are options",
)  # fmt: skip
LENET = EncoderPart(
    build="ctlr.encoders.lenet:lenet", blocks=3, options=LeNetSpec, dimensions=(2,), scaled_in=(2,), least=28,
    has_norms=False, extents={2: Extent(426e3, 56.7)},
    about="LeCun et al. 1998 as Caffe shipped it for handwritten digits; options make TensorFlow's, "
    "Torch's and Theano's of it",
)  # fmt: skip
CNN1D = EncoderPart(
    build="ctlr.encoders.cnn1d:cnn1d", blocks=4, options=Cnn1dSpec, dimensions=(1,), scaled_in=(1,), least=16,
    extents={1: Extent(47.4e3, 196)},
    about="convolutions over time, each of which halves the length",
)  # fmt: skip
LSTM = EncoderPart(
    build="ctlr.encoders.recurrent:lstm", blocks=3, options=LstmSpec, dimensions=(1,), scaled_in=(1,), least=15,
    extents={1: Extent(67.8e3, 104)},
    about="LSTM layers (Hochreiter & Schmidhuber 1997) over frames of a signal; what leaves the last one is averaged "
    "over time",
)  # fmt: skip
CNN_LSTM = EncoderPart(
    build="ctlr.encoders.recurrent:cnn_lstm", blocks=4, options=CnnLstmSpec, dimensions=(1,), scaled_in=(1,), least=15,
    extents={1: Extent(55.9e3, 82.5)},
    about="two convolutions across the channels of each frame, for space, and two LSTM layers over the frames, for "
    "time, after the CNN/LSTM networks of Golmohammadi, Obeid and Picone for seizures in EEG",
)  # fmt: skip
ROW_RNN = EncoderPart(
    build="ctlr.encoders.recurrent:row_rnn", blocks=3, options=RowRnnSpec, dimensions=(2,), scaled_in=(2,),
    extents={2: Extent(68.9e3, 8.5)},
    about="a picture's rows as a sequence: LSTM or GRU layers (Cho et al. 2014) from the top to the bottom; what "
    "leaves the last one is averaged over the rows",
    space={
        "kind": Choice(("lstm", "gru")),
        "layers": integers(1, 3),
        "units": Range(low=32, high=256, whole=True, distribution="logUniform"),
        "dropout": uniform(0, 0.5),
    },
)  # fmt: skip
