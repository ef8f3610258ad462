"""Read one picture: decode, resize, crop."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ctlr.data.fetched import refuse_pointer, unreadable
from ctlr.data.sources import open_regular
from ctlr.errors import DataError
from ctlr.specs import Measured

__all__ = ["LARGEST", "Ground", "faults_named", "fitted", "look_at_picture", "measure_picture", "picture_digest",
           "read_picture"]  # fmt: skip

Ground = Literal["white", "black"]
_GROUNDS: Mapping[Ground, tuple[Ground, ...]] = {"white": ("white", "black"), "black": ("black",)}
"""What transparent pictures lie on, until something is seen of them."""
LARGEST = 2**26
"""Pixels above which a picture is refused; each takes some 10 bytes while it is read."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # what keeps a picture from being read is an error here

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_MARKS = ((b"\x89PNG", b"IEND\xaeB`\x82"), (b"\xff\xd8", b"\xff\xd9"))
_DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What Pillow's decoders raise on damaged data."""
_TAIL = 64  # bytes in which the mark lies, since some writers add a few behind it
_LYING = (5, 6, 7, 8)
"""Values of EXIF's orientation that change height and width."""
_TINT = 12
"""Levels of 255 by which the channels of a pixel differ that is not grey."""
_DEEP = ("I;16", "I;16B", "I;16L", "I", "F")
"""Grey modes of more than 8 bits."""
_PAGE, _WIDTH, _HEIGHT, _BITS, _MEANING, _PLANES, _SIGN = 254, 256, 257, 258, 262, 284, 339
"""TIFF's tags NewSubfileType, ImageWidth, ImageLength, BitsPerSample, PhotometricInterpretation, PlanarConfiguration,
SampleFormat."""
_WHITE_IS_ZERO, _APART, _UNSIGNED, _SIGNED, _REDUCED = 0, 2, 1, 2, 1
"""Values of these tags; the last is a bit."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
"""Numbers that end with their most significant byte -> the same in the machine's order."""
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", 0, (1,), 1, (16,), ()), ("I;16B", "I;16B"))  # as of b"II"


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


def read_picture(path: Path, *, ground: Ground = "white") -> Image.Image:
    """Read a picture: turned as its EXIF tag says, in mode RGB, or F with 16 bits brought to 0-1.

    Signed numbers and those of 32 bits stay as they are. Of the pictures that a camera puts into one JPEG file (MPO)
    the first is read, as the others are its previews and depth maps, and so is that of a TIFF file whose others are
    smaller versions of it.

    Args:
        path: Of the file.
        ground: What lies behind transparent pixels. On white, a drawing of which then nothing is seen (white lines)
            lies on black; what is transparent all over shows its colours.

    Raises:
        DataError: The file cannot be used; says the rule, the value and the remedy. The caller names the file.
    """
    try:
        with open_regular(path) as file:
            data = file.read()
    except OSError as error:
        raise unreadable(path, error) from error
    refuse_pointer(data[:1024])
    with faults_named(data[:4]), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        _check(image)
        tags: Mapping[int, Any] = dict(image.tag_v2) if isinstance(image, TiffImageFile) else {}
        if isinstance(image, TiffImageFile):
            _unpack_rightly(image)
        ImageOps.exif_transpose(image, in_place=True)
        return _plain(image, tags, ground)


def _check(image: Image.Image) -> None:
    if image.width * image.height > LARGEST:
        raise DataError(f"a picture has at most {LARGEST} pixels; this has {image.width} x {image.height}. Shrink it.")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO" and not _pyramid(image):
        raise DataError(f"one picture is needed; the file holds {frames}. Keep one.")


def _pyramid(image: Image.Image) -> bool:
    """Whether all pages but the first are smaller versions of it."""
    if not isinstance(image, TiffImageFile):
        return False
    reduced = []
    for page in range(image.n_frames):
        image.seek(page)
        reduced.append(bool(int(image.tag_v2.get(_PAGE, 0)) & _REDUCED))
    image.seek(0)
    return not reduced[0] and all(reduced[1:])


