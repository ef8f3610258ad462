"""Random views of images: parameters are drawn on the CPU, then applied to a whole batch wherever it lies.

Drawing apart from applying makes a view a value: the same on every device, and recorded in a few numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ctlr.data.intensity import add_noise, blur, cut_out, drop_channels, shade, stain, tone
from ctlr.data.warp import AFFINE_POINTS, affine_control, control_noise, mirror, resample, rotations, turn
from ctlr.specs import ViewsSpec

__all__ = ["Views", "apply", "draw", "random_views"]

CHUNK_VOXELS = 2**17
"""A CPU takes so many voxels at a time: what passes from part to part then stays in its cache."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """What is done to each image of a batch: B rows a tensor, on the CPU, whatever parts are switched on."""

    spec: ViewsSpec
    """Which parts are applied, as `ViewsSpec.at` has them, and how strong the warp and the bias field are."""
    shape: tuple[int, ...]
    """Voxels along each of the D spatial axes."""
    rotate: Tensor
    """(B, 3) degrees, right-handed about axis 0, then 1, then 2; of pictures (B, 1), axis 0 towards axis 1. Signals and
    points are not turned."""
    translate: Tensor
    """(B, D) shares of the side; positive moves the content to higher indices."""
    scale: Tensor
    """(B, D) factors along the image's axes, applied before the rotation; above 1 enlarges."""
    crop: Tensor
    """(B,) side of the box that becomes the view, as a share of the side."""
    crop_centre: Tensor
    """(B, D) centre of that box from the middle, in shares of the side."""
    flip: Tensor
    """(B,) bool: mirror the left-right axis first of all."""
    warp_seed: Tensor
    """(B,) of the displacements at the control points, and of turns."""
    blur: Tensor
    """(B,) standard deviation in voxels."""
    bias_seed: Tensor
    """(B,) of the log field's control points, and of the stain."""
    contrast: Tensor
    """(B,) gains about the mean of the image."""
    brightness: Tensor
    """(B,) offsets in image units."""
    noise: Tensor
    """(B,) standard deviations in image units."""
    noise_seed: Tensor
    """(B,) of the noise in the voxels, which is drawn on the images' device and differs between kinds of device."""
    cutout: Tensor
    """(B, D, 2) first voxel of the box, and the one past its last."""
    drop_seed: Tensor | None = None
    """(B,) of the channels that are left out; of signals and points alone, as the next two."""
    partner: Tensor | None = None
    """(B,) int64 row of the batch that is mixed in."""
    mix: Tensor | None = None
    """(B,) its share."""

    def __len__(self) -> int:
        return len(self.flip)

    def __getitem__(self, rows: slice) -> Views:
        """The views of some of the images."""
        return Views(
            spec=self.spec, shape=self.shape, **{name: tensor[rows] for name, tensor in self._tensors().items()}
        )

    def record(self) -> dict[str, Any]:
        """Everything that was drawn, for JSON; `from_record` makes the same views of it."""
        drawn = {name: tensor.tolist() for name, tensor in self._tensors().items()}
        return {"spec": self.spec.model_dump(mode="json"), "shape": list(self.shape), **drawn}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Views:
        """Views from what `record` returned."""
        drawn = {name: torch.tensor(values) for name, values in record.items() if name not in ("spec", "shape")}
        return cls(spec=ViewsSpec(**record["spec"]), shape=tuple(record["shape"]), **drawn)

    def _tensors(self) -> dict[str, Tensor]:
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: drawn for name, drawn in found.items() if isinstance(drawn, Tensor)}


def random_views(images: Tensor, spec: ViewsSpec, rng: torch.Generator) -> Tensor:
    """A random view of each image; see `draw` and `apply`."""
    return apply(draw(spec, len(images), tuple(images.shape[2:]), rng), images)


