"""The Pi model: the same answer for two random views of an image (Laine & Aila 2017, arXiv:1610.02242)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Parts, random_views
from ctlr.methods.consistency import SemiSupervised, SemiSupervisedSpec, prediction_difference, ramp
from ctlr.specs import ViewsSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["PiModel", "PiModelSpec"]


class PiModelSpec(SemiSupervisedSpec):
    """No pretraining: predictions for two views of an unlabelled image have to agree (Laine & Aila 2017)."""

    method: Literal["pi_model"] = "pi_model"
    views: ViewsSpec = ViewsSpec()
    """Views of unlabelled images under which predictions have to agree."""
    ramp_up: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of the training in which the weight of the agreement rises."""

    def finetune_objective(self, parts: Parts) -> PiModel:
        """Over the labelled images and the pool."""
        return PiModel(self, parts)


class PiModel(SemiSupervised):
    """Squared difference between predictions for two views; gradients flow through both (the paper's algorithm 1)."""

    def __init__(self, spec: PiModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.views, self.ramp_up = spec.views, spec.ramp_up

    def unlabelled_loss(self, pool: Batch, rng: torch.Generator) -> Tensor:
        """Scalar, in 0..2/K of K classes."""
        views = (random_views(pool.images, self.views, rng) for _ in range(2))
        first, second = (self.outputs(images, pool.columns) for images in views)
        return ramp(self.done, self.ramp_up) * prediction_difference(first, second, classes=self.loss.classes)