@contextlib.contextmanager
def faults_named(start: bytes = b"") -> Iterator[None]:
    """Turn what Pillow raises on damaged and foreign files into errors that name the remedy."""
    try:
        yield
    except UnidentifiedImageError as error:
        if start.startswith(_TIFF):
            raise DataError(
                "TIFF files of these bits and channels are not read. Convert it to 8 or 16 bits, grey or RGB."
            ) from error
        raise DataError(f"a picture ({', '.join(_FORMATS)}) is needed; this is none. Convert the file.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"a picture has at most {LARGEST} pixels; this has far more. Shrink it.") from error
    except _DAMAGE as error:
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


def measure_picture(path: Path) -> Measured:
    """Height and width, and whether it is in colour; pixels are looked at where the format alone does not say.

    Raises:
        DataError: It cannot be read. The caller names the file.
    """
    try:
        with open_regular(path) as file:
            refuse_pointer(file.read(1024))
            file.seek(0)
            with faults_named(), Image.open(file, formats=_FORMATS) as image:
                _check(image)
                width, height = image.size
                if image.getexif().get(ExifTags.Base.Orientation, 1) in _LYING:
                    width, height = height, width
                if image.mode in ("1", "L", "LA", "La") or image.mode in _DEEP:
                    return Measured(shape=(height, width))
                image.draft("RGB", (64, 64))
                small = np.asarray(image.convert("RGB").resize((32, 32)), np.int16)
    except OSError as error:
        raise unreadable(path, error) from error
    return Measured(shape=(height, width), colour=bool((np.ptp(small, axis=2) > _TINT).mean() > 0.01))


def _unpack_rightly(image: TiffImageFile) -> None:
    """Correct what Pillow takes for the layout of the file's bytes, before they are read."""
    tile, apart = image.tile[0], image.tag_v2.get(_PLANES) == _APART
    if apart and image.mode in ("LA", "La", "PA"):
        raise DataError("grey and transparency must not lie in planes of their own. Convert it to RGB.")
    if tile.codec_name == "libtiff" and isinstance(tile.args, tuple):  # which gives the machine's order of bytes
        raw, *others = tile.args
        image.tile = [tile._replace(args=(_NATIVE.get(raw, raw), *others))]
    elif apart and max(image.tag_v2.get(_BITS, (1,))) > 8:  # planes would be read as of 8 bits
        extents = (0, 0, image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT])
        args = (f"{image.mode};16N", False, image.tag_v2.offset)
        image.tile = [tile._replace(codec_name="libtiff", extents=extents, offset=0, args=args)]
        image.use_load_libtiff = True


def _plain(image: Image.Image, tags: Mapping[int, Any], ground: Ground) -> Image.Image:
    """In mode RGB, or in mode F if numbers have a sign or more than 8 bits; the tags are those of a TIFF file."""
    if image.mode in _DEEP or tags.get(_SIGN) == (_SIGNED,):
        return Image.fromarray(_numbers(image, tags, ground))
    if image.mode == "LAB":
        raise DataError("colours must be grey, RGB or CMYK; these are CIELAB. Convert it to RGB.")
    if image.has_transparency_data:
        layer = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        if layer.getchannel("A").getextrema() == (0, 0):  # nothing would be seen: the writer did not mean it
            return layer.convert("RGB")
        for colour in _GROUNDS[ground]:
            whole = Image.alpha_composite(Image.new("RGBA", image.size, colour), layer).convert("RGB")
            if whole.getcolors(1) is None:  # more than one
                break
        return whole
    return image.convert("RGB")


def _numbers(image: Image.Image, tags: Mapping[int, Any], ground: Ground) -> NDArray[np.float32]:
    """Unsigned numbers of up to 16 bits are brought to 0-1, others stay as they are.

    Pillow turns pictures whose 0 is white about in up to 8 bits alone, and takes 8 bits for unsigned, 32 for signed.
    """
    pixels = np.asarray(image)
    if image.mode == "L":
        pixels = pixels.view(np.int8)
    elif image.mode == "I" and tags.get(_SIGN, (_UNSIGNED,)) == (_UNSIGNED,):
        pixels = pixels.view(np.uint32)
    inverted = tags.get(_MEANING) == _WHITE_IS_ZERO
    if not image.mode.startswith("I;"):
        if inverted:
            raise DataError("which number is white cannot be told of 32 bits with WhiteIsZero. Convert it to 16 bits.")
        return pixels.astype(np.float32)
    values = pixels.astype(np.float32) / np.float32(2 ** max(tags.get(_BITS, (16,))) - 1)
    values = 1 - values if inverted else values
    clear = pixels == image.info.get("transparency")
    for colour in _GROUNDS[ground]:
        values[clear] = float(colour == "white")
        if values.min() < values.max():
            break
    return values
