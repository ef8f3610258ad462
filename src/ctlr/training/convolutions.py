"""An encoder's convolutions: the maps that enter them, and float32 for some of them under autocast."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ctlr.encoders.base import Encoder

__all__ = ["Convolution", "convolutions_of", "run_in_float32"]


@dataclass(frozen=True)
class Convolution:
    """A convolution at its place in an encoder.

    Attributes:
        name: Within the encoder, e.g. `blocks.3.0`.
        module: With its weights; computes in whatever precision autocast says.
        entering: (C, *S) of the maps that enter it, without the batch.
        leaving: (C', *S') of those that leave it.
    """

    name: str
    module: _ConvNd
    entering: tuple[int, ...]
    leaving: tuple[int, ...]


def convolutions_of(encoder: Encoder, shape: tuple[int, ...]) -> list[Convolution]:
    """The convolutions that images of a shape pass, each once, in order.

    One black image passes the encoder; its weights, statistics and modes stay as they are.

    Args:
        encoder: On any device.
        shape: (C, *S) of an image.
    """
    found: dict[str, Convolution] = {}

    def note(name: str, module: _ConvNd, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found[name] = Convolution(name, _plain(module), tuple(inputs[0].shape[1:]), tuple(output.shape[1:]))

    hooks = [
        module.register_forward_hook(lambda m, i, o, name=name: note(name, m, i, o))
        for name, module in encoder.named_modules()
        if isinstance(module, _ConvNd)
    ]
    modes = {module: module.training for module in encoder.modules()}
    weight = next(encoder.parameters())
    try:
        for module in modes:
            module.training = False
        with torch.no_grad():
            encoder(torch.zeros(1, *shape, device=weight.device, dtype=weight.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return list(found.values())


def run_in_float32(encoder: Encoder, names: Collection[str]) -> None:
    """Let the convolutions of these names, and no others, compute in float32 whatever autocast says.

    The names of weights stay as they are, and copies of the encoder do the same.
    """
    for name, module in encoder.named_modules():
        if isinstance(module, _ConvNd):
            plain = _plain_class(type(module))
            module.__class__ = _exact_class(plain) if name in names else plain


class _InFloat32(nn.Module):
    """Computes in float32 inside an autocast block, and leaves maps of the block's precision for the next layer."""

    def forward(self, maps: Tensor) -> Tensor:
        kind = maps.device.type
        if not torch.is_autocast_enabled(kind):
            whole: Tensor = super().forward(maps)
            return whole
        with torch.autocast(kind, enabled=False):
            exact: Tensor = super().forward(maps.float())
        return exact.to(torch.get_autocast_dtype(kind))


def _exact_class(plain: type[_ConvNd]) -> type[_ConvNd]:
    """The convolution's class with the precision decided in front; a class, unlike a hook, is deep-copied rightly."""
    return type(f"{plain.__name__}InFloat32", (_InFloat32, plain), {})


def _plain_class(kind: type[_ConvNd]) -> type[_ConvNd]:
    return kind.__mro__[2] if issubclass(kind, _InFloat32) else kind


def _plain(module: _ConvNd) -> _ConvNd:
    """The module as it computes by itself, with the same weights."""
    kind = _plain_class(type(module))
    if kind is type(module):
        return module
    twin = copy.copy(module)
    twin.__class__ = kind
    return twin
