"""SimCLR: learn what two random views of one image share (Chen et al. 2020, ICML, arXiv:2002.05709)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctlr.data.augment import random_views
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Batch, Objective
from ctlr.methods.losses import nt_xent
from ctlr.specs import SimCLRSpec, ViewsSpec

__all__ = ["SimCLR"]


class SimCLR(Objective):
    """Contrast two views of each unlabelled image with all other views of the batch.

    Args:
        encoder: Turns images into features; what is kept.
        projection: Head that the loss is computed behind; thrown away afterwards.
        spec: Temperature, and in `pretrain.views` what a view may change.
    """

    streams = ("pool",)

    def __init__(self, encoder: Encoder, projection: nn.Module, spec: SimCLRSpec) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = projection
        self.temperature = spec.temperature
        self.views = spec.pretrain.views or ViewsSpec()

    def forward(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """NT-Xent of the pool's batch."""
        images = batches["pool"].images
        both = random_views(torch.cat([images, images]), self.views, rng)
        features = self.encoder(both)
        with torch.autocast(images.device.type, enabled=False):
            return nt_xent(F.normalize(self.projection(features.float()), dim=1), self.temperature)
