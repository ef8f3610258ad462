"""y-aware contrast: images of like age are alike (Dufumier et al. 2021, MICCAI, arXiv:2106.08808)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Objective, Parts, random_views
from ctlr.methods.contrast import ContrastSpec
from ctlr.methods.lazily import F, torch
from ctlr.methods.losses import y_aware_nt_xent
from ctlr.specs import FitSpec, ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["YAware", "YAwareSpec", "kernel"]


class YAwareSpec(ContrastSpec):
    """Contrast views; images whose source label is alike are no rivals (Dufumier et al. 2021), then finetune."""

    method: Literal["y_aware"] = "y_aware"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    temperature: Annotated[float, Field(gt=0)] = 0.2
    """Divides the cosine between views."""
    sigma: Annotated[float, Field(gt=0)] = 0.25
    """Width of the Gaussian kernel between labels, as a share of their standard deviation; of classes: the same or not.
    The paper's 5 years of ages whose deviation is 20."""
    projection: Annotated[int, Field(ge=2)] = 64
    """Width of the projection head's output."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are contrasted; those of the target have no label here, and are like themselves alone."""

    @property
    def needs_source(self) -> bool:
        """Always: it is the source's labels that say what is alike."""
        return True

    def pretrain_objective(self, parts: Parts) -> YAware:
        """Views of the pool, with the source's labels."""
        return YAware(self, parts)


class YAware(Objective):
    """NT-Xent whose positives are weighed by how near their labels are."""

    streams = ("pool",)

    def __init__(self, spec: YAwareSpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.projection = parts.projection(spec.projection)
        self.spec = spec
        known = parts.pool_with_source_labels(spec.pool)
        self.rows = {"pool": known.rows if known else parts.pool(spec.pool)}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Loss of the pool's batch."""
        batch = batches["pool"]
        features = self.encoder(random_views(torch.cat([batch.images] * 2), self.spec.pretrain.views, rng))
        labels = torch.full((len(batch.images),), torch.nan) if batch.target is None else batch.target
        like = kernel(labels.to(features.device), self.spec.sigma)
        with torch.autocast(batch.images.device.type, enabled=False):
            views = F.normalize(self.projection(features.float()), dim=1)
            return y_aware_nt_xent(views, like, self.spec.temperature)


def kernel(labels: Tensor, sigma: float) -> Tensor:
    """(B, B) likeness in 0..1, of each to itself 1, of an unknown one to others 0; `sigma` in standard deviations.

    Of (B,) floats, NaN where unknown, exp(-(a - b)^2 / 2 sigma^2); of int64 codes, -1 where unknown, equal or not.
    """
    first, second = labels[:, None], labels[None]
    if labels.is_floating_point():
        like = (-(first - second).square() / (2 * sigma**2)).exp().nan_to_num(0.0)
    else:
        like = ((first == second) & (first >= 0)).float()
    return like.fill_diagonal_(1.0)
