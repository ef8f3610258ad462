"""Digests of a dataset's files, remembered so that unchanged files are not read again."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ctlr.durable import read_file
from ctlr.specs import fingerprint
from ctlr.workspace import Workspace, write_aside

__all__ = ["UNREADABLE", "file_digests", "open_regular", "remembered_digests"]

UNREADABLE = "unreadable"
"""Stands for the digest of a file that cannot be opened."""

_Stamp = tuple[int, int, int]  # size, mtime and ctime in ns: ctime gives away a file that was changed and dated back
_MEMORY = TypeAdapter(dict[str, tuple[int, int, int, str]])


def file_digests(root: Path, files: Iterable[str], workspace: Workspace, *, workers: int = 1) -> dict[str, str]:
    """SHA-256 of the content of files.

    The workspace remembers them with size and times of each file, in `sources/<digest of the folder's path>.json`;
    a file is read again when one of those has changed.

    Args:
        root: The dataset.
        files: Paths relative to it.
        workspace: Where digests are remembered.
        workers: Files that are read at once.

    Returns:
        File -> 64 hexadecimal digits, or `UNREADABLE`.
    """
    memory = _memory(root, workspace)
    known = _recall(memory)
    stamps = {file: _stamp(os.path.join(root, file)) for file in files}
    stale = [file for file, stamp in stamps.items() if stamp is not None and known.get(file, ())[:3] != stamp]
    with ThreadPoolExecutor(max_workers=workers) as pool:
        fresh = dict(zip(stale, pool.map(lambda file: _digest(root / file), stale), strict=True))
    for file, digest in fresh.items():
        stamp = stamps[file]
        if stamp is not None and digest != UNREADABLE:
            known[file] = (*stamp, digest)
    if fresh:
        memory.parent.mkdir(exist_ok=True)
        write_aside(memory, _MEMORY.dump_json(known))
    return {
        file: UNREADABLE if stamp is None else fresh[file] if file in fresh else known[file][3]
        for file, stamp in stamps.items()
    }


def remembered_digests(root: Path, files: Iterable[str], workspace: Workspace) -> dict[str, str] | None:
    """Digests of files that have not changed since they were read; None where one has, or was not. Reads none."""
    known = _recall(_memory(root, workspace))
    digests = {}
    for file in files:
        stamp = _stamp(os.path.join(root, file))
        if stamp is None or known.get(file, ())[:3] != stamp:
            return None
        digests[file] = known[file][3]
    return digests


def open_regular(path: Path) -> BufferedReader:
    """Open a file of a dataset to read it: one that ends, neither a pipe nor a device, which nobody could interrupt.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115 (the caller closes it)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "Is a pipe or a device", str(path))
    return file


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _memory(root: Path, workspace: Workspace) -> Path:
    return workspace.folder("sources", f"{fingerprint(os.path.realpath(root))}.json")


def _recall(memory: Path) -> dict[str, tuple[int, int, int, str]]:
    """What is remembered; nothing when the memory is absent or damaged, since it can be made again."""
    try:
        return _MEMORY.validate_json(read_file(memory))
    except (OSError, ValidationError):
        return {}


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE
