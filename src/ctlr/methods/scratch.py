"""Training from scratch, which every gain is measured against."""

from __future__ import annotations

from typing import Literal

from ctlr.specs import MethodSpec

__all__ = ["ScratchSpec"]


class ScratchSpec(MethodSpec):
    """The same encoder from random weights: the baseline of every gain."""

    method: Literal["scratch"] = "scratch"
