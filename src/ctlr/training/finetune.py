"""Which part of a network moves, and the objective that a study trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ctlr.encoders import freeze_blocks
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Objective
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import FinetuneSpec
from ctlr.training.images import IN_MEMORY_BYTES, Labelled
from ctlr.training.placement import Placement

__all__ = ["Finetuning", "count_trained", "freeze", "prepare"]


@dataclass(frozen=True)
class Finetuning:
    """A supervised objective with the rows that it trains and validates on.

    Attributes:
        objective: Starts behind the blocks whose output `train` and `validation` already hold.
        train: Images, or features of the frozen blocks.
        validation: The same of the validation rows.
    """

    objective: Supervised
    train: Labelled
    validation: Labelled


def freeze(encoder: Encoder, spec: FinetuneSpec) -> int:
    """Freeze what the spec says; return the number of frozen blocks.

    Raises:
        ConfigError: More blocks are to be frozen than the encoder has.
    """
    count = len(encoder.blocks) if spec.linear_probe else spec.n_frozen
    freeze_blocks(encoder, count)
    return count


def prepare(
    encoder: Encoder,
    head: nn.Module,
    loss: TaskLoss,
    spec: FinetuneSpec,
    train: Labelled,
    validation: Labelled,
    placement: Placement,
) -> Finetuning:
    """Freeze the lower blocks; compute their features once where nothing random stands before them and they fit."""
    frozen = freeze(encoder, spec)
    placement.put(encoder)
    encoder.eval()

    def lower(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), placement.autocast():
            features: torch.Tensor = encoder(images, stop=frozen)
        return features.float()

    start = 0
    if frozen and spec.views is None and _fits(lower, train, validation):
        train, validation = train.map(lower), validation.map(lower)
        start = frozen
    return Finetuning(Supervised(encoder, head, loss, views=spec.views, start=start), train, validation)


def _fits(lower: Callable[[torch.Tensor], torch.Tensor], *sets: Labelled) -> bool:
    """Whether the features of all rows can be held in memory: early ones are larger than the images."""
    first = next(sets[0].images.batches([np.array([0])]))
    return lower(first).numel() * 4 * sum(len(rows) for rows in sets) <= IN_MEMORY_BYTES


def count_trained(objective: Objective) -> int:
    """Parameters that move."""
    return sum(parameter.numel() for parameter in objective.parameters() if parameter.requires_grad)
