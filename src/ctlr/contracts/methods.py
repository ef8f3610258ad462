"""What a method promises: options that are read back, and objectives that the one training loop can minimise."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ctlr.contracts._given import SHAPES, GivenParts, parts_to_try
from ctlr.methods.base import Batch, Objective
from ctlr.specs import METHODS, FitSpec, MethodSpec, Pretraining

__all__ = ["ONCE", "PROMISES", "Case", "batches", "cases_of", "objectives_of", "tried", "with_views"]


@dataclass(frozen=True)
class Case:
    """A method in one setting.

    Attributes:
        name: Of the method.
        classes: Of the target task; 0 for a regression.
        ndim: Sides of an image.
        encoder: That learns; by default a small one.
    """

    name: str
    classes: int
    ndim: int
    encoder: str = ""

    @property
    def spec(self) -> MethodSpec:
        """The method with its defaults, its images seen through views."""
        return with_views(METHODS[self.name])

    def objectives(self) -> Iterator[tuple[str, Objective]]:
        """Made anew, by stage."""
        for stage in objectives_of(self.name):
            spec, parts = self.spec, self._parts()
            yield stage, spec.pretrain_objective(parts) if stage == "pretraining" else spec.finetune_objective(parts)

    def _parts(self) -> GivenParts:
        return parts_to_try(self.classes, self.ndim, source_classes=2, encoder_name=self.encoder)

    def batches(self) -> dict[str, Batch]:
        """Six images of each kind, some of which have no label."""
        return batches(self.classes, self.ndim)


def cases_of(name: str, folder: Path) -> Iterator[Case]:
    """Pictures first, volumes, signals and points; each task that it can learn."""
    for classes in (0, 3):
        if ("classification" if classes else "regression") in METHODS[name].task_kinds:
            yield from (Case(name, classes, ndim) for ndim in (2, 3, 1, 0))


def with_views(kind: type[MethodSpec]) -> MethodSpec:
    """A method with its defaults, its images seen through views."""
    return tried(kind, {name: {"views": {}} for name in ("pretrain", "finetune") if name in kind.model_fields})


def tried(kind: type[MethodSpec], options: Mapping[str, Any] | None = None) -> MethodSpec:
    """A method with its defaults, and what it cannot do without."""
    return kind.model_validate_json(json.dumps(dict(kind.example) | dict(options or {})))


def objectives_of(name: str) -> list[str]:
    """Stages for which it has an objective of its own."""
    kind = METHODS[name]
    pretrains = with_views(kind).pretraining is not None
    return ["pretraining"] * pretrains + ["finetuning"] * kind.reads_pool_while_finetuning


def batches(classes: int, ndim: int) -> dict[str, Batch]:
    """Six images of each kind, some of which have no label."""
    rng = torch.Generator().manual_seed(1)
    images = torch.randn(6, *SHAPES[ndim], generator=rng)
    target = torch.tensor([0, 1, 2, 0, 1, -1]) if classes else torch.tensor([0.5, -1, 1, 0, 2, math.nan])
    others = Batch(images + 1, torch.tensor([0, -1, 1, 0, -1, 1]))
    return {"labelled": Batch(images, target), "pool": others, "source": others, "task0": others, "task1": others}


# ---------------------------------------------------------------- promises


def options_are_read_back(case: Case) -> None:
    """Its options are written as JSON and read back to the same."""
    spec = tried(METHODS[case.name])
    again = METHODS[case.name].model_validate_json(spec.model_dump_json())
    assert again == spec, "its defaults come back changed. Let each field hold plain data."
    assert again.identity() == spec.identity(), "its identity comes back changed."
    assert json.loads(spec.model_dump_json())["method"] == case.name, f"its `method` must be {case.name!r}."


def statements_fit_together(case: Case) -> None:
    """What it says of itself fits together."""
    kind, spec = METHODS[case.name], case.spec
    learned = spec.pretraining
    assert learned is None or isinstance(learned, Pretraining), "`pretraining` must be a `Pretraining`, or None."
    if learned is not None and kind.pretrains:
        stage = getattr(spec, "pretrain", None)
        assert isinstance(stage, FitSpec), "it pretrains: give it a field `pretrain: FitSpec = FitSpec()`."
    if kind.needs_views and learned is not None:
        assert tried(kind).views_by_stage["pretrain"] is not None, (
            "it needs views: let them be a default, `pretrain: FitSpec = FitSpec(views=ViewsSpec())`."
        )
    if learned is not None and learned.images == "source":
        assert spec.needs_source, "it learns the source's images alone: `needs_source` must be true."
    alone = spec.without_source()
    assert isinstance(alone, MethodSpec), "`without_source` must return the method."
    for option in kind.misleading:
        first = option.split(".")[0]
        assert first in ("method", "pretrain", "finetune", "encoder"), f"`misleading` names {option!r}: no such option."


def loss_is_a_finite_scalar_that_moves_the_encoder(case: Case) -> None:
    """Its loss is a finite scalar, and moves every weight of the encoder."""
    for stage, objective in case.objectives():
        loss = objective(case.batches(), torch.Generator().manual_seed(0))
        assert isinstance(loss, torch.Tensor), f"the loss of its {stage} must be a tensor; it is {type(loss).__name__}."
        assert loss.shape == (), f"the loss of its {stage} must be a scalar; its shape is {tuple(loss.shape)}."
        assert torch.isfinite(loss), f"the loss of its {stage} must be finite; it is {loss.item()}."
        assert loss.requires_grad, f"the loss of its {stage} depends on no weight: was it computed under no_grad?"
        loss.backward()  # type: ignore[no-untyped-call]
        for name, weight in objective.encoder.named_parameters():
            assert weight.grad is not None, f"its {stage} teaches the encoder's {name} nothing."
            assert torch.isfinite(weight.grad).all(), f"its {stage} gives the encoder's {name} a gradient of NaN."


def random_numbers_come_from_the_generator(case: Case) -> None:
    """Every random number comes from `rng`: one seed, one loss."""

    def losses(seed: int) -> list[torch.Tensor]:
        return [
            objective(case.batches(), torch.Generator().manual_seed(seed)).detach()
            for _, objective in case.objectives()
        ]

    before = torch.get_rng_state()
    first, again = losses(0), losses(0)
    assert torch.equal(torch.get_rng_state(), before), (
        "it draws from torch's own random state: a run that goes on from its last epoch would draw others. Take `rng`."
    )
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other), (
            f"the same seed gave {one.item():g}, and then {other.item():g}. Draw from `rng`."
        )


def takes_the_batches_that_it_names(case: Case) -> None:
    """It takes the batches named in `streams`, and no other."""

    class Watched(dict[str, Batch]):
        def __init__(self, values: Mapping[str, Batch]) -> None:
            super().__init__(values)
            self.read: set[str] = set()

        def __getitem__(self, key: str) -> Batch:
            self.read.add(key)
            return super().__getitem__(key)

    for stage, objective in case.objectives():
        watched = Watched(case.batches())
        objective(watched, torch.Generator().manual_seed(0))
        assert watched.read == set(objective.streams), (
            f"`streams` of its {stage} must be what a call reads: {sorted(watched.read)}; it is {objective.streams}."
        )


def networks_are_attributes(case: Case) -> None:
    """All that learns is an attribute, and a step can follow a step."""
    for stage, objective in case.objectives():
        names = [name for name, _ in objective.networks.named_parameters()]
        assert any(name.startswith("encoder.") for name in names), f"its {stage} must keep `self.encoder`."
        weights = list(objective.networks.parameters())
        optimiser = torch.optim.SGD(weights, lr=1e-3)
        for step in range(2):
            objective.step, objective.done = step, step / 2
            optimiser.zero_grad()
            loss = objective(case.batches(), torch.Generator().manual_seed(step))
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            objective.after_step()
            assert torch.isfinite(loss), (
                f"the loss of its {stage} must stay finite; in step {step} it is {loss.item()}."
            )


def columns_reach_the_head(case: Case) -> None:
    """Where a task reads columns beside the image, its finetuning hands them to the head with every batch."""
    if not METHODS[case.name].reads_pool_while_finetuning:
        return
    parts = parts_to_try(case.classes, case.ndim, source_classes=2, encoder_name=case.encoder, columns=3)
    objective = case.spec.finetune_objective(parts)
    columns = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    given = case.batches()
    given |= {name: replace(given[name], columns=columns) for name in ("labelled", "pool")}
    objective(given, torch.Generator().manual_seed(0)).backward()  # type: ignore[no-untyped-call]
    for name, weight in parts.head.named_parameters():
        assert weight.grad is not None, f"its finetuning teaches the head's {name} nothing."


PROMISES = (
    options_are_read_back,
    statements_fit_together,
    loss_is_a_finite_scalar_that_moves_the_encoder,
    random_numbers_come_from_the_generator,
    takes_the_batches_that_it_names,
    networks_are_attributes,
    columns_reach_the_head,
)
ONCE = tuple(promise for promise in PROMISES if promise is not loss_is_a_finite_scalar_that_moves_the_encoder)
"""Those that are tried in one setting alone: the others show nothing new, and take their time."""
