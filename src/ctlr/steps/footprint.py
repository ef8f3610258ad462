"""How large and how slow a model may be: known of a network before it is trained, of any other once it is fitted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ctlr.encoders import build_encoder
from ctlr.errors import TrainingError
from ctlr.shallow.model import FamilyModel
from ctlr.specs import StoredArrays, Study

__all__ = ["Footprint"]

_TIMED = 5
"""Images of which the median counts, after two that warm up."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Limits of a model."""

    megabytes: float | None = None
    """Millions of bytes of its numbers at most; None for any."""
    milliseconds: float | None = None
    """For one image by itself on this machine, with the study's threads, at most; None for any."""

    def check_network(self, study: Study, stored: StoredArrays, device: str = "cpu") -> None:
        """Refuse a network; its head, a linear layer, is left out of the account.

        Args:
            study: With its encoder's options; one that trains no network is let pass.
            stored: The target's arrays.
            device: cpu or cuda.

        Raises:
            TrainingError: Says the figure and the limit.
        """
        if not study.method.trains_network or self == Footprint():
            return
        channels, *sides = stored.shape
        encoder = build_encoder(study.encoder, channels=channels, ndim=len(sides), seed=0)
        self._check_size(sum(tensor.numel() * tensor.element_size() for tensor in encoder.state_dict().values()))
        encoder, image = encoder.to(device).eval(), torch.zeros(1, *stored.shape, device=device)
        with torch.inference_mode():
            self._check_time(lambda: encoder(image).sum().item())

    def check_model(self, model: object, stored: StoredArrays) -> None:
        """Refuse a fitted model without a network.

        Args:
            model: That was fitted; what is no family's model is let pass.
            stored: The target's arrays.

        Raises:
            TrainingError: Says the figure and the limit.
        """
        if not isinstance(model, FamilyModel) or self == Footprint():
            return
        self._check_size(sum(array.nbytes for array in model.arrays.values()))
        image = np.zeros((1, *stored.shape), np.float32)
        self._check_time(lambda: model.of_images(image))

    def _check_size(self, size: int) -> None:
        if self.megabytes is not None and size / 1e6 > self.megabytes:
            raise TrainingError(f"the model has {size / 1e6:.3g} MB, and `most_megabytes` is {self.megabytes:g}")

    def _check_time(self, predict: Callable[[], object]) -> None:
        if self.milliseconds is None:
            return
        took = []
        for _ in range(2 + _TIMED):
            began = time.perf_counter()
            predict()
            took.append(1000 * (time.perf_counter() - began))
        if (median := statistics.median(took[2:])) > self.milliseconds:
            raise TrainingError(f"an image takes {median:.3g} ms, and `most_milliseconds` is {self.milliseconds:g}")
