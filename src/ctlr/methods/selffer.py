"""The control of a layer transfer: the target learned twice (Yosinski et al. 2014, arXiv:1411.1792, section 2)."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctlr.methods.supervised import LabelledPretraining
from ctlr.specs import FitSpec, Pretraining

__all__ = ["SelfferSpec"]


class SelfferSpec(LabelledPretraining):
    """Learn the target twice: copy blocks of the first network into a second one (selffer, Yosinski et al. 2014)."""

    method: Literal["selffer"] = "selffer"
    pretrain: FitSpec = FitSpec()
    """Of the first network, on the study's own labelled training subjects."""
    layer_origin: ClassVar[Literal["A", "B", ""]] = "B"
    control: ClassVar[str] = "a selffer is the control of another method at equal options, so it is not searched"

    @property
    def pretraining(self) -> Pretraining:
        """The study's own labels."""
        return Pretraining("target", labels="target")
