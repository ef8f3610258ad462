"""What the source's network says of the target before anybody has labelled it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from ctlr.methods.supervised import SupervisedSpec
from ctlr.specs import FitSpec, MethodSpec

__all__ = ["UnchangedSpec"]


class UnchangedSpec(MethodSpec):
    """The network that learned the source's labels, applied to the target as it is: no target label is used."""

    method: Literal["unchanged"] = "unchanged"
    pretrain: FitSpec = FitSpec()
    """Of the source's network; where a `supervised` method has the same, it is trained once."""

    role: ClassVar[Literal["method", "baseline", "floor"]] = "baseline"
    trains_network: ClassVar[bool] = False
    needs_shared_task: ClassVar[bool] = True
    untuned: ClassVar[str] = "the source's model stands as it is"

    @property
    def reads_source(self) -> bool:
        """It is the source's model."""
        return True

    @classmethod
    def automatic(cls, peers: Sequence[MethodSpec]) -> Self | None:
        """That of the first method that learns the source's labels, which costs no training."""
        first = next((peer for peer in peers if isinstance(peer, SupervisedSpec)), None)
        return None if first is None else cls(label="unchanged", pretrain=first.pretrain)

    def pretrained_as(self) -> SupervisedSpec:
        """The method whose pretraining it is."""
        return SupervisedSpec(pretrain=self.pretrain)

    def following(self, leader: MethodSpec) -> Self:
        """With the pretraining that a search has found, where it was the same before."""
        return self.model_copy(update={"pretrain": leader.pretrain}) if isinstance(leader, SupervisedSpec) else self
