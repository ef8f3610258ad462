"""VGG-11 and -16 with norm layers (Simonyan & Zisserman 2015, ICLR): torchvision's for pictures, 3-D for volumes."""

from __future__ import annotations

from functools import partial

from torch import nn

from ctlr.encoders.base import Encoder, init_convolutions, scaled
from ctlr.encoders.pictures import allocate, picture_network

__all__ = ["VGG2d", "VGG3d", "vgg11", "vgg16"]

_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3)}
_CHANNELS = (64, 128, 256, 512, 512)


class VGG2d(Encoder):
    """Five stages of 3 x 3 convolutions, each ending in a pooling; torchvision's `vgg*_bn` without its classifier."""

    # `python bench/encoders.py vgg11`, one thread of a Xeon with AMX.
    # Pictures a second at 128^2: float32 7.0, channels-last 7.7; bf16 16.3, channels-last 23.5.
    channels_last = True
    bf16 = True


class VGG3d(Encoder):
    """Five stages of 3^3 convolutions, each ending in a pooling."""

    # `python bench/encoders.py vgg11`, one thread of a Xeon with AMX.
    # Volumes a second at 48^3: float32 1.5, channels-last 1.8; bf16 2.7, channels-last 3.7.
    channels_last = True
    bf16 = True


def _vgg(depth: int, *, channels: int, ndim: int, width: float = 1.0) -> Encoder:
    """Build a VGG: 512 features, averaged over space where the original flattens a fixed 7 x 7 grid."""
    encoder = _pictures(depth, channels) if ndim == 2 else _volumes(depth, channels, width)
    init_convolutions(encoder, "fan_out")
    return encoder


vgg11, vgg16 = partial(_vgg, 11), partial(_vgg, 16)


def _pictures(depth: int, channels: int) -> VGG2d:
    network = picture_network(f"vgg{depth}_bn", channels=channels)
    stages: list[list[nn.Module]] = [[]]
    for layer in network.get_submodule("features").children():
        stages[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            stages.append([])
    encoder = VGG2d([nn.Sequential(*stage) for stage in stages if stage], _CHANNELS[-1])
    allocate(encoder, network)
    return encoder


def _volumes(depth: int, channels: int, width: float) -> VGG3d:
    inputs = channels
    blocks = []
    for size, n_convolutions in zip(_CHANNELS, _CONVOLUTIONS[depth], strict=True):
        outputs = scaled(size, width)
        layers: list[nn.Module] = []
        for _ in range(n_convolutions):
            layers += [nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        blocks.append(nn.Sequential(*layers, nn.MaxPool3d(2)))
    return VGG3d(blocks, inputs)
