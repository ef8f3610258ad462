"""Where and in which precision a stage runs."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ctlr.encoders.base import Encoder
from ctlr.errors import ConfigError
from ctlr.specs import ComputeSpec
from ctlr.training.convolutions import convolutions_of, run_in_float32
from ctlr.training.selftest import find_faults

__all__ = ["Placement", "cpu_multiplies_bf16", "keep_freed_memory", "place", "warm_up"]

_LISTED = 4
"""Convolutions that a placement's name lists."""


@dataclass(frozen=True)
class Placement:
    """Device, autocast type and memory format of a stage.

    Attributes:
        device: cpu or cuda.
        dtype: What autocast computes convolutions in; None for float32 throughout.
        memory_format: Of images and weights.
        convolutions: How many the encoder has; 0 where none was looked at, because none runs in bf16 on a CPU.
        faulty: Names of those that this CPU computes wrongly in bf16. They run in float32.
    """

    device: torch.device
    dtype: torch.dtype | None
    memory_format: torch.memory_format
    convolutions: int = 0
    faulty: tuple[str, ...] = ()

    def autocast(self) -> torch.autocast:
        """A fresh autocast block; does nothing in float32."""
        return torch.autocast(self.device.type, dtype=self.dtype or torch.bfloat16, enabled=self.dtype is not None)

    def put(self, module: nn.Module) -> None:
        """Move a module to the device, its convolutions' weights into the memory format; faulty ones run in float32."""
        module.to(self.device)
        for part in module.modules():
            if isinstance(part, Encoder):
                run_in_float32(part, self.faulty)
        for parameter in module.parameters():
            if parameter.ndim in (4, 5):
                parameter.data = self.lay_out(parameter.data)

    def lay_out(self, images: Tensor) -> Tensor:
        """(B, C, *S) images or weights in the memory format."""
        laid = images.contiguous(memory_format=self.memory_format)
        if self.memory_format == torch.contiguous_format or laid.shape[1] != 1:
            return laid
        # Of one channel both formats are the same memory, and torch would go on in the plain one: a step at 32^3 takes
        # 24 ms instead of 20. The stride of the channel tells it which is meant.
        size, _, *spatial = laid.stride()
        return laid.as_strided(laid.shape, (size, 1, *spatial))

    @property
    def name(self) -> str:
        """For records, e.g. `cpu bf16 channels_last_3d`, with the convolutions that run in another precision."""
        precision = {None: "float32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.dtype]
        name = f"{self.device.type} {precision} {str(self.memory_format).removeprefix('torch.')}"
        if not self.faulty:
            return name
        share = f"{len(self.faulty)} of {self.convolutions} convolutions"
        if self.dtype is None:
            return f"{name}; this processor gets {share} wrong in bf16"
        rest = ", ..." if len(self.faulty) > _LISTED else ""
        return f"{name}; {share} in float32 ({', '.join(self.faulty[:_LISTED])}{rest})"


def place(encoder: Encoder, compute: ComputeSpec, device: str, shape: tuple[int, ...]) -> Placement:
    """Choose precision and memory format for an encoder on a device.

    `auto` takes bf16 where the processor multiplies it in hardware and the encoder was measured to gain from it. On a
    CPU a convolution whose bf16 kernels do not agree with float32 runs in float32; where `auto` finds that of more than
    half of them, all do.

    Args:
        encoder: On the CPU; stays as it is.
        compute: Precision.
        device: cpu or cuda.
        shape: (C, *S) of an image.

    Raises:
        ConfigError: fp16 was asked for on a CPU, or CUDA where there is none.
    """
    if device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(f"`--device {device}` needs a CUDA device, and PyTorch finds none. Use `--device cpu`.")
    where = torch.device(device)
    if where.type == "cuda":
        # Of the kernels that cuDNN has, those that sum in one order: the same seed gives the same numbers.
        torch.backends.cudnn.deterministic = True
    if where.type == "cpu" and compute.precision == "fp16":
        raise ConfigError("`compute.precision: fp16` needs a GPU. Use bf16, float32 or auto on a CPU.")
    chosen = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    automatic = compute.precision == "auto"
    dtype = _automatic(encoder, where) if automatic else chosen[compute.precision]
    last = torch.channels_last_3d if len(shape) == 4 else torch.channels_last
    use_last = dtype is not None and len(shape) > 2 and (encoder.channels_last or where.type != "cpu")
    placement = Placement(where, dtype, last if use_last else torch.contiguous_format)
    if where.type != "cpu" or dtype is None:
        return placement
    found = convolutions_of(encoder, shape)
    faulty = tuple(find_faults(found, placement.lay_out, str(placement.memory_format)))
    if automatic and 2 * len(faulty) > len(found):
        placement = Placement(where, None, torch.contiguous_format)
    return replace(placement, convolutions=len(found), faulty=faulty)


def _automatic(encoder: Encoder, device: torch.device) -> torch.dtype | None:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if encoder.bf16 and cpu_multiplies_bf16() else None


def cpu_multiplies_bf16() -> bool:
    """Whether the CPU has bf16 dot products; emulated ones are slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def keep_freed_memory() -> None:
    """Let the C library keep what a step frees, for the next step, instead of handing it back to the system.

    Handed back, every activation is mapped and zeroed anew at every step: 5 % of a step of the small CNN. Does nothing
    where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(trim_threshold, 2**30)
        # glibc takes no more than half of an arena.
        mallopt(mmap_threshold, 2**25)


def warm_up(device: str) -> None:
    """Do what the first step in a process does once: start autograd's thread, load kernels, open the GPU.

    Draws no random numbers.
    """
    for ndim in (2, 3):
        images = torch.zeros(2, 1, *[8] * ndim, device=device)
        kernel = torch.zeros(1, 1, *[3] * ndim, device=device, requires_grad=True)
        convolved: Tensor = (F.conv2d if ndim == 2 else F.conv3d)(images, kernel)
        convolved.sum().backward()  # type: ignore[no-untyped-call]
