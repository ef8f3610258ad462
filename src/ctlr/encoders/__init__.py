"""Encoders turn images into features; one home each, and a line in `ctlr.specs.ENCODERS`.

torchvision is imported only when one of its networks is built.
"""

from __future__ import annotations

import pkgutil

from ctlr import specs
from ctlr.encoders.base import Encoder, freeze_blocks, replace_batch_norms, seeded
from ctlr.encoders.copying import copy_blocks
from ctlr.encoders.heads import build_head, fused_head, patch_decoder, projection_head
from ctlr.encoders.published import load_published, read_published
from ctlr.errors import ConfigError

__all__ = [
    "Encoder",
    "build_encoder",
    "build_head",
    "copy_blocks",
    "freeze_blocks",
    "fused_head",
    "load_published",
    "patch_decoder",
    "projection_head",
    "read_published",
]


def build_encoder(spec: specs.EncoderSpec, *, channels: int, ndim: int, seed: int) -> Encoder:
    """Build an untrained encoder on the CPU; its weights depend on the arguments alone.

    Args:
        spec: Name and options.
        channels: Of the images.
        ndim: Spatial dimensions of the images.
        seed: Of the weights. Torch's global random state is left as it was.

    Raises:
        ConfigError: The encoder does not take so many dimensions or such a width.
    """
    part = specs.ENCODERS[spec.name]
    _check_fit(spec, part, ndim)
    build = pkgutil.resolve_name(part.build) if isinstance(part.build, str) else part.build
    with seeded(seed):
        own = {"options": spec} if part.options else {"width": spec.width}
        encoder: Encoder = build(channels=channels, ndim=ndim, **own)
    if spec.norm == "group":
        replace_batch_norms(encoder)
        encoder.published = {}
    return encoder


def _check_fit(spec: specs.EncoderSpec, part: specs.EncoderPart, ndim: int) -> None:
    if ndim not in part.dimensions:
        takes = " and ".join(specs.images_of(n) for n in part.dimensions)
        known = ", ".join(name for name, other in specs.ENCODERS.items() if ndim in other.dimensions)
        raise ConfigError(
            f"Encoder {spec.name} takes {takes}; these are {specs.images_of(ndim)}, for which there are: {known}."
        )
    if spec.width != 1 and ndim not in part.scaled_in:
        others = ", ".join(name for name, other in specs.ENCODERS.items() if ndim in other.scaled_in)
        raise ConfigError(
            f"`width` must be 1 for {spec.name} on {specs.images_of(ndim)}; got {spec.width:g}. "
            f"Leave it out, or take the encoder {others}."
        )
