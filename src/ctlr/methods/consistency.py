"""What methods share that learn from few labels and many unlabelled images at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from ctlr.methods.base import Batch, Objective, Parts, predict_outputs, random_views
from ctlr.methods.lazily import F, torch
from ctlr.specs import MethodSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SemiSupervised", "SemiSupervisedSpec", "prediction_difference", "ramp"]


class SemiSupervisedSpec(MethodSpec):
    """Labelled and unlabelled images at once, no pretraining."""

    pool: Literal["source", "target", "both"] = "both"
    """Whose images are seen without labels; the target's validation and test images never are."""
    unlabelled_batch_size: Annotated[int, Field(ge=2, le=4096)] = 32
    """Unlabelled images of a step."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the loss on unlabelled images."""
    reads_pool_while_finetuning: ClassVar[bool] = True

    @property
    def reads_source_while_finetuning(self) -> bool:
        """Unless the pool is the target's alone."""
        return self.pool != "target"

    @property
    def needs_source(self) -> bool:
        """Where the pool is the source's alone."""
        return self.pool == "source"

    @property
    def images_beside(self) -> int:
        """Images of the pool."""
        return self.unlabelled_batch_size

    def without_source(self) -> Self:
        """The pool is then the target's alone."""
        return self.model_copy(update={"pool": "target"}) if self.pool == "both" else self


class SemiSupervised(Objective):
    """The task's loss on the labelled images, and `weight` times `unlabelled_loss` on the pool's."""

    streams = ("labelled", "pool")

    def __init__(self, spec: SemiSupervisedSpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.head = parts.head
        self.loss = parts.loss
        self.weight = spec.weight
        self.weak = spec.finetune.views
        self.rows = {"pool": parts.pool(spec.pool)}
        self.batch_sizes = {"pool": spec.unlabelled_batch_size}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Weighted sum of both losses."""
        labelled = batches["labelled"]
        assert labelled.target is not None
        images = random_views(labelled.images, self.weak, rng)
        total = self.loss(self.outputs(images, labelled.columns), labelled.target)
        return total + self.weight * self.unlabelled_loss(batches["pool"], rng)

    def unlabelled_loss(self, pool: Batch, rng: torch.Generator) -> Tensor:
        """Scalar loss of images of the pool."""
        raise NotImplementedError(type(self))

    def outputs(self, images: Tensor, columns: Tensor | None) -> Tensor:
        """(B, K) raw outputs of the network that learns, for views of images and what is read beside them."""
        return predict_outputs(self.encoder, self.head, images, columns=columns)


def ramp(done: float, share: float) -> float:
    """Weight that rises from 0.007 to 1 over the first share of a training: exp(-5 (1 - t)^2) (Laine & Aila 2017, 3.2).

    Args:
        done: Share of the training that is behind.
        share: In which the weight rises; 0 begins with 1.
    """
    return math.exp(-5 * (1 - min(1.0, done / share)) ** 2) if share else 1.0


def prediction_difference(first: Tensor, second: Tensor, *, classes: int) -> Tensor:
    """Mean squared difference of (B, K) predictions: of probabilities, or of a regression's standardised values."""
    if classes:
        first, second = first.softmax(1), second.softmax(1)
    return F.mse_loss(first, second)
