"""A slow copy of a network: an exponential moving average of its weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

from ctlr.methods.lazily import torch

if TYPE_CHECKING:
    from torch import nn

__all__ = ["follow", "follower"]

M = TypeVar("M", bound="nn.Module")


def follower(network: M) -> M:
    """A copy whose weights are buffers: it moves by `follow`, and never by a gradient."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                del module._parameters[name]
                module.register_buffer(name, weight.detach())
    return copied


def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """Move a follower: slow = momentum slow + (1 - momentum) fast; running averages of batch norms alike.

    Args:
        slow: From `follower`, changed in place.
        fast: What it follows.
        momentum: In [0, 1]; 1 stands still.
    """
    target = fast.state_dict()
    own = slow.state_dict()
    moving = [name for name, each in own.items() if each.is_floating_point()]
    with torch.no_grad():
        torch._foreach_lerp_([own[name] for name in moving], [target[name] for name in moving], 1 - momentum)
