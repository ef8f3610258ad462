"""Pseudo-label: take one's own best guess for the truth (Lee 2013, ICML workshop on representation learning)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.methods.base import Batch, Parts, random_views
from ctlr.methods.consistency import SemiSupervised, SemiSupervisedSpec
from ctlr.methods.lazily import F

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["PseudoLabel", "PseudoLabelSpec"]


class PseudoLabelSpec(SemiSupervisedSpec):
    """No pretraining: the class that is guessed for an unlabelled image counts as its label (Lee 2013)."""

    method: Literal["pseudo_label"] = "pseudo_label"
    begin: Annotated[float, Field(ge=0, le=1)] = 1 / 6
    """Share of the training before which guesses do not count (T1 of the paper's eq. 16: 100 of 600 epochs)."""
    end: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the training at which they have their full weight, having risen evenly (T2)."""
    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.begin >= self.end:
            raise ValueError(f"`begin` must lie before `end`; got {self.begin:g} and {self.end:g}")
        return self

    def finetune_objective(self, parts: Parts) -> PseudoLabel:
        """Over the labelled images and the pool."""
        return PseudoLabel(self, parts)


class PseudoLabel(SemiSupervised):
    """Cross-entropy of the guessed classes."""

    def __init__(self, spec: PseudoLabelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.begin, self.end = spec.begin, spec.end

    def unlabelled_loss(self, pool: Batch, rng: torch.Generator) -> Tensor:
        """Scalar, in nats."""
        outputs = self.outputs(random_views(pool.images, self.weak, rng), pool.columns)
        rise = min(1.0, max(0.0, (self.done - self.begin) / (self.end - self.begin)))
        return rise * F.cross_entropy(outputs, outputs.detach().argmax(1))
