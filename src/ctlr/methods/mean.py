"""The training mean or majority class, whatever the image."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctlr.specs import MethodSpec

__all__ = ["MeanSpec"]


class MeanSpec(MethodSpec):
    """Predict the training mean or majority class: the floor that every table shows."""

    method: Literal["mean"] = "mean"
    role: ClassVar[Literal["method", "baseline", "floor"]] = "floor"
    trains_network: ClassVar[bool] = False
    untuned: ClassVar[str] = "the mean predictor learns nothing"

    @property
    def has_encoder(self) -> bool:
        """There is no network."""
        return False
