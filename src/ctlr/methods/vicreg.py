"""VICReg: variance, invariance and covariance of the features of two views (Bardes et al. 2022, arXiv:2105.04906)."""

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

__all__ = ["VICReg", "VICRegSpec", "covariance", "variance"]


class VICRegSpec(ContrastSpec):
    """Make two views' features agree, vary, and not covary (Bardes et al. 2022), then finetune."""

    method: Literal["vicreg"] = "vicreg"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    invariance_weight: Annotated[float, Field(ge=0)] = 25.0
    """Of the squared difference between views (lambda)."""
    variance_weight: Annotated[float, Field(ge=0)] = 25.0
    """Of the hinge that keeps each feature's deviation at 1 (mu)."""
    covariance_weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the squared covariances between features (nu)."""
    projection: Annotated[int, Field(ge=2)] = 128
    """Width of the projection."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are seen; the target's validation and test images never are."""

    def pretrain_objective(self, parts: Parts) -> VICReg:
        """Views of the pool."""
        return VICReg(self, parts)


class VICReg(Contrast):
    """Weighted sum of three terms (the paper's eq. 6)."""

    def __init__(self, spec: VICRegSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.spec = spec

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Loss of the pool's batch."""
        images = batches["pool"].images
        projected = self.projected(images, rng)
        with torch.autocast(images.device.type, enabled=False):
            first, second = projected.chunk(2)
            total = self.spec.invariance_weight * F.mse_loss(first, second)
            total = total + self.spec.variance_weight * (variance(first) + variance(second))
            return total + self.spec.covariance_weight * (covariance(first) + covariance(second))


def variance(features: Tensor) -> Tensor:
    """Mean over the columns of (B, D) features of max(0, 1 - deviation) (the paper's eq. 1); in 0..1."""
    return F.relu(1 - (features.var(0) + 1e-4).sqrt()).mean()


def covariance(features: Tensor) -> Tensor:
    """Sum of the squared covariances between different columns of (B, D) features, divided by D (eq. 4)."""
    squares = features.T.cov().square()
    return (squares.sum() - squares.diagonal().sum()) / len(squares)
