"""DenseNet-121 (Huang et al. 2017, CVPR): torchvision's for pictures, the same with 3-D kernels for volumes."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from ctlr.encoders.base import Encoder, StemPooling3d, init_convolutions, scaled
from ctlr.encoders.pictures import allocate, picture_network

__all__ = ["DenseNet2d", "DenseNet3d", "densenet121"]

_LAYERS = (6, 12, 24, 16)
_STEM = 64
_GROWTH = 32
_BOTTLENECK = 4
_FEATURES = 1024


class DenseNet2d(Encoder):
    """Stem and four dense blocks, each with the transition or last norm that follows it; torchvision's layers."""

    # `python bench/encoders.py densenet121`, one thread of a Xeon with AMX.
    # Pictures a second at 128^2: float32 10.1, channels-last 11.2; bf16 12.3, channels-last 16.6.
    channels_last = True
    bf16 = True

    @staticmethod
    def published_today(name: str) -> str:
        """torchvision's file of 2017 writes `norm.1` for `norm1`; its own loader renames them too."""
        return re.sub(r"\b(norm|conv)\.([12])\b", r"\1\2", name)


class DenseNet3d(Encoder):
    """Stem and four dense blocks, each with the transition or last norm that follows it."""

    # `python bench/encoders.py densenet121`, one thread of a Xeon with AMX.
    # Volumes a second at 48^3: float32 5.2, channels-last 4.9; bf16 6.8, channels-last 8.2.
    channels_last = True
    bf16 = True


def densenet121(*, channels: int, ndim: int, width: float = 1.0) -> Encoder:
    """Build a DenseNet-121: 1024 features."""
    encoder = _pictures(channels) if ndim == 2 else _volumes(channels, width)
    init_convolutions(encoder, "fan_in")
    return encoder


def _pictures(channels: int) -> DenseNet2d:
    network = picture_network("densenet121", channels=channels)
    parts = dict(network.get_submodule("features").named_children())
    stem = nn.Sequential(*(parts[name] for name in ("conv0", "norm0", "relu0", "pool0")))
    dense = [nn.Sequential(parts[f"denseblock{n}"], parts[f"transition{n}"]) for n in (1, 2, 3)]
    last = nn.Sequential(parts["denseblock4"], parts["norm5"], nn.ReLU(inplace=True))
    encoder = DenseNet2d([stem, *dense, last], _FEATURES)
    allocate(encoder, network)
    return encoder


def _volumes(channels: int, width: float) -> DenseNet3d:
    growth, size = scaled(_GROWTH, width), scaled(_STEM, width)
    stem = nn.Conv3d(channels, size, 7, stride=2, padding=3, bias=False)
    blocks = [nn.Sequential(stem, *_norm_relu(size), StemPooling3d())]
    for n_layers in _LAYERS:
        layers = [_DenseLayer(size + growth * n, growth) for n in range(n_layers)]
        size += growth * n_layers
        blocks.append(nn.Sequential(*layers, *_norm_relu(size)))
        if len(blocks) <= len(_LAYERS):
            blocks[-1].extend([nn.Conv3d(size, size // 2, 1, bias=False), nn.AvgPool3d(2)])
            size //= 2
    return DenseNet3d(blocks, size)


class _DenseLayer(nn.Module):
    """Add `growth` channels, computed from all those before, to the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        inner = _BOTTLENECK * growth
        self.body = nn.Sequential(
            *_norm_relu(inputs),
            nn.Conv3d(inputs, inner, 1, bias=False),
            *_norm_relu(inner),
            nn.Conv3d(inner, growth, 3, padding=1, bias=False),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, *S) -> (B, inputs + growth, *S)."""
        return torch.cat([maps, self.body(maps)], dim=1)


def _norm_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm3d(channels), nn.ReLU(inplace=True)
