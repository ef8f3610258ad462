"""A small 3-D CNN: 16^3 voxels to 16 features."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

WIDTH = 16


def encoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise((1, 4, 8, 16, WIDTH))):
        layers += [
            nn.Conv3d(inputs, outputs, 3, stride=1 if index else 2, padding=1, bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(),
        ]
        if index:
            layers.append(nn.MaxPool3d(2))
    for layer in layers:
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten())


def head(outputs: int) -> nn.Linear:
    linear = nn.Linear(WIDTH, outputs)
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    return linear
