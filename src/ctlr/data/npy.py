"""NumPy's file format, as far as a plan needs it: without NumPy."""

from __future__ import annotations

import array
import ast
import math
import struct
import sys
from typing import IO

__all__ = ["npy_shape", "whole_numbers"]

_CODES = {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "i8": "q"}
_LARGEST_HEADER = 2**16


def npy_shape(stream: IO[bytes]) -> tuple[str, tuple[int, ...], bool]:
    """Type, shape and whether the first side varies fastest, of an array; the stream is left before its values.

    Raises:
        ValueError: It is no such file (NumPy Enhancement Proposal 1).
        struct.error: It ends before its header does.
    """
    head = stream.read(8)
    if head[:6] != b"\x93NUMPY" or head[6] not in (1, 2, 3):
        raise ValueError(f"it begins with {head[:6].hex(' ') or 'nothing'}, not with a mark of NumPy's")
    (length,) = struct.unpack("<H", stream.read(2)) if head[6] == 1 else struct.unpack("<I", stream.read(4))
    if length > _LARGEST_HEADER:
        raise ValueError(f"its header claims {length} bytes")
    try:
        about = ast.literal_eval(stream.read(length).decode("latin-1").strip())
        kind, shape, turned = about["descr"], tuple(about["shape"]), bool(about["fortran_order"])
    except (SyntaxError, KeyError, TypeError) as error:
        raise ValueError("its header is damaged") from error
    if not isinstance(kind, str) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError("its header is damaged")
    return kind, shape, turned


def whole_numbers(stream: IO[bytes]) -> array.array[int]:
    """All values of an array of whole numbers, in the order of the file.

    Raises:
        ValueError, struct.error: It is none, or ends too early.
    """
    kind, shape, _ = npy_shape(stream)
    code = _CODES.get(kind.lstrip("<>|="))
    if code is None:
        raise ValueError(f"it holds {kind}, not whole numbers")
    values = array.array(code)
    wanted = math.prod(shape) * values.itemsize
    data = stream.read(wanted)
    if len(data) != wanted:
        raise ValueError("it ends too early")
    values.frombytes(data)
    if kind[0] == ">" and sys.byteorder == "little":
        values.byteswap()
    return values
