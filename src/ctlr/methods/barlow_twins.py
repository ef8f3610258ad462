"""Barlow Twins: make two views' features agree, each with something of its own to say (Zbontar et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Parts
from ctlr.methods.contrast import Contrast, ContrastSpec
from ctlr.methods.lazily import torch
from ctlr.specs import FitSpec, ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BarlowTwins", "BarlowTwinsSpec", "redundancy_loss"]


class BarlowTwinsSpec(ContrastSpec):
    """Make the features of two views agree and carry no two things twice (Zbontar et al. 2021), then finetune."""

    method: Literal["barlow_twins"] = "barlow_twins"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    redundancy: Annotated[float, Field(gt=0)] = 5e-3
    """Weight of the correlations between different features (lambda)."""
    projection: Annotated[int, Field(ge=2)] = 128
    """Width of the projection; wider ones were better (the paper's fig. 4)."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are seen; the target's validation and test images never are."""

    def pretrain_objective(self, parts: Parts) -> BarlowTwins:
        """Views of the pool."""
        return BarlowTwins(self, parts)


class BarlowTwins(Contrast):
    """Distance of the views' cross-correlation matrix from the identity."""

    def __init__(self, spec: BarlowTwinsSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.redundancy = spec.redundancy

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Loss of the pool's batch."""
        images = batches["pool"].images
        projected = self.projected(images, rng)
        with torch.autocast(images.device.type, enabled=False):
            first, second = projected.chunk(2)
            return redundancy_loss(first, second, self.redundancy)


def redundancy_loss(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Sum over i of (1 - C_ii)^2, plus `weight` times that over i != j of C_ij^2 (Zbontar et al. 2021, eq. 1 and 2).

    Args:
        first, second: (B, D) projections of two views; C is the correlation between their columns over the batch.
        weight: Of what is off the diagonal.

    Returns:
        Scalar, in 0..4D + weight D(D - 1).
    """
    first, second = ((each - each.mean(0)) / each.std(0, correction=0).clamp(min=1e-6) for each in (first, second))
    squares = (first.T @ second / len(first) - torch.eye(first.shape[1], device=first.device)).square()
    return (1 - weight) * squares.diagonal().sum() + weight * squares.sum()
