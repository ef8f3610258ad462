"""Stored arrays: one file of rows, and a table that says whose they are."""

from __future__ import annotations

import functools
import hashlib
import io
import math
import os
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from ctlr.data.table import ImageRecord, Table
from ctlr.errors import LeakageError, WorkspaceError
from ctlr.specs import StoredArrays
from ctlr.workspace import Workspace

__all__ = [
    "IN_MEMORY_BYTES",
    "LIKENESS",
    "ArrayStore",
    "ArrayWriter",
    "ImageRecord",
    "block_digests",
    "read_table",
    "write_table",
]

IN_MEMORY_BYTES = 512 * 2**20
"""Rows that take no more than this as float32 are held in memory; on a GPU, up to an eighth of what is free there."""
_IMAGES = "images.npy"
LIKENESS = "likeness.npy"
"""Beside the images: (N, D) float16, what `ctlr.data.likeness` reads of each."""
_SMALL = 4096
"""Bytes of a row below which rows are read together: a page."""
_BLOCK_BYTES = 2**16
_RUN_BYTES = 2**23
"""Of small rows, read at a time."""


def write_table(folder: Path, records: Sequence[ImageRecord]) -> None:
    """Write one record a row."""
    Table.of(records).write(folder)


def read_table(arrays: StoredArrays, workspace: Workspace) -> Table:
    """Read one record a row, without touching the images.

    Raises:
        WorkspaceError: The table cannot be read, or is of other arrays.
    """
    try:
        table = Table.read(workspace.root / arrays.path)
        if len(table) != arrays.rows:
            raise ValueError(f"{len(table)} records for {arrays.rows} rows")
        return table
    except (OSError, ValueError) as error:
        name = "table.npz" if (workspace.root / arrays.path / "table.npz").exists() else "table.json"
        raise WorkspaceError(
            f"{arrays.path}/{name} in the workspace is missing or damaged. Remove that folder; the next run makes it "
            "again."
        ) from error


