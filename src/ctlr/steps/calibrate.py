"""What an image costs on this machine: a few real steps on noise, and a few images preprocessed."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from ctlr import shallow
from ctlr.cost import Size, fitted_images, known_sizes, planned_images, rate_key, watched_images
from ctlr.data.listing import Listing
from ctlr.data.preprocess import preprocess_some
from ctlr.encoders import build_encoder, build_head, patch_decoder, projection_head
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Objective, Pool, Task, predict_outputs
from ctlr.methods.losses import TaskLoss
from ctlr.plan import Plan
from ctlr.shallow.sample import in_memory
from ctlr.specs import PretrainSpec, Study, finetune_stages
from ctlr.training.finetune import prepare
from ctlr.training.fit import fit
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import Placement, place

__all__ = ["measure", "measure_preprocessing"]

STEPS = 3
"""Timed steps of a stage. There are as many before, which warm caches up."""
IMAGES = 6
"""Timed images of a dataset, after one."""
FITTED = 200
"""Images to which a model without a network is fitted at the most; what more of them take is told from half as many."""
NUMBERS = 2**24
"""Pixels or voxels of all images that it is fitted to."""


@dataclass(frozen=True)
class _Timing:
    """Seconds of a stage's parts.

    Attributes:
        image: One image through the loss, forwards and backwards, and its share of the step.
        forward: One image predicted.
        epoch: What an epoch takes besides: its checkpoint.
        start: What a step takes once: building, and features of frozen blocks.
    """

    image: float
    forward: float
    epoch: float
    start: float


def measure(plan: Plan, sizes: Mapping[str, Size], device: str = "cpu") -> dict[str, float]:
    """Seconds an image by `rate_key`, for every kind of stage in a plan.

    Validation, checkpoints and the prediction of the test set are part of what an image through the loss costs, as they
    are in the rates that a run leaves (`ctlr.engine.note_rates`); reading and scoring are not timed.

    Args:
        plan: What is to be done.
        sizes: By dataset; those whose specs say them are known without.
        device: cpu or cuda.
    """
    sizes = known_sizes(plan) | dict(sizes)
    groups: dict[str, list[Study | PretrainSpec]] = {}
    every: list[Study | PretrainSpec] = [*plan.pretrainings, *plan.studies]
    for spec in every:
        if spec.method.trains_network:
            key = rate_key(spec.stage_name, spec.target.data, spec.method, spec.encoder)
            groups.setdefault(key, []).append(spec)
    for specs in list(groups.values())[:1]:
        _time(specs[0], device)  # loads kernels and tests them, once a process
    rates = {key: _rate(specs, _time(specs[0], device), sizes) for key, specs in groups.items()}
    return rates | _fit_rates(plan.studies, sizes)


def _fit_rates(studies: Sequence[Study], sizes: Mapping[str, Size]) -> dict[str, float]:
    """Seconds an image of models without a network, by `rate_key`; none of those that read more than images."""
    groups: dict[str, list[Study]] = {}
    for study in studies:
        method = study.method
        if method.shallow and not (method.needs_inputs or method.reads_source or method.reads_frozen_encoder):
            groups.setdefault(rate_key("fit", study.target.data, method), []).append(study)
    rates = {}
    for key, group in groups.items():
        counts = [count for study in group if (count := fitted_images(study, sizes))]
        if counts:
            seconds_of = _fit_seconds(group[0], max(counts), sizes)
            twice = 2 if group[0].method.refits else 1
            rates[key] = twice * sum(map(seconds_of, counts)) / sum(counts)
    return rates


def _fit_seconds(study: Study, most: int, sizes: Mapping[str, Size]) -> Callable[[int], float]:
    """Seconds of fitting a model to so many images: timed on noise, and beyond what was timed as its power goes on."""
    shape, task, size = study.target.data.stored_shape, study.target.task, sizes.get(study.target.data.name)
    known = size.classes.get(task.name, 0) if size is not None else 0
    classes = (known or len(task.classes or ()) or 2) if task.kind == "classification" else 0
    timed = max(2 * max(classes, 2), min(most, FITTED, NUMBERS // math.prod(shape)))
    rng = np.random.default_rng(0)
    images = rng.standard_normal((timed, *shape), dtype=np.float32)
    values = np.arange(timed) % classes if classes else rng.standard_normal(timed)

    def seconds(count: int) -> float:
        sample = in_memory(images[:count], values[:count], classes)
        began = time.perf_counter()
        with threadpool_limits(study.compute.threads):
            shallow.fit(study.method, sample)
        return time.perf_counter() - began

    half = timed // 2
    seconds(half)  # loads what is needed
    few, many = seconds(half), seconds(timed)
    power = min(max(math.log(many / few, 2), 1.0), 3.0)
    return lambda count: many * (count / timed) ** (power if count > timed else 1.0)


def _rate(specs: Sequence[Study | PretrainSpec], timing: _Timing, sizes: Mapping[str, Size]) -> float:
    """Seconds an image of all steps together."""
    seconds, total = 0.0, 0
    for spec in specs:
        images = planned_images(spec, sizes)
        if images is None:
            return timing.image
        each_epoch, at_end = watched_images(spec, sizes)
        epochs = spec.fit.epochs
        seconds += timing.start + images * timing.image + epochs * timing.epoch
        seconds += (epochs * each_epoch + at_end) * timing.forward
        total += images
    return seconds / max(1, total)


def _time(spec: Study | PretrainSpec, device: str) -> _Timing:
    shape = spec.target.data.stored_shape
    torch.set_num_threads(spec.compute.threads)
    began = time.perf_counter()
    encoder = build_encoder(spec.encoder, channels=shape[0], ndim=len(shape) - 1, seed=0)
    placement = place(encoder, spec.compute, device, shape)
    head = build_head(encoder.width, 1, dropout=0.0, seed=0)
    stage = spec.fit
    rows = max(stage.batch_size, spec.method.images_beside if stage.finetuning else 0)
    noise = np.random.default_rng(0).standard_normal((rows, *shape), dtype=np.float32)
    labelled = Labelled(
        Images.of(torch.from_numpy(noise), placement.device), torch.zeros(rows, device=placement.device)
    )
    objective, labelled = _objective(spec, encoder, head, labelled, placement)
    lengths, one_each = [stage.epochs], {}
    if stage.finetuning is not None:
        lengths = [part.epochs for part in finetune_stages(stage.finetuning, len(objective.encoder.blocks))]
        one_each = {"stage_epochs": 1}
    epochs = len(lengths) + 1
    short = stage.model_copy(update={"epochs": epochs, "steps_per_epoch": STEPS, "patience": None} | one_each)
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            objective, dict.fromkeys(objective.streams, labelled), spec=short, seed=0, placement=placement,
            folder=Path(folder),
        )  # fmt: skip
    besides = time.perf_counter() - began - fitted.seconds
    seconds = [row["seconds"] for row in fitted.history]
    del seconds[-2]  # an epoch more of the last stage or the only one, before that which counts
    return _Timing(
        image=float(np.average(seconds, weights=lengths)) / (fitted.samples / epochs),
        forward=_forward(encoder, head, noise, placement),
        epoch=besides / (2 * epochs),  # a checkpoint of two files an epoch, and the building, about as much
        start=besides / 2,
    )


def _objective(
    spec: Study | PretrainSpec, encoder: Encoder, head: nn.Module, rows: Labelled, placement: Placement
) -> tuple[Objective, Labelled]:
    """What a step trains, and what it trains on: features where frozen blocks are passed once."""
    parts = _NoiseParts(encoder, head, TaskLoss(classes=0), rows, spec.target.data.stored_shape)
    if spec.stage_name == "pretrain":
        return spec.method.pretrain_objective(parts), rows
    if spec.method.reads_pool_while_finetuning:
        return spec.method.finetune_objective(parts), rows
    prepared = prepare(encoder, head, parts.loss, spec.method.finetune, rows, rows, placement)
    return prepared.objective, prepared.train


@dataclass(frozen=True)
class _NoiseParts:
    """`ctlr.methods.base.Parts` whose rows are all the same noise."""

    encoder: Encoder
    head: nn.Module
    loss: TaskLoss
    rows: Labelled
    shape: tuple[int, ...]

    def projection(self, outputs: int, purpose: str = "projection", inputs: int | None = None) -> nn.Module:
        """A projection head."""
        return projection_head(inputs or self.encoder.width, outputs, seed=0, hidden=self.encoder.width)

    def decoder(self) -> nn.Module:
        """A linear decoder of patches."""
        return patch_decoder(self.encoder, self.shape, seed=0)

    def pool(self, images: Pool = "both") -> Labelled:
        """The noise."""
        return self.rows

    def pool_with_source_labels(self, images: Pool = "both") -> None:
        """None: a head beside costs next to nothing."""

    def source_task(self) -> Task:
        """The noise, learned by the target's head."""
        return Task(self.rows, None, self.loss)

    def source_tasks(self, columns: Mapping[str, str]) -> list[Task]:
        """The noise, as often as there are tasks."""
        return [Task(self.rows, build_head(self.encoder.width, 1, dropout=0.0, seed=0), self.loss)] * (1 + len(columns))


def _forward(encoder: Encoder, head: nn.Module, noise: npt.NDArray[np.float32], placement: Placement) -> float:
    """Seconds to predict one image."""
    images = torch.from_numpy(noise).to(placement.device)
    with torch.inference_mode(), placement.autocast():
        predict_outputs(encoder, head, images)
        began = time.perf_counter()
        predict_outputs(encoder, head, images)
        if placement.device.type == "cuda":
            torch.cuda.synchronize(placement.device)
    return (time.perf_counter() - began) / len(noise)


def measure_preprocessing(plan: Plan, listings: Mapping[str, Listing]) -> dict[str, float]:
    """Seconds an image by `rate_key` of preprocessing, growing included, from a few images of each dataset.

    Args:
        plan: Whose datasets.
        listings: Of folders; a published set is left out, since it is read as a whole.
    """
    rates = {}
    for data in plan.datasets:
        preprocess_some(data, listings.get(data.name), 1)  # loads what is needed
        began = time.perf_counter()
        if count := preprocess_some(data, listings.get(data.name), IMAGES):
            rates[rate_key("preprocess", data)] = (time.perf_counter() - began) / count
    return rates
