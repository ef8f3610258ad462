"""Stored arrays: one file of rows, and a table that says whose they are."""

from __future__ import annotations

import functools
import hashlib
import io
import math
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from ctlr.durable import read_file
from ctlr.errors import LeakageError, WorkspaceError
from ctlr.specs import StoredArrays, Value
from ctlr.workspace import Workspace

__all__ = ["LIKENESS", "ArrayStore", "ArrayWriter", "ImageRecord", "read_table", "write_table"]

_IMAGES, _TABLE = "images.npy", "table.json"
LIKENESS = "likeness.npy"
"""Beside the images: (N, D) float16, what `ctlr.data.likeness` reads of each."""


class ImageRecord(Value):
    """Whose image a row holds."""

    subject: str
    session: str = ""
    file: str
    """Path relative to the dataset."""
    sha256: str
    """Of the decoded image: equal for identical content, whatever the compression, orientation or header."""
    stored: str = ""
    """SHA-256 of the row as it is stored: equal where preprocessing takes away what told two files apart."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Raw cells: of participants.tsv and sessions.tsv, or class and split."""


_RECORDS = TypeAdapter(tuple[ImageRecord, ...])


def write_table(folder: Path, records: Sequence[ImageRecord]) -> None:
    """Write one record a row."""
    (folder / _TABLE).write_bytes(_RECORDS.dump_json(tuple(records)))


def read_table(arrays: StoredArrays, workspace: Workspace) -> tuple[ImageRecord, ...]:
    """Read one record a row, without touching the images.

    Raises:
        WorkspaceError: The table cannot be read, or is of other arrays.
    """
    try:
        table = _RECORDS.validate_json(read_file(workspace.root / arrays.path / _TABLE))
        if len(table) != arrays.rows:
            raise ValueError(f"{len(table)} records for {arrays.rows} rows")
        return table
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{arrays.path}/{_TABLE} in the workspace is missing or damaged. Remove that folder; the next run makes "
            "it again."
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
        self._file.write(np.ascontiguousarray(row).data)
        self._rows += 1

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


@functools.cache
def _verified_rows(path: Path, inode: int, time_ns: int) -> set[int]:
    """Rows of a file that were found as they were stored, by any store of this process."""
    return set()


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
        self.table = read_table(arrays, workspace)
        self._path = workspace.root / arrays.path / _IMAGES
        self._dtype = np.dtype(arrays.dtype)
        self._row_bytes = self._dtype.itemsize * math.prod(arrays.shape)
        self._start = self._check()
        stat = self._path.stat()
        self._verified = _verified_rows(self._path, stat.st_ino, stat.st_mtime_ns)

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
        stored = np.empty(self.arrays.shape, self._dtype)
        with self._path.open("rb", buffering=0) as file:
            for place in np.argsort(wanted, kind="stable"):  # from front to back, which disks like
                start = self._start + int(wanted[place]) * self._row_bytes
                if os.preadv(file.fileno(), [stored.data], start) != self._row_bytes:
                    raise self._damaged()
                self._verify(int(wanted[place]), stored)
                out[place] = stored
        if self.arrays.scale != 1:
            out *= np.float32(self.arrays.scale)
        if self.arrays.offset:
            out += np.float32(self.arrays.offset)
        return out

    def _verify(self, row: int, stored: NDArray[Any]) -> None:
        """Hold a row that this process reads for the first time against its digest; older tables have none."""
        if row not in self._verified:
            if self.table[row].stored not in ("", hashlib.sha256(stored.data).hexdigest()):
                raise WorkspaceError(
                    f"{self.arrays.path} in the workspace is damaged: row {row} holds other numbers than were stored. "
                    "Remove that folder; the next run makes it again."
                )
            self._verified.add(row)

    def _guard(self, wanted: NDArray[np.intp]) -> None:
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"rows run from 0 to {len(self) - 1}; got {wanted.min()} to {wanted.max()}")
        if broken := self.sealed.intersection(wanted.tolist()):
            record = self.table[min(broken)]
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
