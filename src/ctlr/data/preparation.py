"""What stood between files and a trained network, and whether an array or a file fits it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctlr import __version__
from ctlr.data.identity import RULES
from ctlr.data.kinds.image_names import ENDINGS
from ctlr.data.kinds.scans import mask_beside
from ctlr.data.listing import IndexedImage
from ctlr.data.normalise import decode, value_range
from ctlr.data.picture import read_picture
from ctlr.data.rows import picture_row, volume_row
from ctlr.data.store import ArrayStore
from ctlr.errors import DataError
from ctlr.specs import Coverage, DataTask, Preparation, PreprocessSpec

__all__ = ["check_images", "preparation_of", "prepare_files"]

_SLACK = 0.1
"""Share of the box, and of what an image shows, by which it may fall short of the worst image of the dataset."""
_STRETCH = 2.0
"""Times that an image may be more enlarged than any image of the dataset."""
_SHOWN = 10
_VOLUMES = (".nii", ".nii.gz")


def preparation_of(end: DataTask, store: ArrayStore, rows: npt.NDArray[np.int64]) -> Preparation | None:
    """How a dataset's files became arrays; None for points and signals, which are predicted from arrays alone.

    Args:
        end: The dataset and what is predicted from it.
        store: Its arrays.
        rows: That are trained on; without normalisation they say which values there are.
    """
    arrays, options = store.arrays, end.data.preprocess
    if not isinstance(options, PreprocessSpec):
        return None
    volumes = end.data.ndim == 3
    low, high = value_range(options)
    if options.normalise == "none":
        extremes = [(float(image.min()), float(image.max())) for row in rows for image in store.read([row])]
        low, high = min(pair[0] for pair in extremes), max(pair[1] for pair in extremes)
    return Preparation(
        ctlr=__version__, rules=RULES, kind="volume" if volumes else "picture", preprocess=options,
        orientation="RAS" if volumes else "upright", channels="grey" if arrays.shape[0] == 1 else "RGB",
        masks="none" if not arrays.masked else "all" if arrays.masked == arrays.rows else "some",
        low=low, high=high, ground="black" if volumes else "white", coverage=arrays.coverage,
        units=arrays.units.get(end.task.target, ""),
    )  # fmt: skip


def check_images(
    images: npt.NDArray[np.float32], shape: Sequence[int], preparation: Preparation | None, names: Sequence[str] = ()
) -> None:
    """Refuse arrays that no preprocessing of these options gives.

    Args:
        images: Should be (N, *shape), prepared.
        shape: (C, *spatial) of one image.
        preparation: Of the model; None checks shape and numbers alone.
        names: Of the images; by default their place in the array.

    Raises:
        DataError: Names the image, the rule, the value and the remedy.
    """
    if images.ndim != 1 + len(shape) or images.shape[1:] != tuple(shape):
        single = images.shape == tuple(shape)
        raise DataError(
            f"images must have the shape (N, {', '.join(map(str, shape))}); got {images.shape}. "
            + (
                "Put one image as images[None]."
                if single
                else "Prepare them as the model's were, or predict from files."
            )
        )
    for number, image in enumerate(images):
        low, high = float(image.min()), float(image.max())
        if (wanted := _broken_range(low, high, preparation)) is not None:
            name = names[number] if names else f"image {number}"
            raise DataError(
                f"{name}: {wanted}; its values run from {low:g} to {high:g}. "
                "Prepare it as the model's images were, or predict from files."
            )


def _broken_range(low: float, high: float, preparation: Preparation | None) -> str | None:
    """The rule that values break; None where they keep it."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "every value must be finite"
    if preparation is None:
        return None
    how, within = preparation.preprocess.normalise, preparation
    if how == "none":
        # No rule bounds them; other scanners may be brighter, but 0-255 is not 0-1.
        width = within.high - within.low
        if low < within.low - width or high > within.high + width:
            return f"the model was trained on values from {within.low:g} to {within.high:g}, not normalised"
    elif low < within.low or high > within.high:
        kept = f"`normalise: {how}` kept as {preparation.preprocess.dtype}"
        return f"{kept} gives values from {within.low:g} to {within.high:g}"
    elif how == "zscore" and not low < 0 < high:
        return "`normalise: zscore` gives values on both sides of 0"
    elif how == "percentile" and (low > 0.01 or high < 0.99):
        return "`normalise: percentile` reaches from 0 to 1"
    return None