def draw(spec: ViewsSpec, batch: int, shape: tuple[int, ...], rng: torch.Generator) -> Views:
    """Draw the parameters of one view an image.

    As many numbers are drawn whatever parts `spec` switches on: switching one off leaves the others as they were.

    Args:
        spec: How strong the views are.
        batch: Number of images, B.
        shape: Voxels along each spatial axis: three numbers at most, none of points.
        rng: A generator on the CPU.

    Raises:
        ValueError: `shape` has more than three axes.
    """
    if len(shape) > 3:
        raise ValueError(f"`shape` must have 3 spatial axes at most; got {shape}.")
    axes, spec = len(shape), spec.at(len(shape))
    sides = torch.tensor(shape)

    def uniform(low: float, high: float, *columns: int) -> Tensor:
        return low + (high - low) * torch.rand(batch, *columns, generator=rng)

    def seeds() -> Tensor:
        return torch.randint(2**31, (batch,), generator=rng)

    crop = uniform(spec.crop, 1)
    box = (uniform(0, spec.cutout, 1) * sides).round().long()
    first = (torch.rand(batch, axes, generator=rng) * (sides - box + 1)).long()
    views = Views(
        spec=spec,
        shape=shape,
        rotate=uniform(-spec.rotate, spec.rotate, 3 if axes == 3 else 1),
        translate=uniform(-spec.translate, spec.translate, axes),
        scale=uniform(-spec.scale, spec.scale, axes).exp(),
        crop=crop,
        crop_centre=uniform(-0.5, 0.5, axes) * (1 - crop[:, None]),
        flip=uniform(0, 1) < spec.flip,
        warp_seed=seeds(),
        blur=uniform(0, spec.blur),
        bias_seed=seeds(),
        contrast=uniform(-spec.contrast, spec.contrast).exp(),
        brightness=uniform(-spec.brightness, spec.brightness),
        noise=uniform(0, spec.noise),
        noise_seed=seeds(),
        cutout=torch.stack((first, first + box), -1),
    )
    if axes > 1:
        return views
    partner = torch.randint(max(batch, 1), (batch,), generator=rng)
    return replace(views, drop_seed=seeds(), partner=partner, mix=uniform(0, spec.mix))


def apply(views: Views, images: Tensor) -> Tensor:
    """Make the views: turn; flip, scale, rotate, translate, crop, warp; stain; blur, bias, contrast and so on.

    What moves voxels is one resampling, but for a turn. Values change in this order: stain, blur, bias, contrast,
    brightness, noise, cut out. A part whose strength in `views.spec` is 0 costs nothing; with all of them 0 the images
    themselves come back. What becomes of an image does not depend on the others, unless signals or points are mixed,
    which comes first; their channels are dropped last.

    Args:
        views: As many views as images, for their shape.
        images: (B, C, *S) of any float type and device; gradients pass through. Half-precision ones are
            computed in float32.

    Returns:
        (B, C, *S), of the same type and device.

    Raises:
        ValueError: The views are for another number of images or another shape.
    """
    if len(views) != len(images) or views.shape != tuple(images.shape[2:]):
        raise ValueError(
            f"Views are for {len(views)} images of {views.shape}; "
            f"got {len(images)} of {tuple(images.shape[2:])}. Draw them for these."
        )
    spec = views.spec
    if views.mix is not None and views.partner is not None and spec.mix:
        images = _mixed(images, views.partner, views.mix)
    if not (_moves_voxels(spec) or _changes_values(spec) or spec.flip or spec.turn):
        return images
    precision = torch.promote_types(images.dtype, torch.float32)
    control = _control(views).to(precision).to(images.device) if _moves_voxels(spec) else None
    chunks = _chunks(images)
    with torch.autocast(images.device.type, enabled=False):
        if len(chunks) == 1:
            return _make(views, images.to(precision), control).to(images.dtype)
        made = torch.empty_like(images, memory_format=torch.contiguous_format)
        for rows in chunks:
            made[rows] = _make(views[rows], images[rows].to(precision), None if control is None else control[rows])
    return made


