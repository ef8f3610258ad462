"""Changes of what voxels show: stain, blur, shading, contrast and brightness, noise, cut-out.

Each takes (B, C, *S) images in float32 or float64 on any device and one strength an image (on the CPU), returns
new images and lets gradients through. A channel is treated as an image of its own.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ctlr.data.warp import control_noise, separable, spline_weights

__all__ = ["add_noise", "blur", "cut_out", "drop_channels", "shade", "stain", "tone"]

SHADE_POINTS = 5
"""Control points of the shading along each axis: two intervals, about as smooth as a receive coil's field."""


def blur(images: Tensor, deviations: Tensor) -> Tensor:
    """Gaussian blur whose borders reflect: diffusion in the cosine basis, exact for any width; keeps the mean.

    Args:
        images: (B, C, *S).
        deviations: (B,) standard deviations in voxels.
    """
    return separable(images, [_blur_matrices(deviations.to(images), side) for side in images.shape[2:]])


def _blur_matrices(deviations: Tensor, side: int) -> Tensor:
    """(B, 1, side, side): the blur of one axis."""
    basis, frequencies = _cosines(side, deviations.dtype, deviations.device)
    damping = torch.exp(-0.5 * (deviations[:, None] * frequencies) ** 2)
    return ((basis.T * damping[:, None]) @ basis)[:, None]


@lru_cache(maxsize=16)
def _cosines(side: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Orthonormal DCT-II basis (side, side), a frequency a row, and those frequencies in radians a voxel."""
    frequencies = torch.arange(side, dtype=torch.float64) * torch.pi / side
    basis = torch.cos(frequencies[:, None] * (torch.arange(side) + 0.5)) * (2 / side) ** 0.5
    basis[0] /= 2**0.5
    return basis.to(dtype).to(device), frequencies.to(dtype).to(device)


def shade(images: Tensor, seeds: Tensor, deviation: float) -> Tensor:
    """Multiply by a smooth random field about 1, as a receive coil does.

    The field acts on what stands above the image's minimum. That is where no signal lies, wherever
    normalisation has put it.

    Args:
        images: (B, C, *S).
        seeds: (B,) of the fields.
        deviation: Standard deviation of the field's logarithm at a control point.
    """
    sides = images.shape[2:]
    control = control_noise(seeds, 1, (SHADE_POINTS,) * len(sides)).to(images) * deviation
    weights = [spline_weights(side, SHADE_POINTS, images.dtype, images.device) for side in sides]
    floor = images.amin(tuple(range(2, images.ndim)), keepdim=True)
    return torch.lerp(floor, images, separable(control, weights).exp())


def tone(images: Tensor, gains: Tensor, offsets: Tensor) -> Tensor:
    """Stretch contrast about the image's mean and shift brightness.

    Args:
        images: (B, C, *S).
        gains: (B,) factors; 1 keeps the contrast.
        offsets: (B,) in image units.
    """
    gain = _column(gains, images)
    return torch.addcmul(_mean(images) * (1 - gain) + _column(offsets, images), images, gain)


_STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Optical density in red, green and blue of haematoxylin, eosin and DAB (Ruifrok & Johnston 2001)."""
_DARKEST = 1e-6
_STAIN_STREAM = 2**32  # the seed is the shading's, its numbers are others


def stain(images: Tensor, seeds: Tensor, strength: float) -> Tensor:
    """Stain sections more or less strongly: jitter of haematoxylin, eosin and DAB.

    Colour is parted into the three by the Lambert-Beer law (Ruifrok & Johnston 2001); each is multiplied and shifted,
    and colour is made of them again (Tellez et al. 2018, doi:10.1109/TMI.2018.2820199; 2019, arXiv:1902.06543).
    Densities are logarithms to the base 1e-6, as in scikit-image.

    Args:
        images: (B, 3, H, W) red, green and blue, 0 to 1; what lies outside is cut off.
        seeds: (B,) of the factors and shifts.
        strength: Both lie within this much of 1 and of 0.

    Raises:
        ValueError: The images have another number of channels.
    """
    if images.shape[1] != 3:
        raise ValueError(f"`stain` needs red, green and blue; got {images.shape[1]} channels. Set `channels: 3`.")
    generator = torch.Generator()
    drawn = [torch.rand(2, 3, generator=generator.manual_seed(seed + _STAIN_STREAM)) for seed in seeds.tolist()]
    jitter = (torch.stack(drawn) * 2 - 1).to(images) * strength
    colours = torch.tensor(_STAINS, dtype=torch.float64)
    # Density (row) = amounts @ colours, so amounts = density @ inverse; both steps and the factors are one matrix.
    inverse = torch.linalg.inv(colours).to(images)
    colours = colours.to(images)
    changed = (inverse * (1 + jitter[:, 0])[:, None, :]) @ colours
    shift = jitter[:, 1] @ colours
    base = torch.log(torch.tensor(_DARKEST, dtype=torch.float64)).item()
    density = images.clamp(_DARKEST, 1).log() / base
    density = torch.einsum("bchw,bcd->bdhw", density, changed) + shift[:, :, None, None]
    return (density * base).exp().clamp(0, 1)


def add_noise(images: Tensor, seeds: Tensor, deviations: Tensor) -> Tensor:
    """Add Gaussian noise, drawn on the images' device from a seed an image.

    Args:
        images: (B, C, *S).
        seeds: (B,); on another kind of device they give other noise.
        deviations: (B,) in image units.
    """
    generator = torch.Generator(images.device)
    noise = torch.empty_like(images, memory_format=torch.contiguous_format)
    for field, seed in zip(noise, seeds.tolist(), strict=True):
        field.normal_(generator=generator.manual_seed(seed))
    return torch.addcmul(images, noise, _column(deviations, images))


def cut_out(images: Tensor, boxes: Tensor) -> Tensor:
    """Set the voxels of one box to the image's mean.

    Args:
        images: (B, C, *S).
        boxes: (B, D, 2) first voxel along each axis, and the one past the last.
    """
    axes = images.ndim - 2
    inside = torch.ones((), dtype=torch.bool, device=images.device)
    for axis, edges in enumerate(boxes.to(images.device).unbind(1)):
        places = torch.arange(images.shape[2 + axis], device=images.device)
        within = (places >= edges[:, :1]) & (places < edges[:, 1:])
        inside = inside & within.view(-1, 1, *[within.shape[1] if other == axis else 1 for other in range(axes)])
    return torch.where(inside, _mean(images), images)


def drop_channels(images: Tensor, seeds: Tensor, probability: float) -> Tensor:
    """Set channels to 0, all but one at most.

    Args:
        images: (B, C, *S).
        seeds: (B,) of what is dropped; drawn on the CPU.
        probability: Of each channel.
    """
    generator, channels = torch.Generator(), images.shape[1]
    drawn = torch.stack([torch.rand(channels, generator=generator.manual_seed(seed)) for seed in seeds.tolist()])
    kept = (drawn >= probability) | (drawn == drawn.amax(1, keepdim=True))
    return images * kept.to(images).view(len(images), channels, *[1] * (images.ndim - 2))


def _column(values: Tensor, images: Tensor) -> Tensor:
    """(B,) numbers as (B, 1, 1, ..), beside the images."""
    return values.to(images).view(-1, *[1] * (images.ndim - 1))


def _mean(images: Tensor) -> Tensor:
    """(B, C, 1, ..) mean over the voxels."""
    return images.mean(tuple(range(2, images.ndim)), keepdim=True)
