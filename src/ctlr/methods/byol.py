"""BYOL: predict what a slow copy of the network sees in another view (Grill et al. 2020, arXiv:2006.07733)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Objective, Parts, random_views
from ctlr.methods.contrast import ContrastSpec
from ctlr.methods.following import follow, follower
from ctlr.methods.lazily import F, torch
from ctlr.specs import FitSpec, ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BYOL", "BYOLSpec", "distance"]


class BYOLSpec(ContrastSpec):
    """Predict a slow copy's view of each image from another view (Grill et al. 2020), then finetune."""

    method: Literal["byol"] = "byol"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.996
    """Of the slow copy at the first step; by half a cosine it comes to 1 at the last one (the paper's sec. 3.3)."""
    projection: Annotated[int, Field(ge=2)] = 64
    """Width of the projection's and the predictor's output."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are seen; the target's validation and test images never are."""

    def pretrain_objective(self, parts: Parts) -> BYOL:
        """Views of the pool."""
        return BYOL(self, parts)


class BYOL(Objective):
    """Squared distance between predictions and the slow copy's projections, either view predicting the other."""

    streams = ("pool",)

    def __init__(self, spec: BYOLSpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.projection = parts.projection(spec.projection)
        self.predictor = parts.projection(spec.projection, "predictor", inputs=spec.projection)
        self.slow_encoder, self.slow_projection = follower(self.encoder), follower(self.projection)
        self.momentum = spec.momentum
        self.views = spec.pretrain.views
        self.rows = {"pool": parts.pool(spec.pool)}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Mean over both directions, in 0..4 (the paper's eq. 2 of one direction)."""
        images = batches["pool"].images
        both = random_views(torch.cat([images, images]), self.views, rng)
        features = self.encoder(both)
        with torch.no_grad():
            slow = self.slow_encoder(both)
        with torch.autocast(images.device.type, enabled=False):
            predicted = self.predictor(self.projection(features.float()))
            with torch.no_grad():
                wanted = self.slow_projection(slow.float())
            return distance(predicted, wanted.roll(len(images), 0))

    def after_step(self) -> None:
        """Let the slow copy follow."""
        momentum = 1 - (1 - self.momentum) * (math.cos(math.pi * self.done) + 1) / 2
        follow(self.slow_encoder, self.encoder, momentum)
        follow(self.slow_projection, self.projection, momentum)


def distance(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared distance of (B, D) rows scaled to length 1: 2 - 2 cos; 0 where they agree, 4 where they oppose."""
    return (2 - 2 * F.cosine_similarity(predicted, wanted, dim=1)).mean()
