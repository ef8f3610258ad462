"""SimSiam: predict one view from another without negatives or a slow copy (Chen & He 2021, arXiv:2011.10566)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Parts
from ctlr.methods.contrast import Contrast, ContrastSpec
from ctlr.methods.lazily import F, torch
from ctlr.specs import FitSpec, ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SimSiam", "SimSiamSpec"]


class SimSiamSpec(ContrastSpec):
    """Predict each image's view from another view, gradients stopped on one side (Chen & He 2021), then finetune."""

    method: Literal["simsiam"] = "simsiam"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    projection: Annotated[int, Field(ge=2)] = 64
    """Width of the projection's and the predictor's output."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are seen; the target's validation and test images never are."""

    def pretrain_objective(self, parts: Parts) -> SimSiam:
        """Views of the pool."""
        return SimSiam(self, parts)


class SimSiam(Contrast):
    """Negative cosine between a prediction and the other view's projection, which no gradient flows into."""

    def __init__(self, spec: SimSiamSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.predictor = parts.projection(spec.projection, "predictor", inputs=spec.projection)

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Mean of both directions, in -1..1 (eq. 2 and 4)."""
        images = batches["pool"].images
        projected = self.projected(images, rng)
        with torch.autocast(images.device.type, enabled=False):
            predicted = self.predictor(projected)
            return -F.cosine_similarity(predicted, projected.detach().roll(len(images), 0), dim=1).mean()
