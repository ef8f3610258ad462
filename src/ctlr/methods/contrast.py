"""What methods share that learn from unlabelled images before the target's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from ctlr.specs import MethodSpec, Pretraining

__all__ = ["ContrastSpec"]

_MISLEADS = "changes what the {} loss measures, so that the losses of two trials cannot be compared"


class ContrastSpec(MethodSpec):
    """Learn from random views of unlabelled images, then finetune."""

    pretrains: ClassVar[bool] = True
    needs_views: ClassVar[bool] = True
    misleading: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("method.temperature", "method.pool", "pretrain.batch_size", "pretrain.views"), _MISLEADS.format("contrastive")
    )
    if TYPE_CHECKING:  # a field of each method: declared here it would come first, and identities are made in order
        pool: Literal["source", "target", "both"]

    @property
    def pretraining(self) -> Pretraining:
        """The pool."""
        return Pretraining(self.pool)

    @property
    def needs_source(self) -> bool:
        """Where it contrasts the source's images alone."""
        return self.pool == "source"

    def without_source(self) -> Self:
        """The pool is then the target's alone."""
        return self.model_copy(update={"pool": "target"}) if self.pool == "both" else self
