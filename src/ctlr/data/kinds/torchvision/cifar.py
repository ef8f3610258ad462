"""CIFAR-10's Python batches, read without running what a pickle asks for.

A batch is a pickle (protocol 2) of a mapping with `data`, a NumPy array, and `labels`, a list. A pickle may name any
function to be called. Here the three names that a NumPy array needs stand for values of this module, every other name
is refused, and the array is made from the bytes that the pickle holds.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import DataError

__all__ = ["read_batch"]

_SIDE, _PLANES = 32, 3
_MAX_BYTES = 64 * 2**20
"""A batch of 10,000 pictures has 31 MB."""


def read_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one batch.

    Returns:
        (N, 32, 32, 3) pixels and (N,) codes 0 to 9.

    Raises:
        DataError: The file cannot be read or holds something else; names it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}. Grant read access.") from error
    try:
        return _parse(content)
    except _REFUSED as error:
        raise DataError(
            f"{path.name} must be a batch of CIFAR-10's Python version; it is not ({error}). Unpack it again."
        ) from error


_REFUSED = (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
            UnicodeDecodeError, OverflowError, MemoryError)  # fmt: skip
"""What damaged or foreign pickles end in."""


def _parse(content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if len(content) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    batch = _Batch(io.BytesIO(content), encoding="latin1").load()
    if not isinstance(batch, dict) or not isinstance(batch.get("data"), _Array):
        raise ValueError("no mapping with an array `data`")
    flat = batch["data"].pixels()
    labels = np.array(batch["labels"])
    if labels.dtype.kind != "i" or labels.shape != flat.shape[:1] or not len(labels):
        raise ValueError("`labels` must hold a whole number for each picture")
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError("labels run from 0 to 9")
    planes = flat.reshape(-1, _PLANES, _SIDE, _SIDE)
    return planes.transpose(0, 2, 3, 1), labels.astype(np.int64)


@dataclass
class _Array:
    """What a pickle says of an array: its state (version, shape, type, order, bytes)."""

    state: tuple[Any, ...] = field(default=())

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, tuple) else ()

    def pixels(self) -> NDArray[np.uint8]:
        """(N, 3072) in the order of rows."""
        _, shape, kind, by_columns, content = self.state
        rows, width = shape
        if not isinstance(kind, _Type) or kind.name != "u1" or width != _PLANES * _SIDE**2 or by_columns:
            raise ValueError("`data` must be rows of 3072 bytes")
        held = content if isinstance(content, bytes) else content.encode("latin1")
        return np.frombuffer(held, np.uint8).reshape(rows, width)


@dataclass
class _Type:
    """The name of an array's type; its state is of no interest for bytes."""

    name: str

    def __setstate__(self, _: Any) -> None:
        """Byte order and alignment: a byte has none."""


def _array(*_: Any) -> _Array:
    return _Array()


def _type(name: Any, *_: Any) -> _Type:
    return _Type(str(name))


def _encoded(text: Any, *_: Any) -> bytes:
    """Bytes as Python 3 writes them with protocol 2."""
    return str(text).encode("latin1")


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _type,
    ("_codecs", "encode"): _encoded,
}


class _Batch(pickle.Unpickler):
    """Unpickles plain values and arrays, and calls nothing but this module's."""

    def find_class(self, module: str, name: str) -> Any:
        """One of the known names.

        Raises:
            UnpicklingError: It is another one.
        """
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None
