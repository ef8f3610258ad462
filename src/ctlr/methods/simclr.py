"""SimCLR: learn what two random views of one image share (Chen et al. 2020, ICML, arXiv:2002.05709)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Parts
from ctlr.methods.contrast import Contrast, ContrastSpec
from ctlr.methods.lazily import F, torch
from ctlr.methods.losses import nt_xent
from ctlr.specs import FitSpec, ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SimCLR", "SimCLRSpec"]


class SimCLRSpec(ContrastSpec):
    """Contrast two random views of each image (Chen et al. 2020), then finetune."""

    method: Literal["simclr"] = "simclr"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    temperature: Annotated[float, Field(gt=0)] = 0.2
    """Divides the cosine between views."""
    projection: Annotated[int, Field(ge=2)] = 64
    """Width of the projection head's output."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are contrasted; the target's validation and test images never are."""
    misleading: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("method.temperature", "method.pool", "pretrain.batch_size", "pretrain.views"),
        "changes what the contrastive loss measures, so that the losses of two trials cannot be compared",
    )

    def pretrain_objective(self, parts: Parts) -> SimCLR:
        """Views of the pool."""
        return SimCLR(self, parts)


class SimCLR(Contrast):
    """Contrast two views of each unlabelled image with all other views of the batch."""

    def __init__(self, spec: SimCLRSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.temperature = spec.temperature

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """NT-Xent of the pool's batch."""
        images = batches["pool"].images
        projected = self.projected(images, rng)
        with torch.autocast(images.device.type, enabled=False):
            return nt_xent(F.normalize(projected, dim=1), self.temperature)
