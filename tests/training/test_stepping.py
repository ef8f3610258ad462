"""One step of training."""

from __future__ import annotations

import pytest
import torch

from ctlr.training.stepping import _clip


@pytest.mark.parametrize("scale", [0.01, 100.0, float("nan")], ids=["short", "long", "no number"])
def test_gradients_are_clipped_to_the_last_bit_as_torch_does_it(scale: float) -> None:
    ours, theirs = ([torch.nn.Parameter(torch.zeros(n)) for n in (3, 5)] for _ in range(2))
    for one, other in zip(ours, theirs, strict=True):
        one.grad = scale * torch.arange(1.0, 1 + len(one))
        other.grad = one.grad.clone()

    _clip(ours, 1.0)

    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.grad.nan_to_num(), other.grad.nan_to_num())
