"""The loss of a study's first steps over the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch

from ctlr.methods.base import Objective
from ctlr.specs import FitSpec, PretrainSpec, Study
from ctlr.steps.assembly import Progress, development_of, finetuning_source, seed_for, source_of
from ctlr.steps.finetune import pretrained_weights, target_training
from ctlr.steps.keys import Arrays
from ctlr.steps.pretrain import pretrain, source_training
from ctlr.training.finetune import begin_stages
from ctlr.training.images import Labelled
from ctlr.training.lr_finder import RateCurve, SweepSpec, sweep
from ctlr.training.placement import Placement
from ctlr.training.stepping import Stepper
from ctlr.workspace import Workspace

__all__ = ["sweep_rates"]


def sweep_rates(
    study: Study,
    arrays: Arrays,
    workspace: Workspace,
    spec: SweepSpec,
    *,
    stage: Literal["finetune", "pretrain"] = "finetune",
    device: str = "cpu",
    pretraining: Progress | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RateCurve:
    """Train a study's stage at ever larger rates, from the weights that it begins with, and throw the result away.

    All layers that learn in one stage of the finetuning or another do so here together. A pretraining that the
    finetuning begins from is made first, and kept.

    Args:
        study: What is trained, and how.
        arrays: Stored arrays by the dataset's name.
        workspace: Where they lie, and where the pretraining goes.
        spec: Range and number of rates.
        stage: Which one; `pretrain` wants a method that does.
        device: cpu or cuda.
        pretraining: Told each epoch of a pretraining.
        progress: Told (steps done, steps).

    Raises:
        TrainingError: The loss is no finite number from the start.
        DataError, ConfigError: The data do not allow it.
    """
    torch.set_num_threads(study.compute.threads)
    if stage == "pretrain":
        return _source_sweep(study, arrays, workspace, spec, device, progress)
    needed = PretrainSpec.of(study)
    if needed is not None:
        pretrain(needed, arrays, workspace, device=device, progress=pretraining)
    development = development_of(study, arrays, workspace)
    source = finetuning_source(study, arrays, workspace, development)
    weights = pretrained_weights(study, arrays, workspace)
    ready = target_training(study, development, source, weights, device=device)
    seed = seed_for(study.seed, "finetune")
    return _sweep(ready.objective, ready.streams, study.method.finetune, seed, ready.placement, spec, progress)


def _source_sweep(
    study: Study,
    arrays: Arrays,
    workspace: Workspace,
    spec: SweepSpec,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> RateCurve:
    needed = PretrainSpec.of(study)
    assert needed is not None
    development = development_of(needed, arrays, workspace)
    source = source_of(needed, arrays, workspace, development)
    ready = source_training(needed, development, source, device=device)
    seed = seed_for(needed.seed, "pretrain")
    return _sweep(ready.objective, ready.streams, needed.fit, seed, ready.placement, spec, progress)


def _sweep(
    objective: Objective,
    streams: Mapping[str, Labelled],
    fitting: FitSpec,
    seed: int,
    placement: Placement,
    spec: SweepSpec,
    progress: Callable[[int, int], None] | None,
) -> RateCurve:
    begin_stages(objective, fitting)
    return sweep(Stepper(objective, streams, fitting, seed, placement), spec, seed=seed, progress=progress)
