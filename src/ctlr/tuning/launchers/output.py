"""What a trial prints, kept in a bounded file: its beginning and its end."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ctlr.workspace import disk_faults_named

__all__ = ["CappedLog"]


class CappedLog:
    """A log of about 1 MB at most, however much is written.

    The beginning goes to the file at once; the end is kept in memory and follows when the log is closed.

    Args:
        path: The file; its folder exists.
        half: Bytes that are kept of the beginning, and of the end.
    """

    def __init__(self, path: Path, half: int = 512 * 1024) -> None:
        self._path = path
        self._half = half
        self._room = half
        self._end = bytearray()
        self._left_out = 0
        with disk_faults_named(path):
            self._file: BinaryIO = path.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Add what was printed.

        Raises:
            WorkspaceError: The disk is full.
        """
        if self._room:
            with disk_faults_named(self._path):
                self._file.write(data[: self._room])
            data, self._room = data[self._room :], max(self._room - len(data), 0)
        self._end += data
        if len(self._end) > 2 * self._half:  # not at every write: moving the end is what costs
            self._shorten()

    def _shorten(self) -> None:
        excess = len(self._end) - self._half
        if excess > 0:
            self._left_out += excess
            del self._end[:excess]

    def tail(self, lines: int = 20, size: int = 4096) -> str:
        """The last lines, as text; what is no UTF-8 is replaced."""
        data = bytes(self._end[-size:])
        if len(data) < size and not self._left_out:
            with self._path.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(file.tell() - (size - len(data)), 0))
                data = file.read() + data
        return "\n".join(data.decode(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        """Write the end."""
        self._shorten()
        with disk_faults_named(self._path), self._file as file:
            if self._left_out:
                file.write(f"\n[... {self._left_out} bytes left out ...]\n".encode())
            file.write(self._end)
