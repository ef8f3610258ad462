"""What is needed of a model, with a network or without."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ctlr.specs import ModelCard

__all__ = ["Model"]


class Model(Protocol):
    """What `load_model` gives.

    Contract: `predict` takes (N, C, *S) float32 of any N and gives (N,) values in the target's units, or (N, K)
    probabilities in the order of `card.classes`; `trusted` images come from the model's own preparation.
    """

    @property
    def card(self) -> ModelCard:
        """What the weights mean."""
        ...

    def predict(
        self, images: npt.NDArray[np.float32], batch_size: int = ..., *, trusted: bool = ...
    ) -> npt.NDArray[np.float64]:
        """Predict."""
        ...
