"""Pretraining: one encoder for all studies that need the same."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ctlr.data.development import Development, SourceData
from ctlr.data.preparation import preparation_of
from ctlr.data.store import ArrayStore
from ctlr.encoders import build_head
from ctlr.encoders.base import Encoder
from ctlr.errors import WorkspaceError
from ctlr.methods.base import Objective
from ctlr.methods.losses import TaskLoss
from ctlr.specs import Checkpoint, ModelCard, PretrainSpec
from ctlr.steps.assembly import (
    Progress,
    Scaling,
    Validator,
    checkpoint_of,
    development_of,
    drop_checkpoints,
    first_encoder,
    labelled_rows,
    seed_for,
    source_of,
    task_loss,
    timed,
    write_history,
)
from ctlr.steps.keys import Arrays, pretrain_key
from ctlr.steps.parts import DataParts
from ctlr.training.checkpoint import TrainedModel, check_encoder, encoder_record, read_tensors, write_tensors
from ctlr.training.fit import fit
from ctlr.training.images import Labelled
from ctlr.training.placement import Placement, place
from ctlr.workspace import Workspace, write_aside

__all__ = ["SourceTraining", "encoder_weights", "pretrain", "source_model", "source_training"]


def pretrain(
    spec: PretrainSpec, arrays: Arrays, workspace: Workspace, *, device: str = "cpu", progress: Progress | None = None
) -> Checkpoint:
    """Pretrain an encoder on the source; the target's test and validation images stay out of it.

    A selffer's first network learns the study's own labelled rows, and its best epoch is that on the validation rows.

    Leaves `encoder.safetensors`, `history.csv` and `result.json` in the workspace; a supervised one also
    `head.safetensors`, which predicts the source's (standardised) target, with what restores its units or classes.

    Raises:
        TrainingError: The loss is no longer finite.
        DataError, ConfigError: The data do not allow it.
    """
    key = pretrain_key(spec, arrays)
    if not workspace.has("pretrained", key):
        # Trials of a search may want the same pretraining at once.
        with workspace.exclusively("pretrained", key):
            if not workspace.has("pretrained", key):
                _publish(spec, key, arrays, workspace, device, progress)
    return workspace.read("pretrained", key, "result.json", Checkpoint.model_validate_json)


def encoder_weights(spec: PretrainSpec, arrays: Arrays, workspace: Workspace) -> dict[str, Tensor]:
    """What a finished pretraining has learned.

    Raises:
        WorkspaceError: The weights are missing or damaged.
        ConfigError: They are another encoder's.
    """
    path = workspace.folder("pretrained", pretrain_key(spec, arrays)) / "encoder.safetensors"
    tensors, meta = read_tensors(path)
    check_encoder(meta, spec.encoder, path)
    return tensors


def source_model(
    spec: PretrainSpec, store: ArrayStore, arrays: Arrays, workspace: Workspace, device: str
) -> TrainedModel:
    """The network that a finished supervised pretraining has learned, head and all.

    Args:
        spec: The pretraining.
        store: Images of the shape that it takes.
        arrays: Stored arrays by the dataset's name.
        workspace: Where it lies.
        device: cpu or cuda.

    Raises:
        WorkspaceError: The weights are missing or damaged, or an older version kept no scaling of the source's target.
    """
    assert spec.source is not None
    encoder = first_encoder(spec, store.arrays)
    encoder.load_state_dict(encoder_weights(spec, arrays, workspace))
    folder = workspace.folder("pretrained", pretrain_key(spec, arrays))
    tensors, meta = read_tensors(folder / "head.safetensors")
    if "scaling" not in meta:
        raise WorkspaceError(
            f"An older version of CTLR pretrained {folder.name} and kept no scaling of its target, so that its model "
            "cannot predict. Remove that folder below `pretrained` and run again."
        )
    known = source_of(spec, arrays, workspace, development_of(spec, arrays, workspace))
    assert known is not None
    card = ModelCard(
        encoder=spec.encoder, channels=store.arrays.shape[0], ndim=len(store.arrays.shape) - 1,
        shape=store.arrays.shape, task=spec.source.task.kind, target=spec.source.task.target,
        classes=tuple(meta["classes"]), mean=meta["scaling"][0], std=meta["scaling"][1],
        preparation=preparation_of(spec.source, known.store, known.train),
    )  # fmt: skip
    head = build_head(encoder.width, card.outputs, dropout=0.0, seed=0)
    head.load_state_dict(tensors)
    return TrainedModel(card, encoder.to(device), head.to(device))


def _publish(
    spec: PretrainSpec, key: str, arrays: Arrays, workspace: Workspace, device: str, progress: Progress | None
) -> None:
    began = time.perf_counter()
    torch.set_num_threads(spec.compute.threads)
    development = development_of(spec, arrays, workspace)
    source = source_of(spec, arrays, workspace, development)
    with workspace.publish("pretrained", key, resumable=True) as partial:
        result = _pretrain(spec, development, source, partial, f"pretrained/{key}", device, progress)
        write_aside(partial / "result.json", timed(result, began).model_dump_json(indent=1).encode())
        drop_checkpoints(partial)


@dataclass(frozen=True)
class LabelledHead:
    """A head with the scaling of the labels that it predicts."""

    head: nn.Module
    scaling: Scaling


@dataclass(frozen=True)
class SourceTraining:
    """An encoder that is ready to be pretrained.

    Attributes:
        encoder: With its first weights.
        objective: What is minimised.
        streams: Rows by the name of a batch.
        validate: Judges it on validation rows; None without labels.
        placement: Where it lies.
        watching: Subjects that it is judged on.
        labelled: The head that labels teach; None without.
    """

    encoder: Encoder
    objective: Objective
    streams: Mapping[str, Labelled]
    validate: Validator | None
    placement: Placement
    watching: int = 0
    labelled: LabelledHead | None = None


def source_training(
    spec: PretrainSpec, development: Development, source: SourceData | None, *, device: str
) -> SourceTraining:
    """Put together what a pretraining trains.

    Args:
        spec: What is learned, and how.
        development: The target's data without its test set.
        source: Of the source task, where there is one.
        device: cpu or cuda.
    """
    encoder = first_encoder(spec, development.store.arrays)
    placement = place(encoder, spec.compute, device, development.store.arrays.shape)
    known, end = {"source": (source, spec.source), "target": (development, spec.target), None: (None, None)}[
        spec.learns.labels
    ]
    if known is None or end is None:
        head, loss, scaling = nn.Identity(), TaskLoss(classes=0), Scaling(development.targets, development.train)
        parts = DataParts(spec, development, source, placement, encoder, head, loss, scaling)
        objective = spec.method.pretrain_objective(parts)
        return SourceTraining(encoder, objective, objective.rows, None, placement)
    train = labelled_rows(known.store, known.targets, known.train, placement)
    loss, scaling = task_loss(known.targets, known.train, spec.fit.class_weights, placement)
    train = replace(train, target=scaling.scale(train.target))
    outer = build_head(encoder.width, loss.outputs, dropout=spec.fit.dropout, seed=seed_for(spec.seed, "source"))
    objective = spec.method.pretrain_objective(
        DataParts(spec, development, source, placement, encoder, outer, loss, scaling)
    )
    watched = labelled_rows(known.store, known.targets, known.validation, placement)
    validate = Validator(encoder, outer, watched, 0, end, loss, scaling, placement)
    watching = len({known.store.table[row].subject for row in known.validation})
    streams = {"labelled": train, **objective.rows}
    return SourceTraining(encoder, objective, streams, validate, placement, watching, LabelledHead(outer, scaling))


def _pretrain(
    spec: PretrainSpec,
    development: Development,
    source: SourceData | None,
    folder: Path,
    path: str,
    device: str,
    progress: Progress | None,
) -> Checkpoint:
    ready = source_training(spec, development, source, device=device)
    fitted = fit(
        ready.objective, ready.streams, spec=spec.fit, seed=seed_for(spec.seed, "pretrain"),
        placement=ready.placement, folder=folder, validate=ready.validate,
        keep_best=spec.fit.keeps_best(ready.watching), progress=progress,
    )  # fmt: skip
    sha = write_tensors(folder / "encoder.safetensors", ready.encoder.state_dict(), encoder_record(spec.encoder))
    if ready.labelled is not None:
        # Studies begin with a head of their own; transferability scores and `unchanged` ask what this one sees in the
        # target's images.
        scaling = ready.labelled.scaling
        kept = {"scaling": [scaling.mean, scaling.std], "classes": scaling.classes}
        write_tensors(folder / "head.safetensors", ready.labelled.head.state_dict(), kept)
    write_history(folder / "history.csv", fitted)
    return checkpoint_of("pretrain", path, sha, fitted).model_copy(update={"device": ready.placement.name})
