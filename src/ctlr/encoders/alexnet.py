"""AlexNet for pictures (Krizhevsky 2014, arXiv:1404.5997), from torchvision."""

from __future__ import annotations

from torch import Tensor, nn

from ctlr.encoders.base import Encoder
from ctlr.encoders.pictures import allocate, picture_network

__all__ = ["AlexNet", "alexnet"]


class AlexNet(Encoder):
    """Five convolutions, a block each; no norm layers."""

    # `python bench/encoders.py alexnet`, one thread of a Xeon with AMX.
    # Pictures a second at 128^2: float32 74, channels-last 88; bf16 105, channels-last 117.
    channels_last = True
    bf16 = True


def alexnet(*, channels: int, ndim: int = 2, width: float = 1.0) -> AlexNet:
    """Build AlexNet: 256 features, averaged over space where the original flattens a fixed 6 x 6 grid."""
    network = picture_network("alexnet", channels=channels)
    blocks: list[list[nn.Module]] = []
    for layer in network.get_submodule("features").children():
        if isinstance(layer, nn.Conv2d):
            blocks.append([])
        blocks[-1].append(layer)
    blocks[-1][-1] = _LastPooling(3, stride=2)
    encoder = AlexNet([nn.Sequential(*block) for block in blocks], 256)
    allocate(encoder, network)
    return encoder


class _LastPooling(nn.MaxPool2d):
    """The last pooling, left out where pictures of fewer than 63 pixels a side leave it less than its window."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S')."""
        return super().forward(maps) if min(maps.shape[2:]) >= 3 else maps
