"""Random augmentations of volumes (B, 1, D, H, W)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def flip(images: Tensor) -> Tensor:
    """Swap left and right of every second image."""
    mirrored = torch.rand(len(images), 1, 1, 1, 1) < 0.5
    return torch.where(mirrored, images.flip(2), images)


def warp(
    images: Tensor, *, rotate: float = 8.0, translate: float = 0.04, scale: float = 0.06, elastic: float = 0.01
) -> Tensor:
    """Rotate by degrees, move by a share of the side, scale, and bend by a coarse random field."""
    batch = len(images)

    def uniform(limit: float) -> Tensor:
        return (2 * torch.rand(batch, 3) - 1) * limit

    x, y, z = uniform(torch.pi * rotate / 180).unbind(1)
    zero = torch.zeros(batch)
    generator = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(batch, 3, 3)
    matrix = torch.matrix_exp(generator) * uniform(scale).exp()[:, None]
    # grid_sample counts from -1 to 1, so that a side is 2 long.
    theta = torch.cat([matrix, 2 * uniform(translate)[:, :, None]], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    bend = F.interpolate(torch.randn(batch, 3, 5, 5, 5), images.shape[2:], mode="trilinear", align_corners=True)
    grid = grid + 2 * elastic * bend.movedim(1, -1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
