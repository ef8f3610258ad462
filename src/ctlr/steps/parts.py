"""What methods put their objectives together from: networks with their first weights, and rows of real data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import nn

from ctlr.data.development import Development, SourceData
from ctlr.data.store import ArrayStore
from ctlr.data.targets import Targets, read_targets
from ctlr.encoders import build_head, patch_decoder, projection_head
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Pool, Task
from ctlr.methods.losses import TaskLoss
from ctlr.specs import InputColumn, PretrainSpec, Study, TaskSpec
from ctlr.steps.assembly import Scaling, as_target, columns_beside, labelled_rows, pool_parts, seed_for, task_loss
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import Placement

__all__ = ["DataParts", "target_loss"]


def target_loss(
    study: Study, development: Development, source: SourceData | None, placement: Placement
) -> tuple[TaskLoss, Scaling]:
    """The target task's loss and scaling from the training labels; from the source's too where one head learns both."""
    weighing = study.method.finetune.class_weights
    loss, scaling = task_loss(development.targets, development.train, weighing, placement)
    if source is None or not _one_head(study, development, source):
        return loss, scaling
    targets = development.targets
    values = np.concatenate([targets.values[development.train], source.targets.values[_labelled(source)]])
    both, shared = task_loss(replace(targets, values=values), np.arange(len(values)), weighing, placement)
    shared.bins = scaling.bins  # the target's own: `f1_bins` is a metric of the target
    return both, shared


def _labelled(source: SourceData) -> npt.NDArray[np.int64]:
    """Every labelled row: nobody has to watch, since the target's validation subjects choose the epoch."""
    return np.concatenate([source.train, source.validation])


def _one_head(study: Study, development: Development, source: SourceData) -> bool:
    """Whether one head learns both, and they are one task: the same column, kind and classes."""
    if study.source is None or not study.method.shares_head:
        return False
    mine, other = study.target.task, study.source.task
    same = (mine.target, mine.kind) == (other.target, other.kind)
    return same and development.targets.classes == source.targets.classes


@dataclass(frozen=True)
class DataParts:
    """`ctlr.methods.base.Parts` of a study or a pretraining.

    Attributes:
        spec: Whose seed draws the weights.
        development: The target's data without its test set.
        source: Of the source task, where there is one.
        placement: Where all of it lies.
        encoder, head, loss: As methods take them.
        scaling: Of the labels that `loss` learns.
        inputs: What `head` reads beside the images.
    """

    spec: Study | PretrainSpec
    development: Development
    source: SourceData | None
    placement: Placement
    encoder: Encoder
    head: nn.Module
    loss: TaskLoss
    scaling: Scaling
    inputs: tuple[InputColumn, ...] = ()

    def projection(self, outputs: int, purpose: str = "projection", inputs: int | None = None) -> nn.Module:
        """A projection head, its hidden layer as wide as the encoder."""
        width, seed = self.encoder.width, seed_for(self.spec.seed, purpose)
        return projection_head(inputs or width, outputs, seed=seed, hidden=width)

    def decoder(self) -> nn.Module:
        """A linear decoder of patches."""
        return patch_decoder(
            self.encoder, self.development.store.arrays.shape, seed=seed_for(self.spec.seed, "decoder")
        )

    def pool(self, images: Pool = "both") -> Labelled:
        """Images without labels."""
        return self._unlabelled(pool_parts(images, self.development, self.source))

    def pool_with_source_labels(self, images: Pool = "both") -> Task | None:
        """The same with the source task's labels where they are known."""
        source = self.source
        if source is None:
            return None
        parts = pool_parts(images, self.development, source)
        loss, scaling = task_loss(source.targets, source.train, None, self.placement)
        classes = source.targets.classes
        unknown = -1 if classes else math.nan
        known = [
            source.targets.values[rows] if store is source.store else np.full(len(rows), unknown)
            for store, rows in parts
        ]
        target = as_target(np.concatenate(known), classes, self.placement)
        rows = replace(self._unlabelled(parts), target=scaling.scale(target))
        return Task(rows, self._source_head(loss, dropout=0.0), loss)

    def source_task(self) -> Task:
        """Every labelled image of the source; its head is the target's where one learns both."""
        source, finetune = self.source, self.spec.method.finetune
        assert source is not None
        rows, head, loss, scaling, inputs = _labelled(source), None, self.loss, self.scaling, self.inputs
        if not (isinstance(self.spec, Study) and _one_head(self.spec, self.development, source)):
            loss, scaling = task_loss(source.targets, rows, finetune.class_weights, self.placement)
            head, inputs = self._source_head(loss, dropout=finetune.dropout), ()
        others = labelled_rows(source.store, source.targets, rows, self.placement, inputs)
        return Task(replace(others, target=scaling.scale(others.target)), head, loss)

    def source_tasks(self, columns: Mapping[str, str]) -> list[Task]:
        """The source's labelled images with its own task, and with each of the columns."""
        source, end = self.source, self.spec.source
        assert source is not None
        assert end is not None
        found = {"source": source.targets}
        for column, kind in columns.items():
            task = TaskSpec.model_validate({"name": column, "target": column, "kind": kind})
            found[f"source {column}"] = read_targets(source.store.table, task, end.data.name)
        return [self._learned(source, targets, purpose) for purpose, targets in found.items()]

    def _unlabelled(self, parts: Sequence[tuple[ArrayStore, npt.NDArray[np.int64]]]) -> Labelled:
        columns = columns_beside(self.inputs, parts, self.placement)
        return Labelled(Images(parts, self.placement.device), columns=columns)

    def _learned(self, source: SourceData, targets: Targets, purpose: str) -> Task:
        rows = _labelled(source)
        loss, scaling = task_loss(targets, rows[targets.known[rows]], None, self.placement)
        images = labelled_rows(source.store, targets, rows, self.placement)
        head = self._source_head(loss, dropout=0.0, purpose=purpose)
        return Task(Labelled(images.images, scaling.scale(images.target)), head, loss)

    def _source_head(self, loss: TaskLoss, *, dropout: float, purpose: str = "source") -> nn.Module:
        return build_head(self.encoder.width, loss.outputs, dropout=dropout, seed=seed_for(self.spec.seed, purpose))
