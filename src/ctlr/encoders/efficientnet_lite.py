"""EfficientNet-Lite0 for pictures (Tan & Le 2019, arXiv:1905.11946; Lite: Liu 2020, TensorFlow's `tpu` repository).

Lite is EfficientNet-B0 without squeeze-and-excitation, with ReLU6 in the place of swish.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ctlr.encoders.base import Encoder, scaled

__all__ = ["EfficientNetLite", "efficientnet_lite0"]

_STEM = 32
_STAGES = (
    # units, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_HEAD = 1280


class EfficientNetLite(Encoder):
    """Five blocks, each at half the sides of the one before; the stem is in the first, the widest layer in the last."""

    channels_last = True
    bf16 = True


def efficientnet_lite0(*, channels: int, ndim: int = 2, width: float = 1.0) -> EfficientNetLite:
    """Build EfficientNet-Lite0: 1280 features.

    Unlike the original it drops no units at random: a forward pass draws no numbers.
    """
    size, head = scaled(_STEM, width), scaled(_HEAD, width)
    blocks = [nn.Sequential(*_convolution(channels, size, 3, stride=2), nn.ReLU6(inplace=True))]
    for n_units, kernel, stride, expansion, outputs in _STAGES:
        if stride == 2:
            blocks.append(nn.Sequential())
        for unit in range(n_units):
            inputs, size = size, scaled(outputs, width)
            blocks[-1].append(_Unit(inputs, size, kernel, stride if unit == 0 else 1, expansion))
    blocks[-1].extend([*_convolution(size, head, 1), nn.ReLU6(inplace=True)])
    encoder = EfficientNetLite(blocks, head)
    _draw(encoder)
    own = [name for name, part in encoder.named_modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    encoder.published = dict(zip(own, _published_names(), strict=True))
    return encoder


class _Unit(nn.Module):
    """Widen, convolve each channel by itself, narrow (Sandler et al. 2018); added to the input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        widen = [*_convolution(inputs, inner, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        depthwise = [*_convolution(inner, inner, kernel, stride=stride, groups=inner), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(*widen, *depthwise, *_convolution(inner, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, *S) -> (B, outputs, *S'), sides divided by the stride and rounded up."""
        changed: Tensor = self.body(maps)
        return changed + maps if self.adds else changed


class _SamePadding(nn.Module):
    """Zeros around maps as TensorFlow's `SAME` has them for a stride of 2: of an odd number one more at the end."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S')."""
        sums = [self.kernel - (2 if side % 2 == 0 else 1) for side in reversed(maps.shape[2:])]
        return nn.functional.pad(maps, [end for total in sums for end in (total // 2, total - total // 2)])


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Padding where it is not even, convolution and norm, whose epsilon is the published one.

    The norm's momentum is PyTorch's, not the published 0.01: with that, the running averages of a short training would
    still be those that it began with.
    """
    padding = kernel // 2 if stride == 1 else 0
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return [*([_SamePadding(kernel)] if stride == 2 else []), convolution, nn.BatchNorm2d(outputs, eps=1e-3)]


def _draw(encoder: Encoder) -> None:
    """Draw weights that keep the variance of gradients (He et al. 2015); a depthwise channel is a layer of its own."""
    for part in encoder.modules():
        if isinstance(part, nn.Conv2d):
            leaving = part.weight[0, 0].numel() * part.out_channels // part.groups
            nn.init.normal_(part.weight, std=(2 / leaving) ** 0.5)


def _published_names() -> Iterator[str]:
    """Of convolutions and norms in the PyPI package efficientnet-lite-pytorch, in order."""
    unit = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    expansions = [expansion for n_units, _, _, expansion, _ in _STAGES for _ in range(n_units)]
    yield from ("_conv_stem", "_bn0")
    for n, expansion in enumerate(expansions):
        yield from (f"_blocks.{n}.{part}" for part in unit[0 if expansion > 1 else 2 :])
    yield from ("_conv_head", "_bn1")
