"""Which part of a network moves, what holds it back, and the objective that a study trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ctlr.encoders import freeze_blocks
from ctlr.encoders.base import Encoder, train_blocks
from ctlr.errors import ConfigError
from ctlr.methods.base import Objective
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import FinetuneSpec, FinetuneStage, FitSpec, epochs_needed, finetune_stages
from ctlr.training.images import IN_MEMORY_BYTES, Labelled
from ctlr.training.placement import Placement

__all__ = [
    "L2SP",
    "Finetuning",
    "begin_stages",
    "count_trained",
    "every_group",
    "freeze",
    "l2_sp",
    "prepare",
    "train_groups",
]


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
    """Freeze what never moves, and the batch-norm statistics if the spec says so; return the number of frozen blocks.

    Raises:
        ConfigError: More blocks are to be frozen than the encoder has.
    """
    count = len(encoder.blocks) if spec.strategy == "linear_probe" else spec.n_frozen
    encoder.keeps_statistics = spec.norm_statistics == "frozen"
    freeze_blocks(encoder, count)
    return count


def begin_stages(objective: Objective, spec: FitSpec) -> tuple[FinetuneStage, ...]:
    """The stages of a training, one where it is no finetuning; every layer group that ever learns requires gradients.

    Raises:
        ConfigError: There are not enough epochs for one in each stage, or fewer blocks than frozen ones.
    """
    n_blocks = len(objective.encoder.blocks)
    if spec.finetuning is None:
        return (FinetuneStage(tuple(range(n_blocks + 1)), spec.epochs, True),)
    spec = spec.finetuning
    freeze(objective.encoder, spec)
    needed = epochs_needed(spec, n_blocks)
    if spec.epochs < needed:
        raise ConfigError(
            f"`epochs` must be {needed} or more, for the stages of `strategy: {spec.strategy}` on this encoder; "
            f"got {spec.epochs}. Raise it, or set another `strategy` or `stage_epochs`."
        )
    stages = finetune_stages(spec, n_blocks)
    train_groups(objective, every_group(stages))
    return stages


def every_group(stages: Iterable[FinetuneStage]) -> set[int]:
    """Layer groups that learn in one stage or another."""
    return {group for stage in stages for group in stage.groups}


def train_groups(objective: Objective, groups: Iterable[int]) -> None:
    """Let some layer groups learn, and no others; no gradient is computed below the lowest of them.

    Args:
        objective: Changed in place.
        groups: Blocks of the encoder by index; their number stands for the head, with all that is not in a block.

    Raises:
        ConfigError: There is no such group.
    """
    learning = set(groups)
    head = len(objective.encoder.blocks)
    inside = {parameter for block in objective.encoder.blocks for parameter in block.parameters()}
    for parameter in objective.networks.parameters():
        if parameter not in inside:
            parameter.requires_grad_(head in learning)
    train_blocks(objective.encoder, learning - {head})


@dataclass(frozen=True)
class L2SP:
    """Pulls weights to w0 by the gradient of alpha / 2 ||w - w0||^2 (Li et al. 2018, arXiv:1802.01483, eq. 2).

    Attributes:
        alpha: Strength.
        weights: That are pulled.
        start: w0 of each.
    """

    alpha: float
    weights: tuple[nn.Parameter, ...]
    start: tuple[Tensor, ...]

    def pull(self) -> None:
        """Add to the gradients of those weights that have one."""
        moving = [(w, w0, w.grad) for w, w0 in zip(self.weights, self.start, strict=True) if w.grad is not None]
        if moving:
            weights, starts, gradients = map(list, zip(*moving, strict=True))
            torch._foreach_add_(gradients, torch._foreach_sub(weights, starts), alpha=self.alpha)


def l2_sp(encoder: Encoder, spec: FitSpec, pretrained: Mapping[str, Tensor] | None) -> L2SP | None:
    """The pull of a finetuning on its encoder; None where there is none.

    Only what weight decay would shrink is pulled, and only blocks that were copied have anywhere to be pulled to.

    Args:
        encoder: As it starts.
        spec: Strength, and the number of copied blocks.
        pretrained: Weights by their name in the encoder; None: those that it has.
    """
    finetuning = spec.finetuning
    if finetuning is None or not finetuning.l2_sp:
        return None
    copied = {
        f"blocks.{number}.{name}": parameter
        for number, block in enumerate(encoder.blocks[: finetuning.n_copied])
        for name, parameter in block.named_parameters()
        if parameter.ndim > 1 and number >= finetuning.n_frozen
    }
    start = [(parameter if pretrained is None else pretrained[name]).detach() for name, parameter in copied.items()]
    held = [torch.empty_like(w).copy_(w0) for w, w0 in zip(copied.values(), start, strict=True)]
    return L2SP(finetuning.l2_sp, tuple(copied.values()), tuple(w.detach() for w in held))


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
    return sum(parameter.numel() for parameter in objective.networks.parameters() if parameter.requires_grad)