def prepare_files(
    files: Sequence[Path], preparation: Preparation, masks: Sequence[Path | None] | None = None
) -> npt.NDArray[np.float32]:
    """Prepare files as those were that a model was trained on.

    Args:
        files: NIfTI volumes or pictures.
        preparation: Of the model.
        masks: Of the brain, one a file; by default the `*_mask.nii[.gz]` that BIDS names put beside each file, where
            the model was trained on images with masks.

    Returns:
        (N, C, *S).

    Raises:
        DataError: Files do not fit; names the first ten with the rule, the value and the remedy.
    """
    shape = (1 if preparation.channels == "grey" else 3, *preparation.preprocess.shape)
    images = np.empty((len(files), *shape), np.float32)
    faults = []
    for place, (file, mask) in enumerate(zip(files, _masks_of(files, preparation, masks), strict=True)):
        try:
            images[place] = _prepare(file, mask, preparation)
        except DataError as error:
            faults.append(f"{file}: {error}")
    if faults:
        raise DataError("\n".join([*faults[:_SHOWN], *([f"and {len(faults) - _SHOWN} more"] * (len(faults) > _SHOWN))]))
    if preparation.preprocess.normalise == "none":
        check_images(images, shape, preparation, [str(file) for file in files])
    return images


def _masks_of(
    files: Sequence[Path], preparation: Preparation, masks: Sequence[Path | None] | None
) -> Iterable[Path | None]:
    if masks is not None:
        if len(masks) != len(files):
            raise DataError(f"`masks` needs one entry a file, or None: {len(files)} files, {len(masks)} masks.")
        return masks
    return [None if preparation.masks == "none" else mask_beside(file) for file in files]


def _prepare(file: Path, mask: Path | None, preparation: Preparation) -> npt.NDArray[np.float32]:
    """(C, *S); raises DataError, without the file's name, where it does not fit."""
    kind = "volume" if file.name.endswith(_VOLUMES) else "picture" if file.suffix.lower() in ENDINGS else "file"
    if kind not in ("file", preparation.kind):
        wanted = "NIfTI volumes" if preparation.kind == "volume" else "pictures"
        raise DataError(f"the model predicts from {wanted}; this is a {kind}. Name another file, or another model.")
    if mask is None and preparation.masks == "all":
        raise DataError(
            "every image that the model was trained on was normalised inside a mask of the brain, and this one has "
            "none. Put a `*_desc-brain_mask.nii.gz` beside it, or give `masks`."
        )
    if mask is not None and preparation.masks == "none":
        raise DataError(f"the model was trained without masks; got {mask.name}. Leave `masks` out.")
    image = IndexedImage(subject="", file=str(file), mask=None if mask is None else str(mask))
    if preparation.kind == "volume":
        row = volume_row(image, Path(), preparation.preprocess)
    else:
        read = functools.partial(read_picture, ground=preparation.ground)
        row = picture_row(image, Path(), preparation.preprocess, read)
    if row.coverage is not None and preparation.coverage is not None:
        _check_coverage(row.coverage, preparation.coverage, preparation)
    return decode(row.values, preparation.preprocess)


def _check_coverage(found: Coverage, trained: Coverage, preparation: Preparation) -> None:
    """Refuse an image that meets the box far worse than any that the model knows."""
    options = preparation.preprocess
    unit = "voxels" if preparation.kind == "volume" else "pixels"
    box = " x ".join(f"{side * options.spacing:g}" for side in options.shape) + " mm"
    box = f"the box of {box}" if preparation.kind == "volume" else f"the shape {list(options.shape)}"
    remedy = "Check the size of its voxels in the header, or retrain with such images."
    if preparation.kind == "picture":
        remedy = "Crop it as the training pictures were, or retrain with such pictures."
    if found.filled < trained.filled - _SLACK:
        raise DataError(
            f"its field of view must fill {box} as training images do, {trained.filled:.0%} or more; "
            f"it fills {found.filled:.2g} of it. {remedy}"
        )
    if found.kept < trained.kept - _SLACK:
        raise DataError(
            f"what it shows must lie inside {box} as in training images, {trained.kept:.0%} or more; "
            f"{1 - found.kept:.0%} would be cut off. {remedy}"
        )
    if found.enlarged > _STRETCH * max(1.0, trained.enlarged):
        raise DataError(
            f"its {unit} must not be much larger than the model's; they are {found.enlarged:.3g} times as large, in "
            f"training images {trained.enlarged:.3g} times at most. {remedy}"
        )
