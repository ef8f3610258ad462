"""How large and how slow a study's network is, known before it is trained."""

from __future__ import annotations

import statistics
import time

import torch

from ctlr.encoders import build_encoder
from ctlr.errors import TrainingError
from ctlr.specs import StoredArrays, Study

__all__ = ["check_footprint"]

_TIMED = 5
"""Images of which the median counts, after two that warm up."""


def check_footprint(
    study: Study, stored: StoredArrays, *, megabytes: float | None, milliseconds: float | None, device: str = "cpu"
) -> None:
    """Refuse a network that is too large, or too slow for one image by itself.

    Its head, a linear layer, is left out of the account.

    Args:
        study: With its encoder's options.
        stored: The target's arrays.
        megabytes: Millions of bytes of float32 weights at most; None for any.
        milliseconds: For one image on this machine with the study's threads at most; None for any.
        device: cpu or cuda.

    Raises:
        TrainingError: Says the figure and the limit.
    """
    if not study.method.trains_network or (megabytes is None and milliseconds is None):
        return
    channels, *sides = stored.shape
    encoder = build_encoder(study.encoder, channels=channels, ndim=len(sides), seed=0)
    size = sum(tensor.numel() * tensor.element_size() for tensor in encoder.state_dict().values()) / 1e6
    if megabytes is not None and size > megabytes:
        raise TrainingError(f"the model has {size:.3g} MB, and `most_megabytes` is {megabytes:g}")
    if milliseconds is None:
        return
    encoder = encoder.to(device).eval()
    image = torch.zeros(1, *stored.shape, device=device)
    took = []
    with torch.inference_mode():
        for _ in range(2 + _TIMED):
            began = time.perf_counter()
            encoder(image).sum().item()
            took.append(1000 * (time.perf_counter() - began))
    if (median := statistics.median(took[2:])) > milliseconds:
        raise TrainingError(f"an image takes {median:.3g} ms, and `most_milliseconds` is {milliseconds:g}")
