"""Encoders turn images into features; one family a file.

The table says which there are; `ctlr.specs.ENCODERS` says on which numbers of dimensions.
torchvision is imported only when one of its networks is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from ctlr import specs
from ctlr.encoders.alexnet import alexnet
from ctlr.encoders.base import Encoder, freeze_blocks, replace_batch_norms, seeded
from ctlr.encoders.copying import copy_blocks
from ctlr.encoders.densenet import densenet121
from ctlr.encoders.heads import build_head, patch_decoder, projection_head
from ctlr.encoders.resnet import resnet
from ctlr.encoders.sfcn import sfcn
from ctlr.encoders.small_cnn import small_cnn
from ctlr.encoders.vgg import vgg
from ctlr.errors import ConfigError

__all__ = ["ENCODERS", "Encoder", "build_encoder", "build_head", "copy_blocks", "freeze_blocks", "patch_decoder",
           "projection_head"]  # fmt: skip

ENCODERS: Mapping[str, Callable[..., Encoder]] = MappingProxyType(
    {
        "small_cnn": small_cnn,
        "sfcn": sfcn,
        "resnet18": partial(resnet, depth=18),
        "resnet34": partial(resnet, depth=34),
        "resnet50": partial(resnet, depth=50),
        "vgg11": partial(vgg, depth=11),
        "vgg16": partial(vgg, depth=16),
        "densenet121": densenet121,
        "alexnet": alexnet,
    }
)
"""Name -> builder, called with `channels`, `ndim` and (by default 1) `width`."""


def build_encoder(spec: specs.EncoderSpec, *, channels: int, ndim: int, seed: int) -> Encoder:
    """Build an untrained encoder on the CPU; its weights depend on the arguments alone.

    Args:
        spec: Name, norm and width.
        channels: Of the images.
        ndim: Spatial dimensions of the images.
        seed: Of the weights. Torch's global random state is left as it was.

    Raises:
        ConfigError: The encoder does not take so many dimensions or such a width.
    """
    allowed = specs.ENCODERS[spec.name]
    if ndim not in allowed:
        takes = " and ".join(f"{n}-D" for n in allowed)
        known = ", ".join(name for name, ndims in specs.ENCODERS.items() if ndim in ndims)
        raise ConfigError(
            f"Encoder {spec.name} takes {takes} images; these are {ndim}-D. For {ndim}-D there are: {known}."
        )
    with seeded(seed):
        encoder = ENCODERS[spec.name](channels=channels, ndim=ndim, width=spec.width)
    if spec.norm == "group":
        replace_batch_norms(encoder)
    return encoder
