"""Alignment and uniformity: views of an image meet, images spread out (Wang & Isola 2020, arXiv:2005.10242)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Objective, Parts, random_views
from ctlr.methods.contrast import ContrastSpec
from ctlr.methods.lazily import F, torch
from ctlr.specs import FitSpec, ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor


class AlignUniformSpec(ContrastSpec):
    """Pull two views of an image together and spread all images out (Wang & Isola 2020), then finetune."""

    method: Literal["align_uniform"] = "align_uniform"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    uniformity: Annotated[float, Field(ge=0)] = 1.0
    """Weight of spreading out, beside that of alignment."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are seen; the target's validation and test images never are."""

    def pretrain_objective(self, parts: Parts) -> AlignUniform:
        """Views of the pool."""
        return AlignUniform(self, parts)


class AlignUniform(Objective):
    """Distance of two views of an image, and how near all views of the batch lie to each other."""

    streams = ("pool",)

    def __init__(self, spec: AlignUniformSpec, parts: Parts) -> None:
        self.encoder, self.projection = parts.encoder, parts.projection(32)
        self.spec = spec
        self.rows = {"pool": parts.pool(spec.pool)}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Eq. 2 and 3 with the paper's alpha = 2 and t = 2; every random number comes from `rng`."""
        images = batches["pool"].images
        features = self.encoder(random_views(torch.cat([images, images]), self.spec.pretrain.views, rng))
        views = F.normalize(self.projection(features).float(), dim=1)  # layers may give bf16
        first, second = views.chunk(2)
        uniformity = torch.pdist(views).square().mul(-2).exp().mean().log()
        return (first - second).square().sum(1).mean() + self.spec.uniformity * uniformity
