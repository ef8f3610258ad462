"""Preprocess one image.

A volume comes to RAS, isotropic voxels and a fixed shape around the centre of its field of view; a picture is cut and
resized. Each is normalised by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctlr.data.coverage import picture_coverage, volume_coverage
from ctlr.data.listing import IndexedImage
from ctlr.data.nifti import Volume, read_volume
from ctlr.data.normalise import encode, foreground, normalise
from ctlr.data.picture import fitted, picture_digest, read_picture
from ctlr.data.resample import Grid, centred_grid, resample
from ctlr.errors import DataError
from ctlr.specs import Coverage, PreprocessSpec

__all__ = ["Row", "fitted_row", "picture_row", "volume_row"]


class Row(NamedTuple):
    """One image, preprocessed."""

    values: NDArray[Any]
    """(C, *shape) as it is stored."""
    digest: str
    """Of its content."""
    coverage: Coverage | None = None
    """None where there is no box that it could fill: of points and signals."""


def volume_row(
    image: IndexedImage, root: Path, options: PreprocessSpec, read: Callable[[Path], Volume] = read_volume
) -> Row:
    """Preprocess one volume.

    Args:
        image: Which one, with its mask.
        root: Folder of the files.
        options: What becomes of it.
        read: Reads the volume and its mask.

    Raises:
        DataError: It cannot be used. The caller names the file.
    """
    volume = read(root / image.file)
    grid = centred_grid(Grid(affine=volume.affine, shape=volume.voxels.shape), options.shape, options.spacing)
    darkest = None if volume.slope > 0 else float(volume.voxels.max())  # goes around the field of view
    values = resample(volume.voxels, volume.affine, grid, fill=darkest)
    values *= np.float32(volume.slope)
    values += np.float32(volume.inter)
    if values.min() == values.max():
        raise DataError(f"the image is empty: around its centre every voxel is {values[0, 0, 0]:g}. Export it again.")
    mask = None if image.mask is None else _read_mask(root / image.mask, image.mask, read)
    reference = foreground(values) if mask is None else values[_brain(mask, str(image.mask), grid)]
    stored = encode(normalise(values, options.normalise, reference), options)[None]
    return Row(stored, volume.digest(), volume_coverage(volume, mask, grid))


def picture_row(
    image: IndexedImage, root: Path, options: PreprocessSpec, read: Callable[[Path], Image.Image] = read_picture
) -> Row:
    """Preprocess one picture.

    Args:
        image: Which one.
        root: Folder of the files.
        options: What becomes of it.
        read: Reads the picture: upright, in mode RGB, L or F.

    Raises:
        DataError: It cannot be used. The caller names the file.
    """
    picture = read(root / image.file)
    return fitted_row(picture, picture_digest(picture), options)


def fitted_row(picture: Image.Image, digest: str, options: PreprocessSpec) -> Row:
    """Preprocess a picture that was read.

    Args:
        picture: Upright, in mode RGB, L or F.
        digest: Of its content.
        options: What becomes of it.

    Raises:
        DataError: A pixel is no finite number, or all are the same.
    """
    values = fitted(picture, shape=options.shape, channels=options.channels)
    stored = encode(normalise(values, options.normalise, values), options)
    return Row(stored, digest, picture_coverage(picture.size, options.shape))


def _read_mask(path: Path, name: str, read: Callable[[Path], Volume]) -> Volume:
    try:
        return read(path)
    except DataError as error:
        raise DataError(f"its mask: {error.reason}", place=name) from error


def _brain(mask: Volume, name: str, grid: Grid) -> NDArray[np.bool_]:
    """Where the mask, brought to the grid by its own affine, is on: somewhere at least."""
    on = (mask.voxels * mask.slope + mask.inter > 0.5).astype(np.uint8, order="F")
    brain = resample(on, mask.affine, grid, fill=0) > 0.5
    if not brain.any():
        raise DataError("the mask must mark the brain; nothing of it lies in the image. Correct the mask.", place=name)
    return brain
