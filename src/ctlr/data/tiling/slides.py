"""Big pictures, read piece by piece: TIFF by tifffile, slides of scanners by OpenSlide, small pictures by Pillow."""

from __future__ import annotations

import math
import os
import re
import struct
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctlr.data.picture import LARGEST, faults_named
from ctlr.errors import DataError, require

__all__ = ["SLIDES", "Level", "Slide", "open_slide"]

_TIFF = (".tif", ".tiff", ".btf", ".tf8")
_OPENSLIDE = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
SLIDES = frozenset({*_TIFF, *_OPENSLIDE, *_PICTURES})
"""Endings that count as big pictures, in lower case."""

_CACHE_BYTES = 2**28
"""Of decoded tiles and strips that are kept; a single one may not be larger."""
_EMPTY = 255  # what a tile without data shows: the glass
_MPP = re.compile(r"\bMPP\s*=\s*([0-9.]+)|PhysicalSizeX=\"([0-9.]+)\"")
_BELIEVABLE = (0.02, 100.0)  # µm; 72 or 1 pixel an inch are what programs write that know nothing
_UNIT = {2: 25_400.0, 3: 10_000.0}  # TIFF's inch and centimetre, µm
_GREY, _COLOUR, _YCBCR = 1, 2, 6  # TIFF's PhotometricInterpretation
_PLAIN = "a slide has 8 bits and one or three channels, grey or RGB; this is {}. Convert it."


@dataclass(frozen=True)
class Level:
    """One resolution of a slide."""

    width: int
    height: int
    downsample: float
    """Pixels of the first level for one of this, along each side."""


class Slide(Protocol):
    """A big picture.

    Contract: `read` may be called from any thread, and takes memory for what it is asked for, whatever the size.
    """

    @property
    def levels(self) -> Sequence[Level]:
        """The finest first."""
        ...

    @property
    def mpp(self) -> float | None:
        """µm that a pixel of the first level is wide; None where the file does not say."""
        ...

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width, C) pixels of a level, C 1 or 3; all of them must lie inside.

        Raises:
            DataError: The file is damaged there.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_slide(path: Path) -> Slide:
    """Open a slide, by its ending.

    Raises:
        DataError: It cannot be used; says rule, value and remedy. The caller names the file.
        MissingExtraError: The package that reads it is not installed.
    """
    ending = path.suffix.lower()
    if ending in _TIFF:
        return TiffSlide(path)
    return OpenSlideSlide(path) if ending in _OPENSLIDE else PictureSlide(path)


class PictureSlide:
    """A picture that Pillow reads as a whole; an index of a palette is its value."""

    mpp: float | None = None

    def __init__(self, path: Path) -> None:
        with faults_named(), Image.open(path) as image:
            if image.width * image.height > LARGEST:
                raise DataError(
                    f"a picture that is no TIFF has at most {LARGEST} pixels; this has {image.width} x {image.height}. "
                    "Convert it to a tiled TIFF."
                )
            if image.mode not in ("RGB", "L", "P", "1"):
                raise DataError(_PLAIN.format(f"of mode {image.mode}"))
            pixels = np.asarray(image).astype(np.uint8)
        self._pixels = np.atleast_3d(pixels)
        self.levels = (Level(pixels.shape[1], pixels.shape[0], 1.0),)

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return self._pixels[y : y + height, x : x + width]

    def close(self) -> None:
        """It was read whole."""


class OpenSlideSlide:
    """A slide of a scanner, read by OpenSlide."""

    def __init__(self, path: Path) -> None:
        openslide = require("openslide", extra="slides")
        self._error = openslide.OpenSlideError
        try:
            self._slide = openslide.OpenSlide(path)
        except (self._error, OSError) as error:
            raise DataError(f"OpenSlide cannot read it ({error}). Copy it again, or convert it to TIFF.") from error
        sizes = zip(self._slide.level_dimensions, self._slide.level_downsamples, strict=True)
        self.levels = tuple(Level(width, height, float(factor)) for (width, height), factor in sizes)
        told = self._slide.properties.get("openslide.mpp-x")
        self.mpp = None if told is None else float(told)

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        factor = self.levels[level].downsample
        try:
            region = self._slide.read_region((round(x * factor), round(y * factor)), level, (width, height))
        except self._error as error:
            raise DataError(f"the slide is damaged ({error}). Copy it again.") from error
        ground = Image.new("RGBA", region.size, (_EMPTY,) * 3)
        return np.asarray(Image.alpha_composite(ground, region).convert("RGB"))

    def close(self) -> None:
        self._slide.close()


