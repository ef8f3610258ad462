"""Learning to initialise: weights from which every task of the source is a few steps away.

Reptile (Nichol et al. 2018, arXiv:1803.02999) and first-order MAML (Finn et al. 2017, arXiv:1703.03400, section 5.2).
A task is a column of the source's table. Each step adapts a copy of the network to one of them, drawn at random, by
plain gradient descent on parts of a batch; its last part is what the adapted copy is judged by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.methods.base import Batch, Objective, Parts, random_views
from ctlr.methods.lazily import torch
from ctlr.specs import FitSpec, MethodSpec, Pretraining

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctlr.methods.losses import TaskLoss

__all__ = ["MAMLSpec", "Meta", "ReptileSpec"]

Weights = dict[str, "Tensor"]


class _MetaSpec(MethodSpec):
    columns: Annotated[dict[str, Literal["classification", "regression"]], Field(min_length=1)]
    """Columns of the source's table that are learned beside its task, and what each asks for."""
    inner_lr: Annotated[float, Field(gt=0)] = 1e-2
    """Rate of the steps that adapt a copy to one task."""
    inner_steps: Annotated[int, Field(ge=1, le=100)] = 3
    """How many of them; the batch is cut into one part more."""
    pretrains: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"columns": {"sex": "classification"}}
    misleading: ClassVar[Mapping[str, str]] = {"method.": "changes what the loss after adaptation measures"}

    @model_validator(mode="after")
    def _parts_hold_images(self) -> Self:
        least, got = 2 * (self.inner_steps + 1), self.stage("pretrain").batch_size
        if got < least:
            raise ValueError(f"{self.inner_steps} `inner_steps` need a `pretrain.batch_size` of {least}; got {got}")
        return self

    @property
    def pretraining(self) -> Pretraining:
        """The source's images, with the columns of its table."""
        return Pretraining("source")

    @property
    def source_columns(self) -> Mapping[str, Literal["classification", "regression"]]:
        """Those that are named."""
        return self.columns

    def pretrain_objective(self, parts: Parts) -> Meta:
        """Over the source's columns."""
        return Meta(self, parts)

    if TYPE_CHECKING:  # a field of both
        pretrain: FitSpec


class ReptileSpec(_MetaSpec):
    """Pretrain weights near to what each of the source's tasks would learn (Nichol et al. 2018), then finetune."""

    method: Literal["reptile"] = "reptile"
    pretrain: FitSpec = FitSpec(batch_size=32)


class MAMLSpec(_MetaSpec):
    """Pretrain weights from which a few steps learn each of the source's tasks (Finn et al. 2017), then finetune."""

    method: Literal["maml"] = "maml"
    pretrain: FitSpec = FitSpec(batch_size=32)


class Meta(Objective):
    """Loss of an adapted copy on images that it was not adapted to; its gradient moves the weights it began from.

    MAML's is the gradient at the adapted weights, taken for that at the first ones; Reptile's is the way that the
    weights went, after a step on the last part too.
    """

    def __init__(self, spec: _MetaSpec, parts: Parts) -> None:
        self.encoder = parts.encoder
        self.spec = spec
        self.reptile = isinstance(spec, ReptileSpec)
        tasks = {f"task{number}": task for number, task in enumerate(parts.source_tasks(spec.columns))}
        self.streams = tuple(tasks)  # type: ignore[misc]
        self.rows = {name: task.rows for name, task in tasks.items()}
        self.losses = {name: task.loss for name, task in tasks.items()}
        self.heads = torch.nn.ModuleDict({name: task.head for name, task in tasks.items() if task.head is not None})

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Loss of one task, drawn at random."""
        name = self.streams[int(torch.randint(len(self.streams), (), generator=rng))]
        batch, head, loss = {each: batches[each] for each in self.streams}[name], self.heads[name], self.losses[name]
        assert batch.target is not None
        images = random_views(batch.images, self.spec.pretrain.views, rng)
        parts = self.spec.inner_steps + 1
        chunks = list(zip(images.tensor_split(parts), batch.target.tensor_split(parts), strict=True))
        began = {**dict(self.encoder.named_parameters(prefix="encoder")), **dict(head.named_parameters(prefix="head"))}
        weights = {key: each.detach().clone() for key, each in began.items()}
        for support in chunks[:-1]:
            gradients = self._gradients(weights, head, loss, support)[1]
            weights = {key: each - self.spec.inner_lr * gradients[key] for key, each in weights.items()}
        cost, gradients = self._gradients(weights, head, loss, chunks[-1])
        if self.reptile:
            gradients = {
                key: each.detach() - (weights[key] - self.spec.inner_lr * gradients[key]) for key, each in began.items()
            }
        # A sum whose gradient is the one that is wanted, and whose value is the loss.
        pull = torch.stack([(each * gradients[key]).sum() for key, each in began.items()]).sum()
        return cost + pull - pull.detach()

    def _gradients(
        self, weights: Weights, head: nn.Module, loss: TaskLoss, chunk: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Weights]:
        """Loss of (images, target) at some weights, and its gradients there."""
        moving = {key: each.detach().requires_grad_() for key, each in weights.items()}
        own = {part: {k.removeprefix(f"{part}."): w for k, w in moving.items() if k.startswith(f"{part}.")}
               for part in ("encoder", "head")}  # fmt: skip
        features = torch.func.functional_call(self.encoder, own["encoder"], (chunk[0],))
        with torch.autocast(chunk[0].device.type, enabled=False):
            cost = loss(torch.func.functional_call(head, own["head"], (features.float(),)), chunk[1])
        found = torch.autograd.grad(cost, list(moving.values()))
        return cost.detach(), dict(zip(moving, found, strict=True))
