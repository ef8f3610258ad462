"""Pretraining: one encoder for all studies that need the same."""

from __future__ import annotations

from pathlib import Path

import torch

from ctlr.data.development import Development, SourceData
from ctlr.encoders import build_head, projection_head
from ctlr.methods.base import Objective
from ctlr.methods.simclr import SimCLR
from ctlr.methods.supervised import Supervised
from ctlr.specs import Checkpoint, PretrainSpec, SelfferSpec, SimCLRSpec, SupervisedSpec
from ctlr.steps.assembly import (
    Progress,
    Validator,
    checkpoint_of,
    development_of,
    drop_checkpoints,
    first_encoder,
    labelled_rows,
    pool_parts,
    seed_for,
    source_of,
    task_loss,
    write_history,
)
from ctlr.steps.exclusive import exclusively
from ctlr.steps.keys import Arrays, pretrain_key
from ctlr.training.checkpoint import encoder_record, write_tensors
from ctlr.training.fit import fit
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import place
from ctlr.workspace import Workspace, write_aside

__all__ = ["pretrain"]


def pretrain(
    spec: PretrainSpec, arrays: Arrays, workspace: Workspace, *, device: str = "cpu", progress: Progress | None = None
) -> Checkpoint:
    """Pretrain an encoder on the source; the target's test and validation images stay out of it.

    A selffer's first network learns the study's own labelled rows, and its best epoch is that on the validation rows.

    Leaves `encoder.safetensors`, `history.csv` and `result.json` in the workspace; a supervised one also
    `head.safetensors`, which predicts the source's (standardised) target.

    Raises:
        TrainingError: The loss is no longer finite.
        DataError, ConfigError: The data do not allow it.
    """
    key = pretrain_key(spec, arrays)
    folder = workspace.folder("pretrained", key)
    if not workspace.has("pretrained", key):
        # Trials of a search may want the same pretraining at once.
        with exclusively(workspace, "pretrained", key):
            if not workspace.has("pretrained", key):
                _publish(spec, key, arrays, workspace, device, progress)
    return Checkpoint.model_validate_json((folder / "result.json").read_text())


def _publish(
    spec: PretrainSpec, key: str, arrays: Arrays, workspace: Workspace, device: str, progress: Progress | None
) -> None:
    torch.set_num_threads(spec.compute.threads)
    development = development_of(spec, arrays, workspace)
    source = source_of(spec, arrays, workspace, development)
    with workspace.publish("pretrained", key, resumable=True) as partial:
        result = _pretrain(spec, development, source, partial, f"pretrained/{key}", device, progress)
        write_aside(partial / "result.json", result.model_dump_json(indent=1).encode())
        drop_checkpoints(partial)


def _pretrain(
    spec: PretrainSpec,
    development: Development,
    source: SourceData | None,
    folder: Path,
    path: str,
    device: str,
    progress: Progress | None,
) -> Checkpoint:
    method = spec.method
    encoder = first_encoder(spec, development.store)
    placement = place(encoder, spec.compute, device, len(development.store.arrays.shape) - 1)
    if isinstance(method, SupervisedSpec | SelfferSpec):
        known, end = (development, spec.target) if isinstance(method, SelfferSpec) else (source, spec.source)
        assert known is not None
        assert end is not None
        train = labelled_rows(known.store, known.targets, known.train, placement)
        loss, scaling = task_loss(known.targets, known.train, method.pretrain.class_weights, placement)
        train = Labelled(train.images, scaling.scale(train.target))
        head = build_head(
            encoder.width, loss.outputs, dropout=method.pretrain.dropout, seed=seed_for(spec.seed, "source")
        )
        objective: Objective = Supervised(encoder, head, loss, views=method.pretrain.views)
        watched = labelled_rows(known.store, known.targets, known.validation, placement)
        validate = Validator(encoder, head, watched, 0, end, loss, scaling, placement)
        streams = {"labelled": train}
    else:
        assert isinstance(method, SimCLRSpec)
        projection = projection_head(encoder.width, method.projection, seed=seed_for(spec.seed, "projection"))
        objective = SimCLR(encoder, projection, method)
        streams = {"pool": Labelled(Images(pool_parts(method.pool, development, source), placement.device))}
        validate = None
    fitted = fit(
        objective, streams, spec=method.pretrain, seed=seed_for(spec.seed, "pretrain"), placement=placement,
        folder=folder, validate=validate, progress=progress,
    )  # fmt: skip
    sha = write_tensors(folder / "encoder.safetensors", encoder.state_dict(), encoder_record(spec.encoder))
    if isinstance(objective, Supervised):
        # Studies begin with a head of their own; transferability scores ask what this one sees in the target's images.
        write_tensors(folder / "head.safetensors", objective.head.state_dict(), {})
    write_history(folder / "history.csv", fitted)
    return checkpoint_of("pretrain", path, sha, fitted)
