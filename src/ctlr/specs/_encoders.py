"""Encoders: the table of those that there are, and the choice of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, create_model, model_validator

from ctlr.errors import ConfigError, nearest
from ctlr.space import Choice, Range, loguniform
from ctlr.specs._tables import Table
from ctlr.specs._value import Value

if TYPE_CHECKING:
    from ctlr.encoders.base import Encoder

__all__ = ["ENCODERS", "AnyEncoder", "EncoderPart", "EncoderSpec", "Extent", "encoder_kind", "encoder_spec"]


class Extent(NamedTuple):
    """How large an encoder is, with its default options: what the room that a run takes is counted by."""

    weights: float
    """Numbers that it keeps: weights, and statistics of norms."""
    left: float
    """Numbers that its layers put out for each voxel of an image, which training keeps for the way back."""


@dataclass(frozen=True, kw_only=True)
class EncoderPart:
    """What an encoder says of itself; files, messages, plans and pages know nothing else of it, and need no torch."""

    about: str
    """What it is, and the paper; a line of the guide."""
    build: str | Callable[..., Encoder]
    """What makes it, or its `module:name`: called with `channels`, `ndim` and `width` it returns an encoder; one with
    options of its own is called with `options` in the place of `width`, which they hold."""
    blocks: int
    """How many it has, the units of copying and freezing; with its default options, where those decide it."""
    options: type[EncoderSpec] | None = None
    """Class of its options, which inherits from `EncoderSpec`, where it has more than `norm` and `width`."""
    dimensions: tuple[int, ...] = (2, 3)
    """Numbers of spatial dimensions that it takes."""
    scaled_in: tuple[int, ...] = (2, 3)
    """Those in which `width` multiplies its channels; in the others it has one width."""
    least: int = 1
    """Shortest side of an image that it takes, in voxels or pixels."""
    has_norms: bool = True
    """Whether there are batch norms for `norm: group` to replace."""
    published: str = ""
    """Whose network it is where it has one width, and whose weights `encoders.load_published` reads; else empty."""

    space: Mapping[str, Range | Choice] = field(default_factory=dict, hash=False)
    """What a search tries of its options where no manifest says it, by name, e.g. `width`; it must hold in all of
    `scaled_in` alike."""

    extents: Mapping[int, Extent] = field(default_factory=dict, hash=False)
    """How large it is, by number of spatial dimensions; where nothing is said, `ctlr check` leaves it out of the disk
    and memory that it counts."""

    algorithm: str = ""
    """What searches that space where nobody names an algorithm, by Katib's name; empty: `tpe`, as for all."""
    plugin: str = ""
    """Hash of the file that it comes from; empty for a built-in one."""

    def __post_init__(self) -> None:
        if self.blocks < 3:
            raise ConfigError(f"`blocks >= 3` must hold for an encoder; got {self.blocks}.")
        if self.least < 1:
            raise ConfigError(f"`least >= 1` must hold for an encoder; got {self.least}.")
        if not self.dimensions or not set(self.scaled_in) <= set(self.dimensions):
            told = f"{list(self.scaled_in)} and {list(self.dimensions)}"
            raise ConfigError(f"`scaled_in` must lie among the `dimensions` of an encoder, one at least; got {told}.")
        if isinstance(self.build, str) and not all(self.build.partition(":")):
            raise ConfigError(f"`build` must be `module:name`; got {self.build!r}.")


