"""FixMatch: what is surely seen in a weak view has to be seen in a strong one (Sohn et al. 2020, arXiv:2001.07685)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Parts, random_views
from ctlr.methods.consistency import SemiSupervised, SemiSupervisedSpec
from ctlr.methods.lazily import F, torch
from ctlr.specs import ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FixMatch", "FixMatchSpec", "confident_loss"]


class FixMatchSpec(SemiSupervisedSpec):
    """No pretraining: sure predictions for weak views are the labels of strong views (Sohn et al. 2020)."""

    method: Literal["fixmatch"] = "fixmatch"
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Probability from which a prediction counts as sure (tau)."""
    views: ViewsSpec = ViewsSpec(
        rotate=20, translate=0.12, scale=0.2, warp=0.02, brightness=0.3, contrast=0.3, cutout=0.5
    )
    """The strong views; the weak ones are `finetune.views`."""
    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)

    def finetune_objective(self, parts: Parts) -> FixMatch:
        """Over the labelled images and the pool."""
        return FixMatch(self, parts)


class FixMatch(SemiSupervised):
    """Cross-entropy of strong views against the classes that weak views are surely in."""

    def __init__(self, spec: FixMatchSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.threshold, self.strong = spec.threshold, spec.views

    def unlabelled_loss(self, pool: Batch, rng: torch.Generator) -> Tensor:
        """Scalar, in nats (the paper's eq. 4)."""
        both = torch.cat([random_views(pool.images, self.weak, rng), random_views(pool.images, self.strong, rng)])
        columns = None if pool.columns is None else pool.columns.repeat(2, 1)
        weak, strong = self.outputs(both, columns).chunk(2)  # together, so that batch norms see one batch
        return confident_loss(strong, weak, self.threshold)


def confident_loss(strong: Tensor, weak: Tensor, threshold: float) -> Tensor:
    """Cross-entropy of (B, K) strong outputs against the weak ones' classes; rows below the threshold count 0.

    Args:
        strong: Logits that learn.
        weak: Logits that no gradient flows into.
        threshold: Least probability of a weak row's class.
    """
    probability, guess = weak.detach().softmax(1).max(1)
    return (F.cross_entropy(strong, guess, reduction="none") * (probability >= threshold)).mean()