def _mixed(images: Tensor, partners: Tensor, shares: Tensor) -> Tensor:
    """Each image with a share of another one of the batch, in its place."""
    shares = shares.to(images).view(-1, *[1] * (images.ndim - 1))
    return torch.lerp(images, images[partners.to(images.device)], shares)


def _chunks(images: Tensor) -> list[slice]:
    """The rows to take at a time: on a CPU few, but one a thread (it is rows that torch's sampler shares out)."""
    size = max(len(images), 1)
    if images.device.type == "cpu" and not (images.requires_grad and torch.is_grad_enabled()):
        size = max(torch.get_num_threads(), CHUNK_VOXELS // images.shape[1:].numel())
    return [slice(start, start + size) for start in range(0, max(len(images), 1), size)]


def _make(views: Views, images: Tensor, control: Tensor | None) -> Tensor:
    """The views of a chunk; `control` says where to read if voxels move."""
    if views.spec.turn:
        images = turn(images, views.warp_seed, views.spec.turn)
    if control is not None:
        images = resample(images, control)
    elif views.spec.flip:
        images = mirror(images, views.flip, _left_right(views.shape))
    return _change_values(views, images)


# ---------------------------------------------------------------- where each voxel reads


def _moves_voxels(spec: ViewsSpec) -> bool:
    return any((spec.rotate, spec.translate, spec.scale, spec.warp, spec.crop < 1))


def _left_right(shape: tuple[int, ...]) -> int:
    """The axis that is mirrored: the first of RAS volumes, the last of pictures, time of signals."""
    return 0 if len(shape) == 3 else len(shape) - 1


def _control(views: Views) -> Tensor:
    """(B, D, P, .., P) coefficients of the spline that says where each voxel of the view reads.

    Content at q goes to p = A q + translate, with A = rotation @ scale @ flip, and the view's voxel x shows
    p = crop_centre + crop x. So x reads at A^-1 (crop x + crop_centre - translate), plus the warp.
    """
    spec, shape = views.spec, views.shape
    sides = torch.tensor(shape, dtype=torch.float64)
    signs = torch.ones_like(sides).repeat(len(views), 1)
    signs[views.flip, _left_right(shape)] = -1
    turned = rotations(views.rotate).mT if len(shape) > 1 else torch.ones(len(views), 1, 1, dtype=torch.float64)
    inverse = turned * (signs / views.scale)[:, :, None]
    shift = inverse @ ((views.crop_centre - views.translate) * sides)[:, :, None]
    linear = inverse * views.crop[:, None, None]
    if not spec.warp:
        return affine_control(linear, shift[:, :, 0], shape, AFFINE_POINTS)
    control = affine_control(linear, shift[:, :, 0], shape, spec.warp_points)
    deviation = (spec.warp * sides).view(-1, *[1] * len(shape))
    return control + deviation * control_noise(views.warp_seed, len(shape), (spec.warp_points,) * len(shape))


# ---------------------------------------------------------------- what each voxel shows


def _changes_values(spec: ViewsSpec) -> bool:
    values = (spec.blur, spec.bias, spec.contrast, spec.brightness, spec.noise, spec.cutout, spec.stain, spec.drop)
    return any(values)


def _change_values(views: Views, images: Tensor) -> Tensor:
    spec = views.spec
    if spec.stain:
        images = stain(images, views.bias_seed, spec.stain)
    if spec.blur:
        images = blur(images, views.blur)
    if spec.bias:
        images = shade(images, views.bias_seed, spec.bias)
    if spec.contrast or spec.brightness:
        images = tone(images, views.contrast, views.brightness)
    if spec.noise:
        images = add_noise(images, views.noise_seed, views.noise)
    if spec.cutout:
        images = cut_out(images, views.cutout)
    if spec.drop and views.drop_seed is not None:
        images = drop_channels(images, views.drop_seed, spec.drop)
    return images
