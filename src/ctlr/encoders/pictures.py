"""Standard 2-D networks from torchvision, untrained, for any number of input channels."""

from __future__ import annotations

import torch
from torch import nn

from ctlr.encoders.base import Encoder
from ctlr.encoders.torchvision_cpu import load_torchvision

__all__ = ["allocate", "picture_network"]


def picture_network(name: str, *, channels: int) -> nn.Module:
    """Lay out a network of `torchvision.models` on the meta device, where it takes no memory.

    The encoder picks its parts, which `allocate` then makes real; the classifier, 120 million weights in
    VGG's case, is never drawn.

    Args:
        name: As torchvision calls it.
        channels: Of the input; the first convolution is made to fit.
    """
    with torch.device("meta"):
        network: nn.Module = getattr(load_torchvision().models, name)(weights=None)
        first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
        first.in_channels = channels
        first.weight = nn.Parameter(torch.empty(first.out_channels, channels, *first.kernel_size))
    return network


def allocate(encoder: Encoder, network: nn.Module) -> None:
    """Give an encoder memory and torch's default initial values.

    Args:
        encoder: On the meta device.
        network: Whose parts it picked; what they are called there is what `load_published` looks for.
    """
    encoder.to_empty(device="cpu")
    names = {part: name for name, part in network.named_modules()}
    encoder.published = {own: names[part] for own, part in encoder.named_modules() if part in names}
    for part in encoder.modules():
        reset = getattr(part, "reset_parameters", None)
        if reset is not None:
            reset()
