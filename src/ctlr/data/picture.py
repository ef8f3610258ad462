"""Read one picture: decode, resize, crop."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ctlr.data.fetched import refuse_pointer, unreadable
from ctlr.data.sources import open_regular
from ctlr.errors import DataError

__all__ = ["LARGEST", "faults_named", "fitted", "look_at_picture", "picture_digest", "read_picture"]

LARGEST = 2**26
"""Pixels above which a picture is refused; each takes some 10 bytes while it is read."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # what keeps a picture from being read is an error here

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_MARKS = ((b"\x89PNG", b"IEND\xaeB`\x82"), (b"\xff\xd8", b"\xff\xd9"))
_TAIL = 64  # bytes in which the mark lies, since some writers add a few behind it
_DEEP = {"I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I": 1.0, "F": 1.0}
"""Grey modes of more than 8 bits -> the value that becomes 1."""
_MEANING, _WHITE_IS_ZERO = 262, 0
"""TIFF's tag PhotometricInterpretation, and its value for pictures whose 0 is white."""


def picture_digest(image: Image.Image) -> str:
    """SHA-256 of the size and the decoded pixels, which is the same for one picture in two lossless formats."""
    return hashlib.sha256(f"{image.width} {image.height} {image.mode} ".encode() + image.tobytes()).hexdigest()


def fitted(image: Image.Image, *, shape: Sequence[int], channels: int) -> NDArray[np.float32]:
    """Cut the middle of a picture to the proportions of `shape`, and resize that with anti-aliasing.

    Args:
        image: Upright, in mode RGB, L or F.
        shape: (height, width).
        channels: 1 (luma of coloured pictures) or 3 (grey ones are repeated).

    Returns:
        (channels, height, width); 8 bits become 0-1, mode F stays as it is.

    Raises:
        DataError: A pixel is no finite number, or all are the same. The caller names the file.
    """
    deep = image.mode == "F"
    low, high = (float(extreme) for extreme in (np.asarray(image).min(), np.asarray(image).max()))
    if not np.isfinite([low, high]).all():
        raise DataError("every pixel must be finite; some are NaN or infinite. Set them to 0.")
    if low == high:
        raise DataError(f"the picture is empty: every pixel is {low:g}. Export it again.")
    if not deep and channels == 1:
        image = image.convert("L")
    height, width = shape
    resized = np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR), np.float32)
    planes = resized[None] if resized.ndim == 2 else resized.transpose(2, 0, 1)
    values = planes if deep else planes / np.float32(255)
    return np.ascontiguousarray(np.broadcast_to(values, (channels, height, width)))


def read_picture(path: Path) -> Image.Image:
    """Read a picture: turned as its EXIF tag says, in mode RGB, or F with 16 bits brought to 0-1.

    Transparent pixels are black; 32-bit values stay as they are. Of the pictures that a camera puts into one JPEG file
    (MPO) the first is read: the others are its previews and depth maps.

    Raises:
        DataError: The file cannot be used; says the rule, the value and the remedy. The caller names the file.
    """
    try:
        with open_regular(path) as file:
            data = file.read()
    except OSError as error:
        raise unreadable(path, error) from error
    refuse_pointer(data[:1024])
    with faults_named(), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        _check(image)
        inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(_MEANING) == _WHITE_IS_ZERO
        ImageOps.exif_transpose(image, in_place=True)
        return _plain(image, inverted=inverted)


def _check(image: Image.Image) -> None:
    if image.width * image.height > LARGEST:
        raise DataError(f"a picture has at most {LARGEST} pixels; this has {image.width} x {image.height}. Shrink it.")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise DataError(f"one picture is needed; the file holds {frames}. Keep one.")


@contextlib.contextmanager
def faults_named() -> Iterator[None]:
    """Turn what Pillow raises on damaged and foreign files into errors that name the remedy."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise DataError(f"a picture ({', '.join(_FORMATS)}) is needed; this is none. Convert the file.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"a picture has at most {LARGEST} pixels; this has far more. Shrink it.") from error
    except (OSError, SyntaxError, TypeError, ValueError) as error:  # what Pillow's decoders raise on damaged data
        raise DataError(f"the picture is truncated or damaged ({error}). Copy or convert it again.") from error


def look_at_picture(path: Path) -> None:
    """Look whether a picture can be read: by its header, and by the mark that ends it.

    A format without such a mark is read as a whole, and so is a file that ends otherwise.

    Raises:
        DataError: As of `read_picture`, but for damage between beginning and end.
    """
    try:
        with open_regular(path) as file:
            head = file.read(8)
            file.seek(-min(_TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            tail = file.read()
    except OSError as error:
        raise unreadable(path, error) from error
    refuse_pointer(tail)
    if not any(head.startswith(start) and end in tail for start, end in _MARKS):
        read_picture(path)
        return
    with faults_named(), Image.open(path, formats=_FORMATS) as image:
        _check(image)


def _plain(image: Image.Image, *, inverted: bool) -> Image.Image:
    """In mode RGB or F; `inverted` where 0 is white, which Pillow turns about in pictures of up to 8 bits alone."""
    if image.mode in _DEEP:
        white = _DEEP[image.mode]
        if inverted and white == 1:
            raise DataError("which number is white cannot be told of 32 bits with WhiteIsZero. Convert it to 16 bits.")
        values = np.asarray(image, np.float32) / np.float32(white)
        return Image.fromarray(1 - values if inverted else values)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "black")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
