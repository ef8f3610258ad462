"""Which searches there are, and which of them a budget has time for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ctlr.specs import ENCODERS, METHODS, encoder_spec

__all__ = ["FAMILIES", "Family", "epoch_seconds", "shallow_families"]

_NETWORKS = (
    "small_cnn", "row_rnn", "cell_cnn", "squeezenet1_1", "efficientnet_lite0", "alexnet", "resnet18", "densenet121",
    "resnet34", "vgg11", "resnet50", "vgg16",
)  # fmt: skip
"""Of pictures, light ones first."""
_EFFICIENCY = 0.25
"""Of a matrix product's speed, what a small network's training step reaches (`python -m bench training`)."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A search: a method, with an encoder where it has one."""

    name: str
    method: str
    encoder: str = ""
    about: str

    @property
    def has_network(self) -> bool:
        """Whether a network is trained."""
        return bool(self.encoder)


def shallow_families() -> Iterator[Family]:
    """Models without a network that a search can tune."""
    for name, spec in METHODS.items():
        if spec.shallow and spec.role == "method":
            about = (spec.__doc__ or name).strip().splitlines()[0]
            yield Family(name=name.replace("_", "-"), method=name, about=about)


def _networks() -> Iterator[Family]:
    for name in _NETWORKS:
        yield Family(name=name.replace("_", "-"), method="scratch", encoder=name, about=ENCODERS[name].about)


FAMILIES: Mapping[str, Family] = {each.name: each for each in (*shallow_families(), *_networks())}
"""Every search by its name, models without a network first; those that begin from weights come on top."""


def epoch_seconds(encoders: Sequence[str], shape: Sequence[int], images: int, device: str = "cpu") -> dict[str, float]:
    """Roughly how long an epoch of each network takes on one thread of this machine, or on its GPU: from operations.

    Args:
        encoders: By name.
        shape: (C, H, W) of a picture.
        images: That train.
        device: cpu or cuda.

    Returns:
        Seconds, right within a factor of three or so.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from ctlr.encoders import build_encoder

    rate = _EFFICIENCY * _flops_a_second(device)
    found = {}
    for name in encoders:
        encoder = build_encoder(encoder_spec(name), channels=shape[0], ndim=len(shape) - 1, seed=0).to("meta").eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            encoder(torch.empty(1, *shape, device="meta"))
        found[name] = 3 * counter.get_total_flops() * images / rate  # backwards costs as much twice
    return found


def _flops_a_second(device: str) -> float:
    """Of a float32 matrix product on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        square, best = torch.ones(512, 512, device=device), float("inf")
        for _ in range(5):
            began = time.perf_counter()
            (square @ square).sum().item()
            best = min(best, time.perf_counter() - began)
        return 2 * 512**3 / best
    finally:
        torch.set_num_threads(threads)
