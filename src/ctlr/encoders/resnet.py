"""ResNet-18, -34 and -50 (He et al. 2016, CVPR): torchvision's for pictures, the same with 3-D kernels for volumes."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ctlr.encoders.base import Encoder, StemPooling3d, init_convolutions, scaled
from ctlr.encoders.pictures import allocate, picture_network

__all__ = ["ResNet2d", "ResNet3d", "resnet18", "resnet34", "resnet50"]

_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
_CHANNELS = (64, 128, 256, 512)
_EXPANSION = 4


class ResNet2d(Encoder):
    """Stem and four stages; torchvision's layers, which stride in the 3 x 3 convolution of a bottleneck."""

    # `python bench/encoders.py resnet50`, one thread of a Xeon with AMX.
    # Pictures a second at 128^2: float32 7.1, channels-last 7.7; bf16 10.4, channels-last 12.7.
    channels_last = True
    bf16 = True


class ResNet3d(Encoder):
    """Stem (7^3 convolution, pooling) and four stages, as in Hara et al. 2018 (CVPR) with projection shortcuts."""

    # `python bench/encoders.py resnet18`, one thread of a Xeon with AMX.
    # Volumes a second at 48^3: float32 7.5, channels-last 6.4; bf16 9.0, channels-last 9.8.
    channels_last = True
    bf16 = True


def _resnet(depth: int, *, channels: int, ndim: int, width: float = 1.0) -> Encoder:
    """Build a ResNet: 512 features (2048 at depth 50)."""
    encoder = _pictures(depth, channels) if ndim == 2 else _volumes(depth, channels, width)
    init_convolutions(encoder, "fan_out")
    return encoder


resnet18, resnet34, resnet50 = partial(_resnet, 18), partial(_resnet, 34), partial(_resnet, 50)


def _pictures(depth: int, channels: int) -> ResNet2d:
    network = picture_network(f"resnet{depth}", channels=channels)
    parts = dict(network.named_children())
    stem = nn.Sequential(*(parts[name] for name in ("conv1", "bn1", "relu", "maxpool")))
    encoder = ResNet2d(
        [stem, *(parts[f"layer{n}"] for n in range(1, 5))], _CHANNELS[-1] * (_EXPANSION if depth >= 50 else 1)
    )
    allocate(encoder, network)
    return encoder


def _volumes(depth: int, channels: int, width: float) -> ResNet3d:
    inputs = scaled(_CHANNELS[0], width)
    blocks = [
        nn.Sequential(
            nn.Conv3d(channels, inputs, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm3d(inputs),
            nn.ReLU(inplace=True),
            StemPooling3d(),
        )
    ]
    for stage, n_units in enumerate(_STAGES[depth]):
        units = []
        for unit in range(n_units):
            stride = 2 if stage > 0 and unit == 0 else 1
            units.append(_Residual(inputs, scaled(_CHANNELS[stage], width), stride, bottleneck=depth >= 50))
            inputs = units[-1].outputs
        blocks.append(nn.Sequential(*units))
    return ResNet3d(blocks, inputs)


class _Residual(nn.Module):
    """ReLU of a few convolutions plus a shortcut, which is a 1^3 convolution where the shape changes."""

    def __init__(self, inputs: int, inner: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        self.outputs = inner * _EXPANSION if bottleneck else inner
        if bottleneck:
            plan = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, self.outputs, 1, 1)]
        else:
            plan = [(inputs, inner, 3, stride), (inner, inner, 3, 1)]
        layers = [part for step in plan for part in (*_convolution(*step), nn.ReLU(inplace=True))]
        self.body = nn.Sequential(*layers[:-1])
        same = inputs == self.outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_convolution(inputs, self.outputs, 1, stride))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, *S) -> (B, outputs, *S'), sides divided by the stride."""
        total: Tensor = self.body(maps) + self.shortcut(maps)
        return total.relu_()


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv3d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm3d(outputs)