class TiffSlide:
    """A TIFF of any kind: tiles or strips, classic or BigTIFF, a pyramid or not."""

    def __init__(self, path: Path) -> None:
        tifffile = require("tifffile", extra="slides")
        require("imagecodecs", extra="slides")
        with ExitStack() as opened:
            try:
                self._file = opened.enter_context(tifffile.TiffFile(path))
                pages = [level.pages[0].aspage() for level in self._file.series[0].levels]
                self._planes = [_Plane(page, self._file.filehandle.fileno()) for page in pages]
            except (tifffile.TiffFileError, OSError, ValueError, IndexError, KeyError, struct.error) as error:
                raise DataError(f"the TIFF is truncated or damaged ({error}). Copy it again.") from error
            opened.pop_all()  # it stays open
        first = self._planes[0]
        self.levels = tuple(Level(plane.width, plane.height, first.width / plane.width) for plane in self._planes)
        self.mpp = _mpp(pages[0])

    def read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return self._planes[level].read(x, y, width, height)

    def close(self) -> None:
        self._file.close()


class _Plane:
    """One resolution of a TIFF: its segments, tiles or strips, decoded when they are needed."""

    def __init__(self, page: Any, file: int) -> None:
        self._page, self._file = page, file
        self.width, self.height = int(page.imagewidth), int(page.imagelength)
        self._samples = int(page.samplesperpixel)
        _check(page)
        strip = (min(int(page.rowsperstrip), self.height), self.width)
        self._step = (int(page.tilelength), int(page.tilewidth)) if page.is_tiled else strip
        self._across = math.ceil(self.width / self._step[1])
        if max(np.add(page.dataoffsets, page.databytecounts), default=0) > os.fstat(file).st_size:
            raise DataError("the TIFF is truncated: its header promises more than the file holds. Copy it again.")
        self._mapped: NDArray[np.uint8] | None = None
        if page.is_contiguous and page.compression == 1:
            shape = (self.height, self.width, self._samples)
            self._mapped = np.memmap(page.parent.filehandle.path, np.uint8, "r", page.dataoffsets[0], shape)
        elif self._step[0] * self._step[1] * self._samples > _CACHE_BYTES:
            raise DataError(
                f"a tile or strip has at most {_CACHE_BYTES} bytes; here one has {self._step[1]} x {self._step[0]} "
                "pixels. Convert it to a tiled TIFF."
            )
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def read(self, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        if self._mapped is not None:
            return np.array(self._mapped[y : y + height, x : x + width])
        region = np.empty((height, width, self._samples), np.uint8)
        tall, wide = self._step
        for row in range(y // tall, (y + height - 1) // tall + 1):
            for column in range(x // wide, (x + width - 1) // wide + 1):
                segment = self._segment(row * self._across + column)
                top, left = max(y, row * tall), max(x, column * wide)
                bottom, right = min(y + height, (row + 1) * tall), min(x + width, (column + 1) * wide)
                part = segment[top - row * tall : bottom - row * tall, left - column * wide : right - column * wide]
                region[top - y : bottom - y, left - x : right - x] = part
        return region

    def _segment(self, number: int) -> NDArray[np.uint8]:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        segment = self._decoded(number)
        with self._lock:
            self._kept[number] = segment
            while len(self._kept) > 1 and len(self._kept) * segment.nbytes > _CACHE_BYTES:
                self._kept.popitem(last=False)
        return segment

    def _decoded(self, number: int) -> NDArray[np.uint8]:
        size, offset = self._page.databytecounts[number], self._page.dataoffsets[number]
        if not size:
            return np.full((*self._step, self._samples), _EMPTY, np.uint8)
        try:
            data = os.pread(self._file, size, offset)
            segment = self._page.decode(data, number, jpegtables=self._page.jpegtables)[0][0]
        except (RuntimeError, ValueError, TypeError, OSError) as error:  # what imagecodecs raises on damaged data
            raise DataError(f"the TIFF is damaged in segment {number} ({error}). Copy it again.") from error
        return np.asarray(segment, np.uint8)


def _check(page: Any) -> None:
    """Refuse what has other pixels than 8 bits of grey or RGB, side by side."""
    samples, meaning = int(page.samplesperpixel), int(page.photometric)
    name = getattr(page.photometric, "name", str(meaning))
    if str(page.dtype) != "uint8":
        raise DataError(_PLAIN.format(f"of {page.dtype}"))
    if (samples, meaning) not in ((1, _GREY), (3, _COLOUR)) and not (samples == 3 and meaning >= _YCBCR):
        alpha = ", one of them alpha" if samples in (2, 4) and meaning in (_GREY, _COLOUR) else ""
        raise DataError(_PLAIN.format(f"{name} of {samples} channels{alpha}"))
    if samples > 1 and int(page.planarconfig) != 1:
        raise DataError("the channels of a slide stand side by side; here each has a plane of its own. Convert it.")


def _mpp(page: Any) -> float | None:
    """µm a pixel: as Aperio or OME write it into the description, else by the resolution, where that is believable."""
    found = _MPP.search(str(page.description))
    if found:
        told = float(found[1] or found[2])
    else:
        resolution, unit = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
        if resolution is None or unit is None or int(unit.value) not in _UNIT or not all(resolution.value):
            return None
        told = _UNIT[int(unit.value)] * resolution.value[1] / resolution.value[0]
    return told if _BELIEVABLE[0] <= told <= _BELIEVABLE[1] else None
