"""What a power cut leaves of a folder: all of it, or nothing that passes for it.

A folder is made lasting before it takes its final name: every file and folder below it is flushed to the disk. And it
carries a list of its files, so that one that is not whole all the same (a disk that lied, a copy that was cut off, a
hand that slipped) counts as absent and is made again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["LIST", "flush", "flush_folder", "is_whole", "list_files", "read_file"]

LIST = ".files.json"
"""Name of a folder's list: size and checksum by file."""

_EDGE = 1 << 15
"""Bytes at each end of a file that its checksum covers; both ends are all of a file of up to twice as many."""
_AT_ONCE = 16
"""Flushes under way; the file system's journal takes those that wait into one commit."""


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk.

    Raises:
        OSError: They cannot be written, e.g. the disk is full.
    """
    place = os.open(path, os.O_RDONLY)
    try:
        os.fsync(place)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot flush folders
            raise
    finally:
        os.close(place)


def flush_folder(folder: Path) -> None:
    """Flush every file below a folder, then every folder, itself included."""
    found = list(os.walk(folder))
    files = [Path(place, name) for place, _, names in found for name in names]
    _flush_all(path for path in files if not path.is_symlink())
    _flush_all(Path(place) for place, _, _ in found)


def _flush_all(paths: Iterable[Path]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(flush, paths):
            pass


def read_file(path: Path) -> bytes:
    """The content of a file of ours; a pipe or a device in its place would give none, or no end of it.

    Raises:
        OSError: It cannot be read.
    """
    _refuse_pipe(path)
    return path.read_bytes()


def _refuse_pipe(path: Path) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "Is no file", str(path))


def list_files(folder: Path) -> None:
    """Write the list of a folder's files into it."""
    marks = {str(path.relative_to(folder)): _mark(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    marks.pop(LIST, None)
    (folder / LIST).write_text(json.dumps(marks))


def is_whole(folder: Path) -> bool:
    """Whether every file that belongs to a folder is there, as long as it was, with the same beginning and end.

    A folder without a list is an older version's: none of its files is empty, and those of JSON can be read.
    """
    try:
        text = read_file(folder / LIST)
    except FileNotFoundError:
        return folder.is_dir() and all(_looks_whole(path) for path in folder.rglob("*") if not path.is_dir())
    except OSError:
        return False
    with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):  # unreadable, no JSON, no list
        marks = json.loads(text)
        return bool(marks) and all(_mark(folder / name) == mark for name, mark in marks.items())
    return False


def _looks_whole(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            json.loads(read_file(path))
        return path.is_file() and path.stat().st_size > 0
    except (OSError, ValueError, RecursionError):
        return False


def _mark(path: Path) -> list[int]:
    """Size and checksum of a file."""
    _refuse_pipe(path)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        checksum = zlib.crc32(os.pread(file.fileno(), _EDGE, 0))
        if size > _EDGE:
            checksum = zlib.crc32(os.pread(file.fileno(), _EDGE, max(size - _EDGE, _EDGE)), checksum)
    return [size, checksum]
