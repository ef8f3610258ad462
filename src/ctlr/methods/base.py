"""What a method gives to the training loop: an objective over named batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from ctlr.encoders.base import Encoder

__all__ = ["Batch", "Objective", "predict_outputs"]


@dataclass(frozen=True)
class Batch:
    """Images with their labels.

    Attributes:
        images: (B, C, *S) float, or features (B, ...) of the frozen lower blocks.
        target: (B,) int64 codes (-1: unknown) or float standardised targets (NaN: unknown); None where there are none.
    """

    images: Tensor
    target: Tensor | None = None


class Objective(nn.Module):
    """A loss together with all that it trains.

    Contract: `forward` takes one `Batch` for each name in `streams` and returns a finite scalar;
    every random number comes from `rng`, a CPU generator (dropout alone uses torch's global state, which the loop
    seeds and stores).
    """

    streams: ClassVar[tuple[str, ...]]
    """Names of the batches it takes; the first one's rows are seen once an epoch, the others keep up."""

    batch_sizes: Mapping[str, int] = MappingProxyType({})
    """Rows of a batch where they differ from the stage's `batch_size`."""

    encoder: Encoder

    def forward(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Mean loss of one step."""
        raise NotImplementedError(type(self))


def predict_outputs(encoder: Encoder, head: nn.Module, images: Tensor, start: int = 0) -> Tensor:
    """Raw outputs (B, K) in float32, also where the encoder runs in half precision.

    Args:
        encoder: Turns images into features.
        head: Turns features into outputs.
        images: (B, C, *S), or the output of the encoder's first `start` blocks.
        start: The block that comes first.
    """
    features = encoder(images, start=start)
    # Ages in half precision would be rounded to a quarter of a standard deviation's percent.
    with torch.autocast(images.device.type, enabled=False):
        outputs: Tensor = head(features.float())
    return outputs
