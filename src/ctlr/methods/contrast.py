"""What methods share that learn from unlabelled images before the target's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from ctlr.specs import MethodSpec, Pretraining

__all__ = ["ContrastSpec", "UnlabelledPretraining"]


class UnlabelledPretraining(MethodSpec):
    """Learn from unlabelled images, then finetune."""

    pretrains: ClassVar[bool] = True
    misleading: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("method.", "pretrain.batch_size", "pretrain.views"),
        "changes what the method's own loss measures, so that the losses of two trials cannot be compared",
    )
    if TYPE_CHECKING:  # a field of each method: declared here it would come first, and identities are made in order
        pool: Literal["source", "target", "both"]

    @property
    def pretraining(self) -> Pretraining:
        """The pool."""
        return Pretraining(self.pool)

    @property
    def needs_source(self) -> bool:
        """Where it sees the source's images alone."""
        return self.pool == "source"

    def without_source(self) -> Self:
        """The pool is then the target's alone."""
        return self.model_copy(update={"pool": "target"}) if self.pool == "both" else self


class ContrastSpec(UnlabelledPretraining):
    """Learn from random views of unlabelled images, then finetune."""

    needs_views: ClassVar[bool] = True
