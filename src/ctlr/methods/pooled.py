"""Pooled learning: the labels of source and target at once, through one encoder (Caruana 1997, Machine Learning 28:41).

Each step takes a labelled target batch and a source batch. Two tasks have a head each, as in multitask learning; one
and the same task has one head, so that the source is so much more data for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ctlr.data.augment import random_views
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Batch, Objective
from ctlr.methods.losses import TaskLoss
from ctlr.specs import PooledSpec

__all__ = ["Pooled"]


class Pooled(Objective):
    """Loss of the target's labels plus `source_weight` times that of the source's.

    Args:
        encoder: Turns images into features; sees both batches at once, so batch norms average over both.
        head: Of the target task.
        loss: Of the target task.
        spec: Weight and batch size of the source; `finetune.views` change the images of both.
        source_head: Of the source task; None where it is the target task: `head` then learns from both.
        source_loss: Of the source task.
    """

    streams = ("labelled", "source")

    def __init__(
        self,
        encoder: Encoder,
        head: nn.Module,
        loss: TaskLoss,
        spec: PooledSpec,
        *,
        source_head: nn.Module | None,
        source_loss: TaskLoss,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.loss = loss
        self.spec = spec
        self.source_head = source_head
        self.source_loss = source_loss
        self.batch_sizes = {"source": spec.source_batch_size}

    def forward(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Weighted sum of both losses."""
        labelled, source = batches["labelled"], batches["source"]
        assert labelled.target is not None
        assert source.target is not None
        images = torch.cat([labelled.images, source.images])
        if self.spec.finetune.views is not None:
            images = random_views(images, self.spec.finetune.views, rng)
        features = self.encoder(images)
        with torch.autocast(images.device.type, enabled=False):
            own, other = features.float().split([len(labelled.images), len(source.images)])
            total = self.loss(self.head(own), labelled.target)
            outputs = (self.head if self.source_head is None else self.source_head)(other)
            return total + self.spec.source_weight * self.source_loss(outputs, source.target)
