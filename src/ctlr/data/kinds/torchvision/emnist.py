"""EMNIST's idx files: plain, gzipped, or inside the archive that NIST offers, which is never unpacked to disk."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ctlr.data.idx import DAMAGED, parse_idx
from ctlr.errors import DataError
from ctlr.specs import PUBLISHED

__all__ = ["read_part"]

_SIDE = 28
_MAX_BYTES = 256 * 2**20
"""The larger part has 112,800 pictures: 88 MB."""
_DAMAGED = (*DAMAGED, zipfile.BadZipFile, KeyError, RuntimeError)
"""What damaged files and archives end in; zipfile raises RuntimeError for encrypted members."""


def read_part(root: Path, images: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the training or the test part.

    EMNIST keeps its pictures mirrored at the diagonal; they are turned upright.

    Args:
        root: Folder that torchvision calls `root`.
        images: Of the part, below the root.
        labels: Likewise.

    Returns:
        (N, 28, 28) pixels and (N,) codes.

    Raises:
        DataError: A file cannot be read or holds something else; names it.
    """
    pixels, codes = _read(root, images, 3), _read(root, labels, 1)
    if pixels.shape[1:] != (_SIDE, _SIDE) or len(pixels) != len(codes) or not len(codes):
        raise DataError(
            f"{images} and {labels} must hold pictures of {_SIDE} x {_SIDE} pixels with a label each; they hold "
            f"{pixels.shape} and {len(codes)}. Fetch them again."
        )
    known = len(PUBLISHED["emnist-balanced"].classes)
    if codes.max() >= known:
        raise DataError(f"{labels} must hold codes 0 to {known - 1}; one is {codes.max()}. Fetch it again.")
    return pixels.transpose(0, 2, 1), codes.astype(np.int64)


def _read(root: Path, file: str, ndim: int) -> NDArray[np.uint8]:
    try:
        with _opened(root, file) as stream:
            return parse_idx(stream, ndim, at_most=_MAX_BYTES)
    except _DAMAGED as error:
        raise DataError(f"{file} must be an idx file of bytes; it is not ({error}). Fetch it again.") from error


@contextmanager
def _opened(root: Path, file: str) -> Iterator[BinaryIO]:
    """The file, its gzipped form, or the archive's member of that name."""
    if (root / file).is_file():
        with (root / file).open("rb") as plain:
            yield plain
    elif (root / f"{file}.gz").is_file():
        with gzip.open(root / f"{file}.gz") as packed:
            yield cast("BinaryIO", packed)
    else:
        archive, member = root / PUBLISHED["emnist-balanced"].archive, f"gzip/{PurePosixPath(file).name}.gz"
        with zipfile.ZipFile(archive) as whole, whole.open(member) as inside, gzip.open(inside) as packed:
            yield cast("BinaryIO", packed)
