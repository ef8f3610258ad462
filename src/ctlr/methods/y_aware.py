"""y-aware contrast: images of like age are alike (Dufumier et al. 2021, MICCAI, arXiv:2106.08808)."""

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

__all__ = ["YAware", "YAwareSpec", "kernel", "y_aware_nt_xent"]


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
        labelled = parts.pool_with_source_labels(spec.pool)
        self.rows = {"pool": labelled.rows if labelled else parts.pool(spec.pool)}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Loss of the pool's batch."""
        batch = batches["pool"]
        features = self.encoder(random_views(torch.cat([batch.images] * 2), self.spec.pretrain.views, rng))
        labels = torch.full((len(batch.images),), torch.nan) if batch.target is None else batch.target
        with torch.autocast(batch.images.device.type, enabled=False):
            views = F.normalize(self.projection(features.float()), dim=1)
            return y_aware_nt_xent(views, kernel(labels.to(views.device), self.spec.sigma), self.spec.temperature)


def kernel(labels: Tensor, sigma: float) -> Tensor:
    """(B, B) likeness of labels in 0..1, of each to itself 1, of an unknown one to others 0.

    Args:
        labels: (B,) float standardised, NaN where unknown: exp(-(a - b)^2 / 2 sigma^2); or int64 codes, -1 where
            unknown: equal or not.
        sigma: In standard deviations.
    """
    first, second = labels[:, None], labels[None]
    if labels.is_floating_point():
        like = (-(first - second).square() / (2 * sigma**2)).exp().nan_to_num(0.0)
    else:
        like = ((first == second) & (first >= 0)).float()
    return like.fill_diagonal_(1.0)


def y_aware_nt_xent(views: Tensor, likeness: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of the softmax over all other views against normalised likeness (Dufumier et al. 2021, eq. 2).

    Args:
        views: (2B, D) unit rows; rows i and i + B show the same image.
        likeness: (B, B) of the images.
        temperature: Divides the cosine; > 0.

    Returns:
        Scalar mean, in nats; with the identity as likeness it is NT-Xent.
    """
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = (views @ views.T / temperature).masked_fill(itself, -1e9)
    weights = likeness.repeat(2, 2).masked_fill(itself, 0.0)
    return -(weights / weights.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
