"""Learning from labels: supervised pretraining, training from scratch and every finetuning."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ctlr.data.augment import random_views
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Batch, Objective, predict_outputs
from ctlr.methods.losses import TaskLoss
from ctlr.specs import ViewsSpec

__all__ = ["Supervised"]


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
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.loss = loss
        self.views = views
        self.start = start

    def forward(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Mean loss of the labelled batch."""
        batch = batches["labelled"]
        assert batch.target is not None
        images = batch.images if self.views is None else random_views(batch.images, self.views, rng)
        return self.loss(predict_outputs(self.encoder, self.head, images, self.start), batch.target)
