"""What methods share that learn from unlabelled images before the target's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from ctlr.methods.base import Objective, Parts, random_views
from ctlr.methods.lazily import torch
from ctlr.specs import MethodSpec, Pretraining

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Contrast", "ContrastSpec", "UnlabelledPretraining"]


class UnlabelledPretraining(MethodSpec):
    """Learn from unlabelled images, then finetune."""

    pretrains: ClassVar[bool] = True
    misleading: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("method.", "pretrain.batch_size", "pretrain.views"),
        "changes what the method's own loss measures, so that the losses of two trials cannot be compared",
    )
    if TYPE_CHECKING:  # a field of each method: declared here it would come first, and identities are made in order
        pool: Literal["source", "target", "both"]

    @property
    def pretraining(self) -> Pretraining:
        """The pool."""
        return Pretraining(self.pool)

    @property
    def needs_source(self) -> bool:
        """Where it sees the source's images alone."""
        return self.pool == "source"

    def without_source(self) -> Self:
        """The pool is then the target's alone."""
        return self.model_copy(update={"pool": "target"}) if self.pool == "both" else self


class ContrastSpec(UnlabelledPretraining):
    """Learn from random views of unlabelled images, then finetune."""

    needs_views: ClassVar[bool] = True
    if TYPE_CHECKING:
        projection: int


class Contrast(Objective):
    """Two views of each image of the pool, behind a projection head that is thrown away afterwards."""

    streams = ("pool",)

    def __init__(self, spec: ContrastSpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.projection = parts.projection(spec.projection)
        self.views = spec.views_by_stage["pretrain"]
        self.rows = {"pool": parts.pool(spec.pool)}

    def projected(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """(B, C, *S) -> (2B, D) float32; rows i and i + B show the same image."""
        features = self.encoder(random_views(torch.cat([images, images]), self.views, rng))
        with torch.autocast(images.device.type, enabled=False):
            projected: Tensor = self.projection(features.float())
        return projected
