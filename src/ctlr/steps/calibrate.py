"""What an image costs on this machine: a few real training steps on noise."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ctlr.cost import rate_key
from ctlr.encoders import build_encoder, build_head, projection_head
from ctlr.methods.base import Objective
from ctlr.methods.losses import TaskLoss
from ctlr.methods.pooled import Pooled
from ctlr.methods.simclr import SimCLR
from ctlr.methods.supervised import Supervised
from ctlr.methods.vat import VAT
from ctlr.plan import Plan
from ctlr.specs import (
    FitSpec,
    MeanSpec,
    PooledSpec,
    PretrainSpec,
    SelfferSpec,
    SimCLRSpec,
    Study,
    SupervisedSpec,
    VATSpec,
)
from ctlr.training.finetune import freeze
from ctlr.training.fit import fit
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import place

__all__ = ["measure"]

STEPS = 3
"""Timed steps a stage, after an epoch of as many that warms caches up."""


def measure(plan: Plan, device: str = "cpu") -> dict[str, float]:
    """Seconds an image by `rate_key`, for every kind of stage in a plan.

    Frozen blocks are run anew for every image here, though a study computes them once: an upper bound.
    """
    rates: dict[str, float] = {}
    specs: list[Study | PretrainSpec] = [*plan.pretrainings, *plan.studies]
    for spec in specs:
        if isinstance(spec.method, MeanSpec):
            continue
        stage: Literal["pretrain", "finetune"] = "pretrain" if isinstance(spec, PretrainSpec) else "finetune"
        key = rate_key(stage, spec.target.data, spec.method, spec.encoder)
        if key not in rates:
            rates[key] = _seconds_per_image(spec, device)
    return rates


def _seconds_per_image(spec: Study | PretrainSpec, device: str) -> float:
    options = spec.target.data.preprocess
    torch.set_num_threads(spec.compute.threads)
    encoder = build_encoder(spec.encoder, channels=options.channels, ndim=len(options.shape), seed=0)
    placement = place(encoder, spec.compute, device, len(options.shape))
    head = build_head(encoder.width, 1, dropout=0.0, seed=0)
    stage: FitSpec = spec.method.finetune
    objective: Objective
    if isinstance(spec, PretrainSpec) and isinstance(spec.method, SupervisedSpec | SelfferSpec):
        stage = spec.method.pretrain
        objective = Supervised(encoder, head, TaskLoss(classes=0), views=stage.views)
    elif isinstance(spec, PretrainSpec):
        assert isinstance(spec.method, SimCLRSpec)
        stage = spec.method.pretrain
        objective = SimCLR(encoder, projection_head(encoder.width, spec.method.projection, seed=0), spec.method)
    elif isinstance(spec.method, VATSpec):
        objective = VAT(encoder, head, TaskLoss(classes=0), spec.method)
    elif isinstance(spec.method, PooledSpec):
        loss = TaskLoss(classes=0)
        objective = Pooled(encoder, head, loss, spec.method, source_head=None, source_loss=loss)
    else:
        freeze(encoder, spec.method.finetune)
        objective = Supervised(encoder, head, TaskLoss(classes=0), views=stage.views)
    short = stage.model_copy(update={"epochs": 2, "steps_per_epoch": STEPS, "patience": None})
    rows = max(stage.batch_size, max(objective.batch_sizes.values(), default=0))
    noise = np.random.default_rng(0).standard_normal((rows, options.channels, *options.shape), dtype=np.float32)
    labelled = Labelled(
        Images.of(torch.from_numpy(noise), placement.device), torch.zeros(rows, device=placement.device)
    )
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            objective, dict.fromkeys(objective.streams, labelled), spec=short, seed=0, placement=placement,
            folder=Path(folder),
        )  # fmt: skip
    return fitted.history[-1]["seconds"] / (fitted.samples / 2)
