"""Pooled learning: the labels of source and target at once, through one encoder (Caruana 1997, Machine Learning 28:41).

Each step takes a labelled target batch and a source batch. Two tasks have a head each, as in multitask learning; one
and the same task has one head, so that the source is so much more data for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Objective, Parts, head_outputs, random_views
from ctlr.methods.lazily import torch
from ctlr.specs import MethodSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Pooled", "PooledSpec"]


class PooledSpec(MethodSpec):
    """No pretraining: labels of source and target learned together from the start (Caruana 1997)."""

    method: Literal["pooled"] = "pooled"
    source_weight: Annotated[float, Field(gt=0)] = 1.0
    """Of the source's loss, beside the target's."""
    source_batch_size: Annotated[int, Field(ge=2, le=4096)] = 16
    """Source images of a step, beside the target's `batch_size`."""
    reads_pool_while_finetuning: ClassVar[bool] = True
    shares_head: ClassVar[bool] = True

    @property
    def needs_source(self) -> bool:
        """Always: without one it is training from scratch."""
        return True

    @property
    def images_beside(self) -> int:
        """Images of the source."""
        return self.source_batch_size

    def finetune_objective(self, parts: Parts) -> Pooled:
        """Over the labelled images of both."""
        return Pooled(self, parts)


class Pooled(Objective):
    """Loss of the target's labels plus `source_weight` times that of the source's.

    The encoder sees both batches at once, so batch norms average over both, and `finetune.views` change the images of
    both. Where source and target are one task, one head learns from both.
    """

    streams = ("labelled", "source")

    def __init__(self, spec: PooledSpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.head = parts.head
        self.loss = parts.loss
        self.spec = spec
        rows, self.source_head, self.source_loss = parts.source_task()
        self.rows = {"source": rows}
        self.batch_sizes = {"source": spec.source_batch_size}

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Weighted sum of both losses."""
        labelled, source = batches["labelled"], batches["source"]
        assert labelled.target is not None
        assert source.target is not None
        images = random_views(torch.cat([labelled.images, source.images]), self.spec.finetune.views, rng)
        features = self.encoder(images)
        with torch.autocast(images.device.type, enabled=False):
            own, other = features.float().split([len(labelled.images), len(source.images)])
            total = self.loss(head_outputs(self.head, own, labelled.columns), labelled.target)
            head = self.head if self.source_head is None else self.source_head
            outputs = head_outputs(head, other, source.columns)
            return total + self.spec.source_weight * self.source_loss(outputs, source.target)
