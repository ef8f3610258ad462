"""A file of parts of one's own, and a benchmark that names it."""

from tiny_bench import TINY

__all__ = ["FILE", "PARTS"]

PARTS = '''\
"""Parts of one's own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.methods.base import Objective, random_views
from ctlr.methods.contrast import ContrastSpec
from ctlr.methods.lazily import F, torch
from ctlr.specs import CohortSpec, EncoderPart, FitSpec, ViewsSpec


class AlignSpec(ContrastSpec):
    """Pull two views of an image together and push the batch apart (Wang & Isola 2020), then finetune."""

    method: Literal["align"] = "align"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of uniformity."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images."""

    def pretrain_objective(self, parts):
        return Align(self, parts)


class Align(Objective):
    streams = ("pool",)

    def __init__(self, spec, parts):
        self.encoder, self.projection, self.spec = parts.encoder, parts.projection(32), spec
        self.rows = {"pool": parts.pool(spec.pool)}

    def __call__(self, batches, rng):
        images = batches["pool"].images
        both = random_views(torch.cat([images, images]), self.spec.pretrain.views, rng)
        rows = F.normalize(self.projection(self.encoder(both)).float(), dim=1)  # layers may give bf16
        first, second = rows.chunk(2)
        apart = torch.pdist(rows).square().mul(-2).exp().mean().log()
        return (first - second).square().sum(1).mean() + self.spec.weight * apart


def _build(*, channels, ndim, width):
    from ctlr.encoders.small_cnn import small_cnn

    return small_cnn(channels=channels, ndim=ndim, width=width / 2)


ENCODERS = {"half_cnn": EncoderPart(about="half of the small CNN", build=_build, blocks=4)}


class GrownSpec(CohortSpec):
    """The synthetic cohort under another name."""

    kind: Literal["grown"] = "grown"
'''

FILE = (
    TINY.replace("name: tiny", "name: own\nplugins: [my_parts.py]")
    .replace("kind: cohort", "kind: grown")
    .replace("encoders: {small_cnn: {}}", "encoders: {half_cnn: {}}")
    .replace("simclr: {}, vat: {}", "align: {pretrain: {batch_size: 8}}")
    .replace("[6, 10]", "[6]")
)
