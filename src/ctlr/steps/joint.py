"""Finetunings that look at the source too: their objectives, with the rows that they take beside the labelled ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from torch import nn

from ctlr.data.development import Development, SourceData
from ctlr.encoders import build_head
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Objective
from ctlr.methods.losses import TaskLoss
from ctlr.methods.pooled import Pooled
from ctlr.methods.vat import VAT
from ctlr.specs import PooledSpec, Study, VATSpec
from ctlr.steps.assembly import Scaling, as_target, labelled_rows, pool_parts, seed_for, task_loss
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import Placement

__all__ = ["joint_objective", "target_loss"]

Joint = tuple[Objective, Mapping[str, Labelled]]


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


def joint_objective(
    study: Study,
    encoder: Encoder,
    head: nn.Module,
    loss: TaskLoss,
    scaling: Scaling,
    development: Development,
    source: SourceData | None,
    placement: Placement,
) -> Joint:
    """What such a method minimises, and its rows by the name of a batch; those of the labelled target not among them.

    Args:
        study: Its method reads the source while finetuning.
        encoder, head: Of the target.
        loss, scaling: Of the target, from `target_loss`.
        development: The target's data.
        source: The source's; None without one.
        placement: Where all of it lies.
    """
    method = study.method
    if isinstance(method, PooledSpec):
        assert source is not None
        return _pooled(study, method, encoder, head, loss, scaling, development, source, placement)
    assert isinstance(method, VATSpec)
    return _vat(study, method, encoder, head, loss, development, source, placement)


def _labelled(source: SourceData) -> npt.NDArray[np.int64]:
    """Every labelled row: nobody has to watch, since the target's validation subjects choose the epoch."""
    return np.concatenate([source.train, source.validation])


def _one_head(study: Study, development: Development, source: SourceData) -> bool:
    """Whether source and target are one task: the same column, kind and classes."""
    if study.source is None or not isinstance(study.method, PooledSpec):
        return False
    mine, other = study.target.task, study.source.task
    same = (mine.target, mine.kind) == (other.target, other.kind)
    return same and development.targets.classes == source.targets.classes


def _pooled(
    study: Study,
    method: PooledSpec,
    encoder: Encoder,
    head: nn.Module,
    loss: TaskLoss,
    scaling: Scaling,
    development: Development,
    source: SourceData,
    placement: Placement,
) -> Joint:
    rows, source_head, source_loss = _labelled(source), None, loss
    if not _one_head(study, development, source):
        source_loss, scaling = task_loss(source.targets, rows, method.finetune.class_weights, placement)
        source_head = build_head(
            encoder.width, source_loss.outputs, dropout=method.finetune.dropout, seed=seed_for(study.seed, "source")
        )
    others = labelled_rows(source.store, source.targets, rows, placement)
    others = Labelled(others.images, scaling.scale(others.target))
    objective = Pooled(encoder, head, loss, method, source_head=source_head, source_loss=source_loss)
    return objective, {"source": others}


def _vat(
    study: Study,
    method: VATSpec,
    encoder: Encoder,
    head: nn.Module,
    loss: TaskLoss,
    development: Development,
    source: SourceData | None,
    placement: Placement,
) -> Joint:
    """The pool has the source task's labels where they are known."""
    parts = pool_parts("both", development, source)
    if source is None or not method.source_weight:
        return VAT(encoder, head, loss, method), {"pool": Labelled(Images(parts, placement.device))}
    source_loss, scaling = task_loss(source.targets, source.train, None, placement)
    unknown = -1 if source.targets.classes else math.nan
    known = [
        source.targets.values[rows] if store is source.store else np.full(len(rows), unknown) for store, rows in parts
    ]
    target = as_target(np.concatenate(known), source.targets.classes, placement)
    pool = Labelled(Images(parts, placement.device), scaling.scale(target))
    source_head = build_head(encoder.width, source_loss.outputs, dropout=0.0, seed=seed_for(study.seed, "source"))
    return VAT(encoder, head, loss, method, source_head=source_head, source_loss=source_loss), {"pool": pool}
