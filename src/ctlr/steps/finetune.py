"""Finetuning: the target task from few labels."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctlr.data.development import Development, SourceData
from ctlr.data.inputs import input_columns
from ctlr.data.preparation import preparation_of
from ctlr.data.store import ArrayStore
from ctlr.encoders import build_head, copy_blocks, fused_head
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Objective
from ctlr.specs import Answer, Checkpoint, InputColumn, ModelCard, PretrainSpec, Study
from ctlr.steps.assembly import (
    Progress,
    Scaling,
    SeveralScaling,
    Validator,
    also_scores,
    checkpoint_of,
    development_of,
    drop_checkpoints,
    finetuning_source,
    first_encoder,
    labelled_rows,
    seed_for,
    several,
    timed,
    write_history,
)
from ctlr.steps.keys import Arrays, study_key
from ctlr.steps.parts import DataParts, target_loss
from ctlr.steps.pretrain import encoder_weights
from ctlr.steps.surface import has_surface, write_shares
from ctlr.training.checkpoint import TrainedModel, save_model
from ctlr.training.finetune import count_trained, freeze, prepare
from ctlr.training.fit import Fitted, fit
from ctlr.training.images import Labelled
from ctlr.training.placement import Placement, place
from ctlr.workspace import Workspace, write_aside

__all__ = [
    "SURFACES",
    "Finetuned",
    "TargetTraining",
    "draw_learned",
    "finetune",
    "is_drawn",
    "learn_target",
    "pretrained_weights",
    "target_training",
]

SURFACES = "surfaces"
"""Folder of what a network in the plane has said of it, a file an epoch."""
REFIT = "refit"
"""Folder of a refit's checkpoints, beside those of the training that chose the epoch."""


def finetune(
    study: Study, arrays: Arrays, workspace: Workspace, *, device: str = "cpu", progress: Progress | None = None
) -> Checkpoint:
    """Learn the target task from `n_train` labelled subjects; the best epoch on validation is kept.

    With `refit` it is then learned again from the same first weights, from training and validation subjects together.

    Leaves `model.safetensors`, `model.json`, `history.csv` (of the training that chose the epoch) and `result.json` in
    the workspace.

    Raises:
        TrainingError: The loss is no longer finite.
        DataError, ConfigError: The data do not allow it.
    """
    key = study_key(study, arrays)
    if not workspace.has("finetuned", key):
        began = time.perf_counter()
        torch.set_num_threads(study.compute.threads)
        development = development_of(study, arrays, workspace)
        source = finetuning_source(study, arrays, workspace, development)
        weights = pretrained_weights(study, arrays, workspace)
        with workspace.publish("finetuned", key, resumable=True) as partial:
            result = _finetune(study, development, source, weights, partial, f"finetuned/{key}", device, progress)
            write_aside(partial / "result.json", timed(result, began).model_dump_json(indent=1).encode())
            drop_checkpoints(partial)
            shutil.rmtree(partial / REFIT, ignore_errors=True)
    return workspace.read("finetuned", key, "result.json", Checkpoint.model_validate_json)


def pretrained_weights(study: Study, arrays: Arrays, workspace: Workspace) -> dict[str, Tensor] | None:
    """The encoder's weights that a study begins from: of its pretraining, or of a file; None for those of the seed."""
    spec = PretrainSpec.of(study)
    if spec is not None:
        return encoder_weights(spec, arrays, workspace)
    return study.method.starting_weights(first_encoder(study, arrays[study.target.data.name]))


@dataclass(frozen=True)
class TargetTraining:
    """A network that is ready to learn the target task.

    Attributes:
        encoder, head: With their first weights.
        objective: What is minimised.
        streams: Rows by the name of a batch.
        scaling: Of the target.
        validator: Judges it on the validation rows.
        placement: Where it lies.
        inputs: What the head reads beside the images.
    """

    encoder: Encoder
    head: nn.Module
    objective: Objective
    streams: Mapping[str, Labelled]
    scaling: Scaling
    validator: Validator
    placement: Placement
    inputs: tuple[InputColumn, ...]


@dataclass(frozen=True)
class Finetuned(TargetTraining):
    """A network that has learned the target task; encoder and head have the best epoch's weights.

    Attributes:
        fitted: What training went through.
    """

    fitted: Fitted