def _in_file(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a file names `ENCODERS`; it may import the table of that name."""
    found = getattr(module, "ENCODERS", {})
    yield from found.items() if isinstance(found, dict) else ()


def _fault(name: str, part: Any) -> str:
    if not isinstance(part, EncoderPart):
        return f"the encoder {name!r} must be an `EncoderPart`; got {part!r}."
    options: Any = part.options or EncoderSpec
    if not (isinstance(options, type) and issubclass(options, EncoderSpec)):
        return f"the `options` of the encoder {name!r} must be a class that inherits from `EncoderSpec`."
    return "" if part.about else f"the encoder {name!r} must say in `about` what it is. Add a line."


ENCODERS: Table[EncoderPart] = Table("encoder", {
    "small_cnn": EncoderPart(
        build="ctlr.encoders.small_cnn:small_cnn", blocks=4, least=15, space={"width": loguniform(0.5, 4)},
        extents={2: Extent(15.4e3, 22.2), 3: Extent(45.5e3, 8.77)},
        about="four blocks with 8, 16, 32 and 32 channels, each halving every side: for processors without a GPU",
    ),
    "cell_cnn": "ctlr.specs._cells:CELL_CNN",
    "row_rnn": "ctlr.specs._networks:ROW_RNN",
    "sfcn": EncoderPart(
        build="ctlr.encoders.sfcn:sfcn", blocks=6, least=32, dimensions=(3,), scaled_in=(3,), published="the authors",
        extents={3: Extent(2.95e6, 95.8)},
        about="the simple fully convolutional network for brain age (Peng et al. 2021, Medical Image Analysis "
        "68:101871) without its classifier of age bins",
    ),
    "resnet18": EncoderPart(
        build="ctlr.encoders.resnet:resnet18", blocks=5, scaled_in=(3,), published="torchvision",
        extents={2: Extent(11.2e6, 149), 3: Extent(33.2e6, 41.3)},
        about="He et al. 2016; the same with 3-D kernels for volumes (Hara et al. 2018)",
    ),
    "resnet34": EncoderPart(
        build="ctlr.encoders.resnet:resnet34", blocks=5, scaled_in=(3,), published="torchvision",
        extents={2: Extent(21.3e6, 224), 3: Extent(63.5e6, 51.9)},
        about="as `resnet18`, deeper",
    ),
    "resnet50": EncoderPart(
        build="ctlr.encoders.resnet:resnet50", blocks=5, scaled_in=(3,), published="torchvision",
        extents={2: Extent(23.6e6, 638), 3: Extent(46.2e6, 117)},
        about="as `resnet34`, of bottlenecks",
    ),
    "vgg11": EncoderPart(
        build="ctlr.encoders.vgg:vgg11", blocks=5, least=32, scaled_in=(3,), published="torchvision",
        extents={2: Extent(9.23e6, 474), 3: Extent(27.7e6, 281)},
        about="Simonyan & Zisserman 2015, with norm layers; averaged over space instead of flattened",
    ),
    "vgg16": EncoderPart(
        build="ctlr.encoders.vgg:vgg16", blocks=5, least=32, scaled_in=(3,), published="torchvision",
        extents={2: Extent(14.7e6, 840), 3: Extent(44.1e6, 537)},
        about="as `vgg11`, deeper",
    ),
    "densenet121": EncoderPart(
        build="ctlr.encoders.densenet:densenet121", blocks=5, least=29, scaled_in=(3,), published="torchvision",
        extents={2: Extent(7.03e6, 770), 3: Extent(11.3e6, 139)},
        about="Huang et al. 2017",
    ),
    "alexnet": EncoderPart(
        build="ctlr.encoders.alexnet:alexnet", blocks=5, least=31, dimensions=(2,), scaled_in=(), has_norms=False,
        extents={2: Extent(2.45e6, 16.8)}, published="torchvision",
        about="Krizhevsky 2014; averaged over space instead of flattened",
    ),
    "squeezenet1_1": EncoderPart(
        build="ctlr.encoders.squeezenet:squeezenet1_1", blocks=5, least=17, dimensions=(2,), scaled_in=(),
        has_norms=False, published="torchvision", extents={2: Extent(721e3, 89.9)},
        about="Iandola et al. 2016, version 1.1: a small network",
    ),
    "efficientnet_lite0": EncoderPart(
        build="ctlr.encoders.efficientnet_lite:efficientnet_lite0", blocks=5, dimensions=(2,), scaled_in=(2,),
        published="efficientnet-lite-pytorch", extents={2: Extent(3.41e6, 443)},
        about="Tan & Le 2019, without squeeze-and-excitation and with ReLU6: a network for phones",
    ),
    "lenet": "ctlr.specs._networks:LENET",
    "mlp": "ctlr.specs._networks:MLP",
    "cnn1d": "ctlr.specs._networks:CNN1D",
    "lstm": "ctlr.specs._networks:LSTM",
    "cnn_lstm": "ctlr.specs._networks:CNN_LSTM",
}, "ctlr.encoders", _in_file, _fault)  # fmt: skip
"""Every encoder by name: of images the light ones first, then those of points and of signals."""


class EncoderSpec(Value):
    """Which encoder turns images into features."""

    label: str = ""
    """Filled from the key in the file."""
    name: str
    if TYPE_CHECKING:  # an encoder may have no norms at all, if its options say so
        norm: Literal["batch", "group", "none"] = "batch"
    else:
        norm: Literal["batch", "group"] = "batch"
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Multiplies the number of channels of every block; the table of encoders says where there are several widths."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name not in ENCODERS:
            raise ValueError(f"unknown encoder {self.name!r}. {nearest(self.name, ENCODERS)}")
        if self.norm == "group" and not ENCODERS[self.name].has_norms:
            raise ValueError(f"`norm: group` needs norm layers to replace; {self.name} has none. Leave `norm` out")
        if not isinstance(self, kind := ENCODERS[self.name].options or EncoderSpec):
            raise ValueError(f"{self.name} has options of its own, `{kind.__name__}`; got `{type(self).__name__}`")
        return self

    @property
    def blocks(self) -> int:
        """How many the encoder has; an answer of its options, where they decide."""
        return ENCODERS[self.name].blocks

    @property
    def least(self) -> int:
        """Shortest side of an image that it takes; likewise."""
        return ENCODERS[self.name].least

    def extent(self, ndim: int) -> Extent | None:
        """How large it is on images of so many spatial dimensions, by its width; None where its part does not say.

        Other options of its own are not looked at: of them the default counts.
        """
        part = ENCODERS[self.name]
        found = part.extents.get(ndim)
        width = self.width if ndim in part.scaled_in else 1.0
        return None if found is None else Extent(found.weights * width**2, found.left * width)

    @property
    def space(self) -> dict[str, Range | Choice]:
        """What a search tries where no manifest says it: options by their addresses, e.g. `encoder.width`."""
        return {f"encoder.{name}": dimension for name, dimension in ENCODERS[self.name].space.items()}

    @property
    def own_options(self) -> dict[str, Any]:
        """Options that other encoders do not have, by name."""
        own = type(self).model_fields.keys() - PluginEncoderSpec.model_fields.keys()
        return {name: getattr(self, name) for name in type(self).model_fields if name in own}


class PluginEncoderSpec(EncoderSpec):
    """An encoder of others: the hash of its file is part of what it is."""

    plugin: str

    @model_validator(mode="after")
    def _is_the_same(self) -> Self:
        if self.plugin != (now := ENCODERS[self.name].plugin):
            raise ValueError(f"the file of encoder {self.name!r} has changed: it was {self.plugin} and is {now}")
        return self


@cache  # one class for all values, else none would equal another
def _of_plugin(options: type[EncoderSpec]) -> type[EncoderSpec]:
    return create_model(options.__name__, __base__=(options, PluginEncoderSpec), __module__=options.__module__)


def encoder_kind(name: str) -> tuple[type[EncoderSpec], dict[str, str]]:
    """The class of an encoder's options, and what it takes beside them."""
    if name not in ENCODERS:
        return EncoderSpec, {}
    options, plugin = ENCODERS[name].options, ENCODERS[name].plugin
    if not plugin:
        return options or EncoderSpec, {}
    return _of_plugin(options) if options else PluginEncoderSpec, {"plugin": plugin}


def encoder_spec(name: str, **options: Any) -> EncoderSpec:
    """An encoder's options, the others at their defaults."""
    kind, beside = encoder_kind(name)
    return kind.model_validate({"name": name, **beside, **options})


def _read(data: Any, info: ValidationInfo) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        return data
    kind, _ = encoder_kind(data["name"])
    return kind.model_validate_json(json.dumps(data)) if info.mode == "json" else kind.model_validate(data)


AnyEncoder = Annotated[SerializeAsAny[EncoderSpec], BeforeValidator(_read)]
"""An encoder's options, with the hash of its file where it is not built in."""
