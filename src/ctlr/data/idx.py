"""IDX files, the format of MNIST: plain or gzipped, never more of them in memory than was promised."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:  # numpy is slow to load, and labels alone need none
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DAMAGED", "MAX_BYTES", "idx_shape", "parse_idx"]

MAX_BYTES = 2**30
"""Of a file once it is unpacked."""
DAMAGED = (OSError, EOFError, zlib.error, struct.error, ValueError)
"""What damaged files end in."""


def idx_shape(head: bytes, ndim: int) -> tuple[int, ...]:
    """Shape of an IDX file of bytes by its first 4 + 4 ndim bytes: 0, 0, 8 (bytes without sign), the number of sides,
    the sides (LeCun 1998).

    Raises:
        ValueError: It is none, or has another number of sides.
        struct.error: It ends before its header does.
    """
    if head[:4] != bytes([0, 0, 8, ndim]):
        raise ValueError(f"it begins with {head[:4].hex(' ') or 'nothing'}, not with 00 00 08 0{ndim}")
    return struct.unpack(f">{ndim}I", head[4 : 4 + 4 * ndim])


def parse_idx(stream: BinaryIO, ndim: int, *, at_most: int = MAX_BYTES) -> NDArray[np.uint8]:
    """Read an IDX file of bytes.

    Raises:
        ValueError: It is none, has another number of sides, holds more than `at_most` bytes, or another number of
            values than its header says.
        struct.error: It ends before its header does.
    """
    import numpy as np

    content = stream.read(at_most + 1)
    if len(content) > at_most:
        raise ValueError(f"more than {at_most} bytes")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * ndim).reshape(idx_shape(content, ndim))