def learn_target(
    study: Study,
    development: Development,
    source: SourceData | None,
    weights: Mapping[str, Tensor] | None,
    folder: Path,
    *,
    device: str,
    head_weights: Mapping[str, Tensor] | None = None,
    pretrained: Mapping[str, Tensor] | None = None,
    replay: Sequence[Sequence[int]] | None = None,
    progress: Progress | None = None,
    surfaces: Path | None = None,
    pause: float = 0.0,
) -> Finetuned:
    """Train encoder and head on the training rows, judged on the validation rows.

    Args:
        study: What is learned, and how.
        development: Data without the test set.
        source: Of the source task, where the method looks at it.
        weights: The encoder's first ones; None for those of the seed.
        folder: Private to this training, for its checkpoints.
        device: cpu or cuda.
        head_weights: The head's first ones; None for those of the seed.
        pretrained: The encoder's weights that L2-SP pulls to; by default its first ones.
        replay: What an earlier training went through; nothing is then validated.
        progress: Told each epoch.
        surfaces: Where `compute.surfaces` leaves what it says of the plane; None for nowhere.
        pause: Seconds at least between two of them.
    """
    ready = target_training(study, development, source, weights, device=device, head_weights=head_weights)
    if surfaces is not None and is_drawn(study, development, ready.inputs):
        progress = _drawn(study, development, ready, surfaces, pause, progress)
    fitted = fit(
        ready.objective, ready.streams, spec=study.method.finetune, seed=seed_for(study.seed, "finetune"),
        placement=ready.placement, folder=folder, validate=ready.validator if replay is None else None, replay=replay,
        keep_best=study.method.finetune.keeps_best(len(development.split.validation)), progress=progress,
        pretrained=weights if pretrained is None else pretrained,
    )  # fmt: skip
    return Finetuned(**vars(ready), fitted=fitted)


def is_drawn(study: Study, development: Development, inputs: Sequence[InputColumn] = ()) -> bool:
    """Whether a study leaves what it says of the plane while it learns."""
    asked = study.compute.surfaces is not None
    return asked and has_surface(development.store.arrays, development.targets) and not inputs


def draw_learned(development: Development, ready: TargetTraining, folder: Path, epoch: int) -> None:
    """Leave what a network says of the plane now, under the number of an epoch."""

    def predict(places: NDArray[np.float32]) -> NDArray[np.float64]:
        ready.objective.networks.eval()
        with torch.inference_mode():
            outputs = ready.head(ready.encoder(torch.from_numpy(places).to(ready.placement.device)))
        return np.asarray(ready.scaling.restore(outputs), np.float64)

    folder.mkdir(parents=True, exist_ok=True)
    points = development.store.read(development.train).astype(np.float64)
    write_shares(folder / f"{epoch:06d}.npz", points, predict, epoch)


