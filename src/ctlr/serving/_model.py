"""What is needed of a model, with a network or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ctlr.specs import ModelCard

__all__ = ["Model"]


class Model(Protocol):
    """What `load_model` gives.

    Contract: `predict_each` takes (N, C, *S) float32 of any N, and N cells of each of `card.inputs`; it gives for each
    of `card.answers`, by its target, (N,) values in the target's units, or (N, K) probabilities in the order of its
    classes. `predict` gives the first. `trusted` images come from the model's own preparation.
    """

    @property
    def card(self) -> ModelCard:
        """What the weights mean."""
        ...

    def predict(
        self, images: npt.NDArray[np.float32], batch_size: int = ..., *,
        inputs: Mapping[str, Sequence[Any]] | None = ..., trusted: bool = ...,
    ) -> npt.NDArray[np.float64]:  # fmt: skip
        """Predict the first target."""
        ...

    def predict_each(
        self, images: npt.NDArray[np.float32], batch_size: int = ..., *,
        inputs: Mapping[str, Sequence[Any]] | None = ..., trusted: bool = ...,
    ) -> dict[str, npt.NDArray[np.float64]]:  # fmt: skip
        """Predict every target."""
        ...
