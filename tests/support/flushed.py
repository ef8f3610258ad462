"""What a disk keeps of what was written: a double that forgets whatever was not flushed."""

import contextlib
import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

__all__ = ["Disk"]


class Disk:
    """Notes each flush of the process, and lays out what a power cut would leave.

    Args:
        moment: Called after each flush and before and after each rename: the moments between which a cut is a cut.
    """

    def __init__(self, moment: Callable[[], None] = lambda: None) -> None:
        self._moment = moment
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._kept: list[int] = []
        self._alone = threading.RLock()  # folders are flushed by threads

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the flushes and renames of the block."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most[1], most[1]))
        sync, data_sync, replace = os.fsync, os.fdatasync, os.replace

        def renamed(before: Path, after: Path) -> None:
            with self._alone:
                self._moment()
                replace(before, after)
                self._moment()

        def flushed(flush: Callable[[int], None]) -> Callable[[int], None]:
            def do(file: int) -> None:
                flush(file)
                with self._alone:
                    self._note(file)
                    self._moment()

            return do

        try:
            with (
                mock.patch("os.fsync", flushed(sync)),
                mock.patch("os.fdatasync", flushed(data_sync)),
                mock.patch("os.replace", renamed),
            ):
                yield
        finally:
            for file in self._kept:
                os.close(file)
            self._kept.clear()
            resource.setrlimit(resource.RLIMIT_NOFILE, most)

    def _note(self, file: int) -> None:
        found = os.fstat(file)
        if found.st_ino not in self._contents and found.st_ino not in self._names:
            self._kept.append(os.dup(file))  # nobody else gets its number
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = {entry.name: entry.inode() for entry in os.scandir(file)}
        else:
            self._contents[found.st_ino] = Path(f"/proc/self/fd/{file}").read_bytes()

    def leave(self, root: Path, place: Path) -> None:
        """Lay out what is left of a folder where names survive unflushed and contents do not, as on ext4.

        A file that was never flushed is empty; one that has changed since is as it was.
        """
        for folder, _, names in os.walk(root):
            there = place / Path(folder).relative_to(root)
            there.mkdir(parents=True)
            for name in names:
                path = Path(folder, name)
                (there / name).write_bytes(self._contents.get(path.stat().st_ino, b""))

    def leave_flushed_names(self, root: Path, place: Path) -> None:
        """Lay out what is left where a name survives only if its folder was flushed with it, as POSIX has it."""
        place.mkdir()
        self._lay_out(root.stat().st_ino, place)

    def _lay_out(self, folder: int, place: Path) -> None:
        for name, number in self._names.get(folder, {}).items():
            if number in self._contents:
                (place / name).write_bytes(self._contents[number])
            elif number in self._names:
                (place / name).mkdir()
                self._lay_out(number, place / name)
