"""Masked autoencoding: fill in what was hidden of an image (He et al. 2022, arXiv:2111.06377).

An encoder of convolutions sees the image with zeros in the hidden patches and one linear layer fills them in, as Xie et
al. 2022 (SimMIM, arXiv:2111.09886) found enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Objective, Parts, random_views
from ctlr.methods.contrast import UnlabelledPretraining
from ctlr.methods.lazily import F, torch
from ctlr.specs import FitSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MAE", "MAESpec", "hidden_patches"]


class MAESpec(UnlabelledPretraining):
    """Fill in hidden patches of unlabelled images (He et al. 2022), then finetune."""

    method: Literal["mae"] = "mae"
    pretrain: FitSpec = FitSpec(batch_size=32)
    hidden: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Share of the patches that are hidden; of points, of the features."""
    patch: Annotated[int, Field(ge=1, le=64)] = 4
    """Voxels or pixels along each side of a patch; of signals, values."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are seen; the target's validation and test images never are."""

    def pretrain_objective(self, parts: Parts) -> MAE:
        """Images of the pool."""
        return MAE(self, parts)


class MAE(Objective):
    """Mean squared error of what was hidden."""

    streams = ("pool",)

    def __init__(self, spec: MAESpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.decoder = parts.decoder()
        self.spec = spec
        self.rows = {"pool": parts.pool(spec.pool)}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Error in the hidden voxels of the pool's batch, in squared image units."""
        images = random_views(batches["pool"].images, self.spec.pretrain.views, rng)
        hidden = self._hidden(images, rng).to(images.device)
        maps = self.encoder(images * ~hidden, stop=len(self.encoder.blocks))
        with torch.autocast(images.device.type, enabled=False):
            errors = (self.decoder(maps.float()) - images).square() * hidden
            mean: Tensor = errors.sum() / hidden.expand_as(errors).sum()
            return mean

    def _hidden(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """(B, 1, *S) bool; of points (B, F), since they have features to hide and no patches."""
        if images.ndim == 2:
            return hidden_patches(len(images), images.shape[1:], 1, self.spec.hidden, rng)[:, 0]
        return hidden_patches(len(images), images.shape[2:], self.spec.patch, self.spec.hidden, rng)


def hidden_patches(count: int, sides: Sequence[int], patch: int, share: float, rng: torch.Generator) -> Tensor:
    """(count, 1, *sides) bool: in each image the same number of patches at random, at least one and never all."""
    grid = [math.ceil(side / patch) for side in sides]
    total = math.prod(grid)
    n_hidden = min(max(1, round(share * total)), max(1, total - 1))
    order = torch.rand(count, total, generator=rng).argsort(1)
    coarse = (order < n_hidden).view(count, 1, *grid).float()
    hidden = F.interpolate(coarse, scale_factor=patch, mode="nearest") > 0
    for axis, side in enumerate(sides):
        hidden = hidden.narrow(2 + axis, 0, side)
    return hidden
