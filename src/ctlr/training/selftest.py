"""Whether a processor's bf16 kernels compute a convolution: forward and backward against float32, on soiled memory."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from ctlr.training.convolutions import Convolution
from ctlr.training.verdicts import read_verdicts, write_verdicts

__all__ = ["BOUND", "find_faults", "is_known_to_fail", "judge", "soiled_heap"]

BOUND = 2**-6
"""Largest ||a - b|| / ||b|| of a bf16 result `a` beside float32's `b`, from operands that both types can hold.

Such a result differs by its own rounding alone, at most 2^-8 of each number. Four times as much leaves room for
partial sums that are rounded too; a read of unwritten memory was 0.9 to 1.5, or no number.
"""
BATCHES = (2, 16)
"""Images: the fewest that train, and as many as a usual batch where that is cheap; kernels are chosen by it too."""
_CHEAP = 2**26
"""Multiplications of a forward pass up to which the larger batch is tried."""
_FILLS = (0x80, 0x7F)
"""Bytes of freed memory; fresh memory gets the complement. One of both then reads 3.4e38 in bf16 and in float32."""
_STALE = 2.0**12
"""How much larger than the tested ones the numbers are that a call leaves in the kernels' own buffers."""

LayOut = Callable[[Tensor], Tensor]


def is_known_to_fail(convolution: Convolution) -> bool:
    """Whether the bf16 weight gradient of such a convolution was seen to read memory that was never written.

    Measured on an AMD EPYC with avx512_bf16 (torch 2.13.0+cpu, oneDNN 3.12, November 2026): 3 x 3 x 3 kernels over maps
    of side 2 at stride 1, or that leave maps of side 1 at stride 2; and 3 x 3 kernels that leave maps of side 1 at
    stride 2. Relative errors were 0.9 to 1.5, or NaN; float32 was clean. The rule holds on every processor, since
    unwritten memory may look right by luck. It takes in any larger kernel, side 1 as well as 2, and maps that are so
    thin in one direction only: all of them are cheap.
    """
    module = convolution.module
    sides = zip(module.kernel_size, module.stride, convolution.entering[1:], convolution.leaving[1:], strict=True)
    return any(
        size >= 3 and (leaves == 1 if step > 1 else len(module.kernel_size) == 3 and enters <= 2)
        for size, step, enters, leaves in sides
    )


def find_faults(convolutions: Iterable[Convolution], layout: LayOut, layout_name: str) -> dict[str, str]:
    """Name -> what is wrong with its bf16 kernels on this CPU, of the convolutions that must run in float32.

    What was found once on such a processor is read from the user's cache. The test takes numbers of its own: neither
    torch's random state nor the weights are touched.

    Args:
        convolutions: On the CPU.
        layout: Gives maps and weights the memory format that they will have.
        layout_name: Of that format.
    """
    known = read_verdicts()
    found: dict[str, str] = {}
    new: dict[str, str] = {}
    for convolution in convolutions:
        key = _key(convolution, layout_name)
        if is_known_to_fail(convolution):
            found[convolution.name] = "reads unwritten memory"
            continue
        if key not in known:
            known[key] = new[key] = judge(convolution, layout)
        if known[key]:
            found[convolution.name] = known[key]
    if new:
        write_verdicts(new)
    return found


def _key(convolution: Convolution, layout_name: str) -> str:
    """All that decides which kernel computes it, on one processor."""
    maps = "x".join(map(str, convolution.entering))
    kind = f"{type(convolution.module).__module__}.{convolution.module!r}"
    return f"{kind} of {maps}, {layout_name}, {torch.get_num_threads()} threads"


def judge(convolution: Convolution, layout: LayOut) -> str:
    """Say what is wrong with a convolution's bf16 kernels; nothing where they are right.

    They must give the same bits whatever unwritten memory holds, and differ from float32 by no more than `BOUND`.
    """
    module = convolution.module
    work = math.prod(convolution.leaving[1:]) * sum(w.numel() for w in module.parameters())
    for batch in (batch for batch in BATCHES if batch == BATCHES[0] or batch * work <= _CHEAP):
        fault = _fault(convolution, batch, layout)
        if fault:
            return fault
    return ""


def _fault(convolution: Convolution, batch: int, layout: LayOut) -> str:
    rng = torch.Generator().manual_seed(0)

    def draw(*size: int) -> Tensor:
        # Rounded, so that float32 gets the very numbers that bf16 gets.
        drawn = torch.randn(size, generator=rng).bfloat16().float()
        return layout(drawn) if len(size) in (4, 5) else drawn

    module = convolution.module
    images, gradient = draw(batch, *convolution.entering), draw(batch, *convolution.leaving)
    weights = {name: draw(*weight.shape) for name, weight in module.named_parameters()}
    exact = _results(module, weights, images, gradient, bf16=False)
    first = None
    for fill in _FILLS:
        with soiled_heap(fill):
            _results(module, weights, images * _STALE, gradient * _STALE, bf16=True)
            found = _results(module, weights, images, gradient, bf16=True)
        for what, result in found.items():
            error = float((result - exact[what]).norm() / exact[what].norm())
            if not error <= BOUND:
                return f"{what} off by {error:.2g}"
            if first is not None and not torch.equal(result, first[what]):
                return f"{what} depends on unwritten memory"
        first = found
    return ""


def _results(
    module: nn.Module, weights: Mapping[str, Tensor], images: Tensor, gradient: Tensor, *, bf16: bool
) -> dict[str, Tensor]:
    """The output, and the gradient of the images and of each weight; float32."""
    images = images.clone().requires_grad_()
    moving = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = torch.func.functional_call(module, moving, (images,))
        # Not `grad_outputs=gradient`, which makes PyTorch import SymPy: two seconds.
        total = (output.float() * gradient).sum()
    gradients = torch.autograd.grad(total, [images, *moving.values()])
    names = ["output", "input gradient", *(f"{name} gradient" for name in moving)]
    return {name: each.detach().float() for name, each in zip(names, (output, *gradients), strict=True)}


@contextlib.contextmanager
def soiled_heap(fill: int) -> Iterator[None]:
    """Let the C library fill what is freed with a byte, and what is allocated with its complement.

    What reads memory before it writes it then gives other numbers with another byte. Does nothing where the C library
    is not glibc.
    """
    perturb = -6
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(perturb, fill)
    try:
        yield
    finally:
        mallopt(perturb, int(os.environ.get("MALLOC_PERTURB_") or 0))