def _drawn(
    study: Study, development: Development, ready: TargetTraining, folder: Path, pause: float,
    progress: Progress | None,
) -> Progress:  # fmt: skip
    """What tells of epochs, and leaves what the network says of the plane after some of them."""
    every, last = study.compute.surfaces or 1, -math.inf

    def told(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        nonlocal last
        if (epoch == 1 or epoch % every == 0) and time.monotonic() - last >= pause:
            draw_learned(development, ready, folder, epoch)
            last = time.monotonic()
        if progress is not None:
            progress(epoch, epochs, row)

    return told


def target_training(
    study: Study,
    development: Development,
    source: SourceData | None,
    weights: Mapping[str, Tensor] | None,
    *,
    device: str,
    head_weights: Mapping[str, Tensor] | None = None,
) -> TargetTraining:
    """Put together what learns the target task; arguments as for `learn_target`."""
    spec = study.method.finetune
    encoder = _starting_encoder(study, development.store, weights, continued=head_weights is not None)
    placement = place(encoder, study.compute, device, development.store.arrays.shape)
    first = target_loss(study, development, source, placement)
    task, also = study.target.task, development.also
    loss, scaling = several(task, also, development.train, first, spec.class_weights, placement)
    inputs = _inputs(study, development)
    head = _first_head(study, encoder.width, loss.outputs, inputs)
    if head_weights is not None:
        head.load_state_dict(head_weights)
    train = labelled_rows(development.store, development.targets, development.train, placement, inputs, also)
    train = replace(train, target=scaling.scale(train.target))
    validation = labelled_rows(development.store, development.targets, development.validation, placement, inputs, also)
    start = 0
    objective: Objective
    if study.method.reads_pool_while_finetuning:
        freeze(encoder, spec)
        parts = DataParts(study, development, source, placement, encoder, head, loss, scaling, inputs)
        objective = study.method.finetune_objective(parts)
        streams = {"labelled": train, **objective.rows}
        encoder, head = objective.predicts_with or (encoder, head)
    else:
        prepared = prepare(encoder, head, loss, spec, train, validation, placement)
        objective, streams, validation = prepared.objective, {"labelled": prepared.train}, prepared.validation
        start = prepared.objective.start
    judged = _also_judged(development, scaling)
    validator = Validator(encoder, head, validation, start, study.target, loss, scaling, placement, judged)
    return TargetTraining(encoder, head, objective, streams, scaling, validator, placement, inputs)


def _also_judged(development: Development, scaling: Scaling) -> Callable[[Tensor], dict[str, float]] | None:
    """Scores the outputs for the validation rows by the targets beside the first; None where there are none."""
    if not isinstance(scaling, SeveralScaling):
        return None

    def judge(outputs: Tensor) -> dict[str, float]:
        said = scaling.restore_each(outputs)[1:]
        parts = zip(development.also, said, scaling.others, strict=True)
        found = [also_scores(targets, development.validation, each, own) for targets, each, own in parts]
        return {name: value for scores in found for name, value in scores.items()}

    return judge


def _inputs(study: Study, development: Development) -> tuple[InputColumn, ...]:
    """What is read beside the image, as the training subjects have it."""
    data, task = study.target.data, study.target.task
    return input_columns(development.store.table, task.fused, development.train, data.name)


def _first_head(study: Study, width: int, outputs: int, inputs: Sequence[InputColumn]) -> nn.Module:
    dropout, seed = study.method.finetune.dropout, seed_for(study.seed, "target")
    if not inputs:
        return build_head(width, outputs, dropout=dropout, seed=seed)
    count, hidden = sum(column.width for column in inputs), study.target.task.fusion_width
    return fused_head(width, count, hidden, outputs, dropout=dropout, seed=seed)


def _starting_encoder(
    study: Study, store: ArrayStore, weights: Mapping[str, Tensor] | None, *, continued: bool
) -> Encoder:
    """The encoder that a study begins with: pretrained, or its lower blocks alone; a continued one is whole."""
    n_copied = study.method.finetune.n_copied
    if weights is None or n_copied is None or continued:
        encoder = first_encoder(study, store.arrays)
        if weights is not None:
            encoder.load_state_dict(weights)
        return encoder
    # Not the weights that pretraining began with: the lower blocks were learned below those.
    encoder = first_encoder(study, store.arrays, "blocks above the copied ones")
    copy_blocks(encoder, weights, n_copied)
    return encoder


def _finetune(
    study: Study,
    development: Development,
    source: SourceData | None,
    weights: dict[str, Tensor] | None,
    folder: Path,
    path: str,
    device: str,
    progress: Progress | None,
) -> Checkpoint:
    tuned = learn_target(study, development, source, weights, folder, device=device, progress=progress,
                         surfaces=folder / SURFACES)  # fmt: skip
    write_history(folder / "history.csv", tuned.fitted)
    result = checkpoint_of("finetune", path, "", tuned.fitted)
    if study.method.refits:
        tuned = _refitted(study, development, source, weights, folder, tuned.fitted, device, progress)
        again = tuned.fitted
        result = result.model_copy(update={
            "refit": True, "seconds": result.seconds + again.seconds, "samples": result.samples + again.samples,
        })  # fmt: skip
    arrays = development.store.arrays
    card = ModelCard(
        encoder=study.encoder, channels=arrays.shape[0], ndim=len(arrays.shape) - 1, shape=arrays.shape,
        task=study.target.task.kind, target=study.target.task.target, classes=development.targets.classes,
        mean=tuned.scaling.mean, std=tuned.scaling.std,
        preparation=preparation_of(study.target, development.store, development.train),
        inputs=tuned.inputs, fusion_width=study.target.task.fusion_width if tuned.inputs else 0,
        also=_also_answers(development, tuned.scaling),
    )  # fmt: skip
    sha = save_model(folder, TrainedModel(card, tuned.encoder, tuned.head))
    record = {"parameters": count_trained(tuned.objective), "device": tuned.placement.name}
    write_aside(folder / "trained.json", json.dumps(record).encode())
    return result.model_copy(update={"sha256": sha})


def _also_answers(development: Development, scaling: Scaling) -> tuple[Answer, ...]:
    if not isinstance(scaling, SeveralScaling):
        return ()
    return tuple(
        Answer(target=targets.column, classes=targets.classes, mean=own.mean, std=own.std)
        for targets, own in zip(development.also, scaling.others, strict=True)
    )


def _refitted(
    study: Study,
    development: Development,
    source: SourceData | None,
    weights: dict[str, Tensor] | None,
    folder: Path,
    chosen: Fitted,
    device: str,
    progress: Progress | None,
) -> Finetuned:
    """Go through the epochs that made the chosen weights once more, on training and validation rows together."""
    everyone = replace(development, train=np.concatenate([development.train, development.validation]))
    place = folder / REFIT
    place.mkdir(exist_ok=True)
    return learn_target(
        study, everyone, source, weights, place, device=device, replay=chosen.kept_path, progress=progress
    )
