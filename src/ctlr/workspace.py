"""The workspace: the folder that holds what steps made, under the identity of what it was made from.

    workspace.json              format version
    lock                        held by the run under way
    key                         secret of the subjects' pseudonyms (mode 0600; never leaves the folder)
    <kind>/<identity>/          a finished result, e.g. arrays/…, pretrained/…, studies/…, with the list of its files
    <kind>/<identity>.partial/  one under way; renamed into place when it is finished
    data/                       yours, where a cluster's volume holds datasets beside the results

A finished folder is complete: it appears by one rename, after all that is in it is on the disk. One whose files are not
what its list says counts as absent.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from ctlr.durable import flush, flush_folder, is_whole, list_files
from ctlr.errors import WorkspaceError

__all__ = ["FORMAT", "Workspace", "disk_faults_named", "write_aside"]

FORMAT = 1
"""Version of the workspace's layout; another one is refused."""

NO_STRANGERS = {"lock", "data", "lost+found"}
"""What may lie in a folder that becomes a workspace; a new volume's file system brings the last."""


@contextlib.contextmanager
def disk_faults_named(place: Path) -> Iterator[None]:
    """Turn a full disk, a spent quota and a read-only folder into errors that name the remedy.

    Raises:
        WorkspaceError: Instead of the OSError with ENOSPC, EDQUOT, EROFS or EACCES.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkspaceError(
                f"The disk of {place} is full. Finished steps are safe: free some space, then go on "
                "with `ctlr resume`, or a search with `ctlr tune FILE --resume`."
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES):
            raise WorkspaceError(f"{place} cannot be written. Choose a writable folder with --workspace.") from error
        raise


_PARTIAL = ".partial"
_KEY_BYTES = 32


def write_aside(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or absent, also after a power cut: beside its place, flushed, then renamed.

    Its name is flushed too, but in a folder that `publish` has not finished: that one becomes lasting as a whole, and
    a checkpoint whose name is lost leaves the one before it.
    """
    # Process ids are alike in every pod that shares the folder.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.aside")
    with disk_faults_named(path.parent):
        try:
            with aside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            if not any(folder.suffix == _PARTIAL for folder in path.parents):
                flush(path.parent)
        finally:
            aside.unlink(missing_ok=True)


class Workspace:
    """A workspace folder, opened.

    Args:
        root: The folder; made when it does not exist.

    Raises:
        WorkspaceError: It was written by another version, holds other things, or cannot be written.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        with disk_faults_named(self.root):
            self._make_folder()
            marker = self.root / "workspace.json"
            if not marker.exists() or not marker.stat().st_size:  # an empty one is what a power cut left of it
                entries = [entry.name for entry in self.root.iterdir() if not entry.name.startswith(".")]
                strangers = [name for name in entries if name not in NO_STRANGERS]
                # Another process may have written the marker since it was looked for.
                if strangers and not marker.exists():
                    raise WorkspaceError(
                        f"{self.root} is no workspace and holds other things ({strangers[0]}). "
                        "Name an empty or new folder."
                    )
                write_aside(marker, json.dumps({"format": FORMAT}).encode())
            self._check_format(marker)

    def _make_folder(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise WorkspaceError(
                f"{self.root} must be a folder, and a file stands in its place. Name another --workspace."
            ) from error

    def _check_format(self, marker: Path) -> None:
        try:
            found = json.loads(marker.read_text())["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(f"{marker} cannot be read. Restore it, or name a new workspace.") from error
        if found != FORMAT:
            raise WorkspaceError(
                f"{self.root} has workspace format {found}; this CTLR writes format {FORMAT}. "
                "Use the CTLR that wrote it, or name a new workspace."
            )

    def folder(self, kind: str, identity: str) -> Path:
        """Where a result lies, or will lie."""
        return self.root / kind / identity

    def has(self, kind: str, identity: str) -> bool:
        """Whether that result is finished, and all of it is there: what is damaged is made again."""
        return is_whole(self.folder(kind, identity))

    @contextlib.contextmanager
    def publish(self, kind: str, identity: str, *, resumable: bool = False) -> Iterator[Path]:
        """Yield a folder to fill; it takes its final name when the block ends without an error and all is on the disk.

        Args:
            kind: Family of results, e.g. `arrays`.
            identity: Of what it is made from.
            resumable: Keep what an interrupted attempt left (checkpoints) instead of starting empty.
        """
        final = self.folder(kind, identity)
        partial = final.with_name(f"{final.name}{_PARTIAL}")
        first = not final.parent.exists()
        with disk_faults_named(final):
            if not resumable:
                shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True, exist_ok=True)
            for aside in [*partial.rglob(".*.aside")]:  # of an attempt that was killed while it wrote
                aside.unlink()
            try:
                yield partial
            except BaseException:
                if not resumable:
                    shutil.rmtree(partial, ignore_errors=True)
                raise
            list_files(partial)
            flush_folder(partial)
            if final.exists():
                shutil.rmtree(final)
            partial.replace(final)
            flush(final.parent)
            if first:
                flush(self.root)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out while the block runs.

        Raises:
            WorkspaceError: Another process holds the lock; names it.
        """
        with disk_faults_named(self.root), (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise WorkspaceError(
                    f"{self.root} is in use by another run ({file.read().strip() or 'unknown process'}). "
                    "Wait for it to end, or name another --workspace."
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def pseudonym(self, subject: str) -> str:
        """Keyed hash of a subject id: 12 hexadecimal digits that only this workspace's key can make again."""
        return hmac.new(self._key(), subject.encode(), hashlib.sha256).hexdigest()[:12]

    def _key(self) -> bytes:
        path = self.root / "key"
        with disk_faults_named(self.root):
            if path.exists() and path.stat().st_size < _KEY_BYTES:  # a power cut left it: anybody could guess it
                path.unlink()
            if not path.exists():
                aside = self.root / f".key.{secrets.token_hex(4)}"
                aside.touch(mode=0o600)
                aside.write_bytes(secrets.token_bytes(_KEY_BYTES))
                flush(aside)
                with contextlib.suppress(FileExistsError):
                    os.link(aside, path)
                aside.unlink()
                flush(self.root)
        return path.read_bytes()
