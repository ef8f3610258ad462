"""Learning from labels: supervised pretraining, training from scratch and every finetuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from ctlr.methods.base import Batch, Objective, Parts, predict_outputs, random_views
from ctlr.specs import FitSpec, MethodSpec, Pretraining, ViewsSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ctlr.encoders.base import Encoder
    from ctlr.methods.losses import TaskLoss

__all__ = ["LabelledPretraining", "Supervised", "SupervisedSpec"]


class LabelledPretraining(MethodSpec):
    """Learn from labels, then finetune."""

    pretrains: ClassVar[bool] = True

    def pretrain_objective(self, parts: Parts) -> Objective:
        """The task's loss."""
        return Supervised(parts.encoder, parts.head, parts.loss, views=self.views_by_stage["pretrain"])


class SupervisedSpec(LabelledPretraining):
    """Pretrain on the source task's labels, then finetune."""

    method: Literal["supervised"] = "supervised"
    pretrain: FitSpec = FitSpec()
    leaves_head: ClassVar[bool] = True
    layer_origin: ClassVar[Literal["A", "B", ""]] = "A"

    @property
    def pretraining(self) -> Pretraining:
        """The source's labels."""
        return Pretraining("source", labels="source")


class Supervised(Objective):
    """The task's loss on labelled images.

    Args:
        encoder: Turns images into features.
        head: Turns features into outputs.
        loss: Of the task.
        views: How images are changed at random before they are learned from; None leaves them as they are.
        start: Encoder blocks that have been applied to the images already.
    """

    streams = ("labelled",)

    def __init__(
        self, encoder: Encoder, head: nn.Module, loss: TaskLoss, *, views: ViewsSpec | None = None, start: int = 0
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.loss = loss
        if loss.learned is not None:
            self.balance = loss.learned
        self.views = views
        self.start = start

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Mean loss of the labelled batch."""
        batch = batches["labelled"]
        assert batch.target is not None
        images = random_views(batch.images, self.views, rng)
        outputs = predict_outputs(self.encoder, self.head, images, self.start, columns=batch.columns)
        return self.loss(outputs, batch.target)
