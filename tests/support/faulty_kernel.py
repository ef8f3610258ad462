"""A double of a processor whose bf16 convolutions read memory that was never written."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["faulty_bf16", "seen_on_epyc"]

Shape = Callable[[Sequence[int], Sequence[int], Sequence[int]], bool]
"""(sides of the maps that enter, of those that leave, of the kernel) -> whether the kernel is faulty."""


def seen_on_epyc(enter: Sequence[int], leave: Sequence[int], kernel: Sequence[int]) -> bool:
    """What issue 11 measured on an AMD EPYC with avx512_bf16, no AMX (torch 2.13.0+cpu, oneDNN 3.12, November 2026).

    The weight gradient of 3 x 3 x 3 kernels over maps of side 2 at stride 1, or that leave side 1 at stride 2, and of
    3 x 3 kernels that leave side 1 at stride 2.
    """
    if set(kernel) != {3}:
        return False
    strided = enter != leave
    return set(leave) == {1} if strided else len(enter) == 3 and set(enter) == {2}


class _Unwritten(torch.autograd.Function):
    """The weight as it is, and as its gradient what lay in memory: another thing each time, now and then no number."""

    calls = 0

    @staticmethod
    def forward(ctx: object, weight: Tensor) -> Tensor:
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        _Unwritten.calls += 1
        lay = torch.Generator().manual_seed(_Unwritten.calls)
        garbage = torch.randn(gradients[0].shape, generator=lay) * gradients[0].float().std()
        if _Unwritten.calls % 5 == 0:
            garbage.view(-1)[0] = torch.nan
        return garbage


@contextmanager
def faulty_bf16(monkeypatch: pytest.MonkeyPatch, shape: Shape = seen_on_epyc) -> Iterator[None]:
    """Let PyTorch's convolutions of such shapes get a wrong weight gradient under bf16 autocast on the CPU."""

    def broken(convolve: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def convolution(images: Tensor, weight: Tensor, *options: object) -> Tensor:
            output = convolve(images, weight, *options)
            bf16 = torch.is_autocast_enabled("cpu")
            if bf16 and shape(images.shape[2:], output.shape[2:], weight.shape[2:]):
                return convolve(images, _Unwritten.apply(weight), *options)
            return output

        return convolution

    with monkeypatch.context() as patch:
        for name in ("conv2d", "conv3d"):
            patch.setattr(F, name, broken(getattr(F, name)))
        yield