class ArrayWriter:
    """Writes rows one after the other into a file; how many there are is known at the end.

    Plain writes, not a memory map: on a full disk they raise an OSError, where a map kills the process.

    Args:
        folder: Where the file goes.
        shape: Of one row.
        dtype: Of what is stored.
        name: Of the file.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str, name: str = _IMAGES) -> None:
        self._path, self._shape, self._dtype, self._rows = folder / name, shape, np.dtype(dtype), 0

    def append(self, row: NDArray[Any]) -> None:
        """Write the next row.

        Raises:
            ValueError: Its shape or dtype is another one.
        """
        if row.shape != self._shape or row.dtype != self._dtype:
            raise ValueError(f"a row must be {self._dtype} {self._shape}; got {row.dtype} {row.shape}")
        self.extend(row[None])

    def extend(self, rows: NDArray[Any]) -> None:
        """Write the next rows at once."""
        self._file.write(np.ascontiguousarray(rows).data)
        self._rows += len(rows)

    def __enter__(self) -> Self:
        self._file: BinaryIO = self._path.open("wb")
        self._file.seek(len(self._header()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._file.write(self._header())

    def _header(self) -> bytes:
        """As long for any number of rows: NumPy leaves room for the first axis to grow."""
        header = io.BytesIO()
        layout = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._rows, *self._shape)}
        np.lib.format.write_array_header_1_0(header, layout)
        return header.getvalue()


def block_digests(values: NDArray[Any]) -> tuple[NDArray[np.uint8], int]:
    """(B, 32) SHA-256 of rows, so many of them at a time."""
    rows = max(1, _BLOCK_BYTES // max(1, values[:1].nbytes))
    digests = [hashlib.sha256(values[start : start + rows].tobytes()).digest() for start in range(0, len(values), rows)]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32), rows


@functools.cache
def _verified_rows(path: Path, inode: int, time_ns: int, rows: int) -> NDArray[np.bool_]:
    """(N,) rows of a file that were found as they were stored, by any store of this process."""
    return np.zeros(rows, bool)


class ArrayStore:
    """Reads rows of stored arrays.

    Rows are read from the file into the caller's array: a memory map would count every page that was ever touched as
    this process's memory. Any number of threads and processes may read at once.

    Args:
        arrays: What is stored.
        workspace: Where it is stored.
        sealed: Rows that must not be read: the test set, for every step but `evaluate`.

    Raises:
        WorkspaceError: The files are not what `arrays` says.
    """

    def __init__(self, arrays: StoredArrays, workspace: Workspace, *, sealed: Collection[int] = ()) -> None:
        self.arrays = arrays
        self.sealed = frozenset(sealed)
        self._shut = np.zeros(arrays.rows, bool)
        self._shut[list(self.sealed)] = True
        self.table = read_table(arrays, workspace)
        self._path = workspace.root / arrays.path / _IMAGES
        self._dtype = np.dtype(arrays.dtype)
        self._row_bytes = self._dtype.itemsize * math.prod(arrays.shape)
        self._start = self._check()
        stat = self._path.stat()
        self._verified = _verified_rows(self._path, stat.st_ino, stat.st_mtime_ns, arrays.rows)

    def __len__(self) -> int:
        return self.arrays.rows

    def read(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Read rows in any order, also repeatedly.

        Returns:
            (n, C, *S), decoded.

        Raises:
            LeakageError: A row is sealed; names its file.
            IndexError: There is no such row.
            WorkspaceError: A row is not what was stored.
        """
        wanted = np.asarray(rows, dtype=np.intp).reshape(-1)
        self._guard(wanted)
        out = np.empty((len(wanted), *self.arrays.shape), np.float32)
        order = np.argsort(wanted, kind="stable")  # from front to back, which disks like
        with self._path.open("rb", buffering=0) as file:
            if self._row_bytes < _SMALL:
                self._read_runs(file.fileno(), wanted[order], order, out)
            else:
                stored = np.empty((1, *self.arrays.shape), self._dtype)
                for place in order:
                    self._fill(file.fileno(), stored, int(wanted[place]))
                    out[place] = stored[0]
        if self.arrays.scale != 1:
            out *= np.float32(self.arrays.scale)
        if self.arrays.offset:
            out += np.float32(self.arrays.offset)
        return out

    def _read_runs(
        self, file: int, wanted: NDArray[np.intp], order: NDArray[np.intp], out: NDArray[np.float32]
    ) -> None:
        """Read small rows, ascending, those that lie near each other at once; whole blocks until they are verified."""
        block = 1 if self._verified[wanted].all() else self.table.block_rows or 1
        number = wanted // block
        most = max(1, _RUN_BYTES // (block * self._row_bytes))
        # Apart where a gap is longer than what one read costs, and where more would be held than at a time.
        apart = (np.diff(number) - 1) * (block * self._row_bytes) > _SMALL
        apart |= np.diff(number // most) > 0
        edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(wanted)] if len(wanted) else []
        for start, stop in pairwise(edges):
            low, high = int(number[start]) * block, min((int(number[stop - 1]) + 1) * block, len(self))
            stored = np.empty((high - low, *self.arrays.shape), self._dtype)
            self._fill(file, stored, low, wanted[start:stop])
            out[order[start:stop]] = stored[wanted[start:stop] - low]

    def _fill(self, file: int, stored: NDArray[Any], low: int, rows: Collection[int] | None = None) -> None:
        """Read consecutive rows, and hold those that this process reads for the first time against their digests.

        Args:
            file: Open file.
            stored: Where they go.
            low: The first one.
            rows: Those of them that are wanted; all by default. Older tables have no digests.

        Raises:
            WorkspaceError: They are others, or fewer.
        """
        if os.preadv(file, [stored.data], self._start + low * self._row_bytes) != stored.nbytes:
            raise self._damaged()
        table, verified = self.table, self._verified
        if table.block_rows:
            for number in range(low // table.block_rows, -(-(low + len(stored)) // table.block_rows)):
                begin = number * table.block_rows
                if not verified[begin]:
                    part = stored[begin - low : begin - low + table.block_rows]
                    if hashlib.sha256(part.data).digest() != table.blocks[number].tobytes():
                        raise self._changed(f"one of rows {begin} to {begin + len(part) - 1} holds")
                    verified[begin : begin + len(part)] = True
            return
        for row in range(low, low + len(stored)) if rows is None else map(int, rows):
            if not verified[row]:
                if table.stored.cell(row) not in ("", hashlib.sha256(stored[row - low].data).hexdigest()):
                    raise self._changed(f"row {row} holds")
                verified[row] = True

    def _changed(self, what: str) -> WorkspaceError:
        return WorkspaceError(
            f"{self.arrays.path} in the workspace is damaged: {what} other numbers than were stored. "
            "Remove that folder; the next run makes it again."
        )

    def _guard(self, wanted: NDArray[np.intp]) -> None:
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"rows run from 0 to {len(self) - 1}; got {wanted.min()} to {wanted.max()}")
        broken = np.unique(wanted[self._shut[wanted]])
        if len(broken):
            record = self.table[int(broken[0])]
            raise LeakageError(
                f"only `evaluate` may read test images; {len(broken)} such rows were asked for.",
                told=f"{record.file} is a test image: only `evaluate` may read it. {len(broken)} such rows were asked "
                "for; take rows from the split's other sides.",
            )

    def _check(self) -> int:
        """Where the first row begins."""
        try:
            with self._path.open("rb") as file:
                np.lib.format.read_magic(file)
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
                start = file.tell()
        except (OSError, ValueError) as error:
            raise self._damaged() from error
        size = start + self.arrays.rows * self._row_bytes
        expected = (self.arrays.rows, *self.arrays.shape)
        if (shape, fortran, dtype) != (expected, False, self._dtype) or self._path.stat().st_size != size:
            raise self._damaged()
        return start

    def _damaged(self) -> WorkspaceError:
        return WorkspaceError(
            f"{self.arrays.path} in the workspace is damaged: it does not hold {self.arrays.rows} rows of "
            f"{self.arrays.shape}. Remove that folder; the next run makes it again."
        )
