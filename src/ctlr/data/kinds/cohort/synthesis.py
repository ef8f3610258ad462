"""Render a T1-weighted volume of an imaginary brain from the template.

One subject at a time: what a volume looks like depends on its own traits, nuisance and generator alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from ctlr.data.kinds.cohort.template import Template, load_template

__all__ = ["FIELD_OF_VIEW", "Nuisance", "Renderer", "Site", "Traits", "bspline_weights"]

FIELD_OF_VIEW = 192.0
"""Edge of the cube that is imaged, mm."""

_CENTRE = np.array([0.0, -16.0, 8.0])  # of the cube, MNI mm: the middle of the brain
_SIZE = 0.94  # linear, of the average brain: the template is larger than real brains are

# T1 intensities of the template's tissues (white matter at 3 T is its brightest, 0.9).
_GREY, _WHITE, _CSF = 0.65, 0.865, 0.30


class Traits(NamedTuple):
    """What is particular about a brain; 0 is the average 50-year-old, 1 about one standard deviation."""

    ventricles: float
    """Enlargement of the lateral ventricles."""
    thinning: float
    """Loss of cortex, everywhere."""
    frontal_thinning: float
    """Loss of cortex in the frontal lobes, on top."""
    temporal_atrophy: float
    """Shrinkage of the medial temporal lobes."""
    contrast_loss: float
    """Grey and white matter come closer in intensity."""
    lesions: float
    """Dark halo of white matter round the ventricles (white-matter hyperintensities are dark in T1)."""
    head_size: float
    """Linear size of everything, 3 % for 1."""
    sylvian_fissures: float
    """Widening of the Sylvian fissures."""
    basal_ganglia: float
    """Brightness of the deep grey matter (iron)."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A scanner."""

    name: str
    noise: float
    """Multiplies the noise's standard deviation."""
    grey: float
    """Relative change of the grey matter's intensity, scaled with the nuisance."""


@dataclass(frozen=True, kw_only=True)
class Nuisance:
    """What differs between images and tells nothing of age or sex."""

    rotation: NDArray[np.float64]
    """(3,) rotation vector, degrees."""
    shift: NDArray[np.float64]
    """(3,) mm."""
    stretch: float
    """Log-scale along x; its negative along y."""
    coarse_warp: Tensor
    """(3, 7, 7, 7) control points of a displacement, mm; 48 mm apart."""
    fine_warp: Tensor
    """(3, 13, 13, 13) control points of a displacement, mm; 19 mm apart."""
    bias: Tensor
    """(1, 5, 5, 5) control points of the log bias field; 96 mm apart."""
    tissue: NDArray[np.float64]
    """(3,) relative change of the intensity of grey matter, white matter and CSF."""
    gain: float
    """Log of the receiver's gain."""

    @classmethod
    def draw(cls, rng: np.random.Generator, scale: float) -> Nuisance:
        """Draw one subject's nuisance; `scale` multiplies every standard deviation except the gain's."""

        def lattice(channels: int, points: int, sd: float) -> Tensor:
            return torch.from_numpy(rng.standard_normal((channels, points, points, points)) * (scale * sd)).float()

        return cls(
            rotation=scale * 3.0 * rng.standard_normal(3), shift=scale * 2.0 * rng.standard_normal(3),
            stretch=scale * 0.02 * rng.standard_normal(), coarse_warp=lattice(3, 7, 2.5), fine_warp=lattice(3, 13, 1.2),
            bias=lattice(1, 5, 0.15), tissue=scale * 0.03 * rng.standard_normal(3), gain=0.2 * rng.standard_normal(),
        )  # fmt: skip


