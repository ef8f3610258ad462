"""Training from scratch, which every gain is measured against."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctlr.specs import MethodSpec

__all__ = ["ScratchSpec"]


class ScratchSpec(MethodSpec):
    """The same encoder from random weights: the baseline of every gain."""

    method: Literal["scratch"] = "scratch"
    encoder: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """Key of the one encoder that it trains; null trains every encoder of the benchmark."""

    @property
    def only_encoder(self) -> str | None:
        """As the file says."""
        return self.encoder
