"""Standard 2-D networks from torchvision, untrained, for any number of input channels."""

from __future__ import annotations

import torch
from torch import nn

from ctlr.encoders.torchvision_cpu import load_torchvision
from ctlr.errors import ConfigError

__all__ = ["allocate", "picture_network"]


def picture_network(name: str, *, channels: int, width: float) -> nn.Module:
    """Lay out a network of `torchvision.models` on the meta device, where it takes no memory.

    The encoder picks its parts, which `allocate` then makes real; the classifier, 120 million weights in
    VGG's case, is never drawn.

    Args:
        name: As torchvision calls it.
        channels: Of the input; the first convolution is made to fit.
        width: Must be 1: torchvision's networks have no multiplier.

    Raises:
        ConfigError: Another width.
    """
    if width != 1:
        raise ConfigError(
            f"`width` must be 1 for {name} on pictures; got {width:g}. Leave it out, or take the encoder small_cnn."
        )
    with torch.device("meta"):
        network: nn.Module = getattr(load_torchvision().models, name)(weights=None)
        first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
        first.in_channels = channels
        first.weight = nn.Parameter(torch.empty(first.out_channels, channels, *first.kernel_size))
    return network


def allocate(module: nn.Module) -> None:
    """Give a module from the meta device memory and torch's default initial values."""
    module.to_empty(device="cpu")
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if reset is not None:
            reset()