class Renderer:
    """Renders volumes on a cubic RAS grid of `FIELD_OF_VIEW`.

    Args:
        spacing: Edge of a voxel, mm.

    Attributes:
        shape: (I, J, K) of a volume.
        affine: (4, 4) from voxel to MNI mm.
    """

    def __init__(self, spacing: float) -> None:
        template = load_template()
        side = round(FIELD_OF_VIEW / spacing)
        self.shape = (side, side, side)
        self.affine = np.diag([spacing, spacing, spacing, 1.0])
        self.affine[:3, 3] = _CENTRE - (side - 1) / 2 * spacing
        self._axis = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2) * spacing
        self._maps = torch.from_numpy(_antialiased(_layers(template), template.spacing, spacing))
        self._fields = torch.from_numpy(template.fields)
        self._origin = torch.from_numpy(template.origin).float().view(3, 1, 1, 1)
        self._map_spacing, self._field_spacing = template.spacing, template.field_spacing

    def render(
        self, traits: Traits, nuisance: Nuisance, *, noise: float, grey: float = 0.0, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Render one volume.

        Args:
            traits: The brain.
            nuisance: The image.
            noise: Standard deviation of the Rician noise, in units of the intensity (white matter is 0.865).
            grey: The site's relative change of the grey matter's intensity.
            rng: Draws the noise.

        Returns:
            (I, J, K), at least 0.
        """
        # The intensity is linear in the layers: one map is read at the points, not eight.
        brain = torch.tensordot(_amounts(traits, nuisance, grey), self._maps, dims=1)
        image = _sample(brain[None], self._points(traits, nuisance), self._origin, self._map_spacing)[0].clamp_(min=0)
        image *= torch.exp(self._upsampled(nuisance.bias)[0])
        real, imaginary = torch.from_numpy(rng.standard_normal((2, *self.shape), dtype=np.float32)) * noise
        image = torch.hypot(image + real, imaginary)
        return np.asarray((image * float(np.exp(nuisance.gain))).numpy())

    def _points(self, traits: Traits, nuisance: Nuisance) -> Tensor:
        """Where in the template each voxel is read: (3, I, J, K), mm."""
        matrix = Rotation.from_rotvec(nuisance.rotation, degrees=True).as_matrix()
        # Reading the template in larger steps makes the brain smaller.
        matrix = matrix / _SIZE * np.exp(nuisance.stretch * np.array([1, -1, 0]) - 0.03 * traits.head_size)
        x, y, z = self._axis.view(-1, 1, 1), self._axis.view(1, -1, 1), self._axis.view(1, 1, -1)
        offsets = _CENTRE + nuisance.shift
        points = torch.stack(
            [a * x + b * y + c * z + offset for (a, b, c), offset in zip(matrix, offsets, strict=True)]
        )
        amounts = torch.tensor([
            0.8 + 2.5 * traits.ventricles, 0.3 + 1.1 * traits.sylvian_fissures, 0.2 + 1.3 * traits.temporal_atrophy
        ], dtype=torch.float32)  # fmt: skip
        displacement = torch.tensordot(amounts, self._fields, dims=1)
        anatomy = _sample(displacement, points, self._origin, self._field_spacing)
        return points + anatomy + self._upsampled(nuisance.coarse_warp) + self._upsampled(nuisance.fine_warp)

    def _upsampled(self, lattice: Tensor) -> Tensor:
        """Free-form field from control points (Rueckert et al. 1999, eq. 1): (C, n, n, n) to (C, I, J, K)."""
        weights = bspline_weights(self.shape[0], lattice.shape[1])
        for _ in range(3):  # contracts the first spatial axis and appends it, so the third pass restores the order
            lattice = torch.tensordot(lattice, weights, dims=([1], [1]))
        return lattice


def bspline_weights(side: int, points: int) -> Tensor:
    """Cubic B-spline weights of `points` evenly spaced control points at `side` positions: (side, points).

    Rows have unit length instead of unit sum, so independent control points of one standard deviation make a
    field of that standard deviation everywhere.
    """
    position = np.linspace(1.0, points - 2.0, side)
    first = np.clip(np.floor(position).astype(int), 1, points - 3)
    t = position - first
    basis = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1)
    weights = np.zeros((side, points))
    np.put_along_axis(weights, first[:, None] + np.arange(-1, 3), basis, axis=1)
    return torch.from_numpy(weights / np.linalg.norm(weights, axis=1, keepdims=True)).float()


def _layers(template: Template) -> NDArray[np.float32]:
    """What an image is made of, (8, I, J, K); see `_amounts`."""
    # What three tissues do not explain of the template's T1: kept, so that the image has all of its anatomy.
    residual = template.t1 - _GREY * template.grey - _WHITE * template.white - _CSF * template.csf
    y = template.origin[1] + template.spacing * np.arange(template.t1.shape[1], dtype=np.float32)
    frontal = np.clip((y - 5) / 25, 0, 1).reshape(1, -1, 1) * template.cortex
    return np.stack([
        residual, template.grey, template.white, template.csf,
        template.cortex, frontal, template.periventricular, template.basal_ganglia,
    ]).astype(np.float32)  # fmt: skip


def _antialiased(layers: NDArray[np.float32], spacing: float, target: float) -> NDArray[np.float32]:
    """Smooth (C, I, J, K) for sampling at a coarser spacing; 0.35 voxels of the target, less what there is already."""
    sigma = 0.35 * np.sqrt(max(target**2 - spacing**2, 0.0)) / spacing
    return np.asarray(ndimage.gaussian_filter(layers, sigma, axes=(1, 2, 3))) if sigma > 0 else layers


def _sample(maps: Tensor, points: Tensor, origin: Tensor, spacing: float) -> Tensor:
    """Read maps (C, I, J, K) at points (3, *S) in mm, linearly, 0 outside: (C, *S)."""
    extent = torch.tensor([spacing * (side - 1) for side in maps.shape[1:]]).view(3, 1, 1, 1)
    grid = 2 * (points - origin) / extent - 1
    grid = grid.flip(0).movedim(0, -1)  # grid_sample wants the last axis first, and channels last
    return F.grid_sample(maps[None], grid[None], align_corners=True).squeeze(0)


def _amounts(traits: Traits, nuisance: Nuisance, site_grey: float) -> Tensor:
    """(8,) of each layer in the image without bias field and noise."""
    flattening = 0.018 * traits.contrast_loss
    change_grey, change_white, change_csf = (1 + nuisance.tissue).tolist()
    grey = _GREY * (change_grey + site_grey) + flattening
    csf = _CSF * change_csf
    thinned = csf - grey  # lost cortex becomes fluid
    return torch.tensor([
        1.0, grey, _WHITE * change_white - flattening, csf,
        _between(0.22 + 0.10 * traits.thinning, 0, 0.8) * thinned,
        _between(0.12 * traits.frontal_thinning, -0.3, 0.5) * thinned,
        -_between(0.10 + 0.07 * traits.lesions, 0, 0.4), 0.035 * traits.basal_ganglia,
    ], dtype=torch.float32)  # fmt: skip


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
