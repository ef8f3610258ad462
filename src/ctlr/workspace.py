"""The workspace: the folder that holds what steps made, under the identity of what it was made from.

    workspace.json                      format version
    began                               when the last run began
    lock                                shared by the runs under way; an older CTLR wants it for itself
    claims/<kind>-<identity>            whose worker is at a result now (`ctlr.claims`)
    key                                 secret of the subjects' pseudonyms (mode 0600; never leaves the folder)
    <kind>/<identity>/                  a finished result, e.g. arrays/…, studies/…, with the list of its files
    <kind>/<identity>.<attempt>.partial/  one under way; renamed into place when it is finished
    data/                               yours, where a cluster's volume holds datasets beside the results

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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from ctlr.claims import NO_LOCKS, claimed, exclusively, holder_of, is_claimed, time_there
from ctlr.durable import flush, flush_folder, is_whole, list_files, read_file
from ctlr.errors import TakenOver, WorkspaceError

__all__ = ["FORMAT", "Workspace", "disk_faults_named", "sweep", "write_aside"]

FORMAT = 2
"""Version of the workspace's layout; another one is refused, but for those in `READABLE`."""
READABLE = (1, FORMAT)
"""Format 1 knows no claims, so that its CTLR must not work beside this one: the next run makes it 2."""

NO_STRANGERS = {"lock", "data", "lost+found"}
"""What may lie in a folder that becomes a workspace; a new volume's file system brings the last."""


_FULL = (
    "The disk of {place} is full. What is finished is safe: free some space and run the command again, or go on with "
    "`ctlr resume`, a search with `ctlr tune FILE --resume`."
)
_READ_ONLY = "{place} cannot be written. Grant write access, or name another folder."
_NAMED = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EFBIG: "{place}: a file is larger than this shell or file system allows. Raise `ulimit -f`, and run again.",
    errno.EMFILE: "{place}: too many files are open for this process. Raise `ulimit -n`, and run again.",
    errno.ENAMETOOLONG: "{place}: a name is longer than the file system takes. Choose a shorter one.",
}
"""What the disk refuses -> what is told."""


@contextlib.contextmanager
def disk_faults_named(place: Path) -> Iterator[None]:
    """Turn a full disk, a spent quota, a read-only folder and the shell's limits into errors that name the remedy.

    Raises:
        WorkspaceError: Instead of the OSError.
    """
    try:
        yield
    except OSError as error:
        if (fault := _NAMED.get(error.errno or 0)) is None:
            raise
        raise WorkspaceError(fault.format(place=place)) from error


T = TypeVar("T")
_PARTIAL = ".partial"
_TAKEN_OVER = "another worker has taken this step over, since this one was silent for too long"
_NO_LONGER_THERE = (errno.ENOENT, errno.ESTALE)
"""What a volume answers of a folder that another machine has renamed or removed."""
_KEY_BYTES = 32


def write_aside(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or absent, also after a power cut: beside its place, flushed, then renamed.

    Its name is flushed too, but in a folder that `publish` has not finished: that one becomes lasting as a whole, and
    a checkpoint whose name is lost leaves the one before it.
    """
    with disk_faults_named(path.parent):
        try:
            with _aside(path.parent, data) as aside:
                aside.replace(path)
        except FileNotFoundError:  # `sweep` took it for a dead process's, before it was locked
            with _aside(path.parent, data) as aside:
                aside.replace(path)
        except IsADirectoryError as error:
            raise WorkspaceError(
                f"{path} must be a file, and a folder stands in its place. Remove that folder, and run again."
            ) from error
        if not any(folder.suffix == _PARTIAL for folder in path.parents):
            flush(path.parent)


@contextlib.contextmanager
def _aside(folder: Path, data: bytes, mode: int = 0o666) -> Iterator[Path]:
    """A file on the disk with that content and no name of its own; locked, so that `sweep` leaves it alone."""
    # Process ids are alike in every pod that shares the folder.
    aside = folder / f".{secrets.token_hex(8)}.aside"
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            yield aside
    finally:
        aside.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder and below."""
    for aside in [*folder.rglob(".*.aside")]:
        _remove_dead(aside)


def _remove_dead(aside: Path) -> None:
    with contextlib.suppress(OSError), aside.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        aside.unlink()


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
        except OSError as error:
            if error.errno in _NAMED:
                raise
            raise WorkspaceError(
                f"{self.root} cannot be made a folder ({error.strerror}). Name another --workspace."
            ) from error

    def _check_format(self, marker: Path) -> None:
        try:
            found = json.loads(read_file(marker))["format"]
        except OSError as error:
            if not marker.is_file():
                raise WorkspaceError(
                    f"{marker} must be a file, and is none. Remove it, put a file that says "
                    f'{{"format": {FORMAT}}} in its place, and run again.'
                ) from error
            raise WorkspaceError(
                f"{marker} cannot be read ({error.strerror}). Grant read access, put a file that says "
                f'{{"format": {FORMAT}}} in its place, or name a new workspace.'
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise WorkspaceError(
                f'{marker} is damaged: it must say the format of the workspace. Write {{"format": {FORMAT}}} into it, '
                "where this version of CTLR has made the workspace, or name a new one."
            ) from error
        if found not in READABLE:
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

    def read(self, kind: str, identity: str, name: str, parse: Callable[[bytes], T]) -> T:
        """What a file of a finished result says.

        Args:
            kind: Family of results.
            identity: Of what it was made from.
            name: Of the file.
            parse: Reads its content; raises what code raises on data of another shape.

        Raises:
            WorkspaceError: It cannot be read; names the folder to remove.
        """
        try:
            return parse(read_file(self.folder(kind, identity) / name))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise WorkspaceError(
                f"{kind}/{identity}/{name} in {self.root} is missing or damaged. Remove the folder "
                f"{self.folder(kind, identity)} and run again: it is made anew."
            ) from error

    def claimed(self, kind: str, identity: str) -> contextlib.AbstractContextManager[bool]:
        """Claim a result for a block without waiting; says whether nobody else is at it."""
        return claimed(self.root, kind, identity)

    def is_claimed(self, kind: str, identity: str) -> bool:
        """Whether somebody is at a result now."""
        return is_claimed(self.root, kind, identity)

    @contextlib.contextmanager
    def exclusively(self, kind: str, identity: str) -> Iterator[None]:
        """Claim a result for the block; wait for whoever is at it, and look then whether it is there."""
        with disk_faults_named(self.root), exclusively(self.root, kind, identity):
            yield

    @contextlib.contextmanager
    def publish(self, kind: str, identity: str, *, resumable: bool = False, shared: bool = False) -> Iterator[Path]:
        """Yield a folder to fill; it takes its final name when the block ends without an error and all is on the disk.

        Nobody else fills one for the same result meanwhile. Should the claim be lost all the same (a machine that was
        frozen for a minute), the folder is gone, and what the block has made with it; a result that is there stays.

        Args:
            kind: Family of results, e.g. `arrays`.
            identity: Of what it is made from.
            resumable: Keep what an interrupted attempt left (checkpoints) instead of starting empty.
            shared: Processes that hold no claim fill it too (trials of a search), so that every attempt's has one name.

        Raises:
            TakenOver: Another worker has gone on with it.
        """
        final = self.folder(kind, identity)
        attempt = "" if shared else f".{secrets.token_hex(4)}"
        partial = final.with_name(f"{final.name}{attempt}{_PARTIAL}")
        first = not final.parent.exists()
        with self.exclusively(kind, identity), disk_faults_named(final):
            final.parent.mkdir(exist_ok=True)
            _begin(partial, _attempts(final), resumable=resumable)
            try:
                yield partial
                list_files(partial)
                flush_folder(partial)
            except BaseException as error:
                if isinstance(error, Exception) and _is_gone(partial):
                    raise TakenOver(_TAKEN_OVER) from error
                if not resumable:
                    shutil.rmtree(partial, ignore_errors=True)
                raise
            _finish(partial, final)
            flush(final.parent)
            if first:
                flush(self.root)

    def discard(self, kind: str, identity: str) -> None:
        """Remove a result, so that it is made again; nothing where there is none."""
        with disk_faults_named(self.root):
            _remove(self.folder(kind, identity))

    def reopen(self, kind: str, identity: str) -> None:
        """Make a result an interrupted attempt again, on which `publish(…, resumable=True)` goes on."""
        final = self.folder(kind, identity)
        with disk_faults_named(self.root), contextlib.suppress(FileNotFoundError):
            final.rename(final.with_name(f"{final.name}{_PARTIAL}"))

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Work in the workspace for the block, beside all others that know claims.

        Raises:
            WorkspaceError: An older CTLR is at work here, which knows none; names its process.
        """
        lock = self.root / "lock"
        if lock.exists() and not lock.is_file():  # opening a pipe would wait for whoever writes into it
            raise WorkspaceError(f"{lock} must be a file, and is none. Remove it, and run again.")
        with disk_faults_named(self.root), lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise WorkspaceError(
                    f"{self.root} is in use by a run of an older CTLR ({file.read().strip() or 'unknown process'}). "
                    "Wait for it to end, or name another --workspace."
                ) from error
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
            write_aside(self.root / "workspace.json", json.dumps({"format": FORMAT}).encode())
            yield

    @contextlib.contextmanager
    def working(self, *, join: bool = False) -> Iterator[bool]:
        """Keep other runs out while the block runs, but those that join; says whether this one leads.

        Args:
            join: Work beside the run that leads, where there is one.

        Raises:
            WorkspaceError: Another run leads; names its process.
        """
        with self.shared(), claimed(self.root, "runs", "lead", surely=not join) as leads:
            if not leads and not join:
                raise WorkspaceError(
                    f"{self.root} is in use by another run ({holder_of(self.root, 'runs', 'lead')}). Wait for it "
                    "to end, work beside it with `--join`, or name another --workspace."
                )
            if leads:
                self._sweep()
                write_aside(self.root / "began", b"")
            yield leads

    def _sweep(self) -> None:
        """Remove what killed runs have left and nobody goes on with; `publish` sees to what is not finished."""
        for aside in self.root.glob(".*.aside"):
            _remove_dead(aside)
        for partial in self.root.glob(f"*/*{_PARTIAL}"):
            if is_whole(partial.with_name(partial.name.partition(".")[0])):  # its worker was overtaken, and killed
                shutil.rmtree(partial, ignore_errors=True)
        for kind in ("reports", "failed", "sources", "submissions", "ran"):
            sweep(self.root / kind)

    def is_led(self) -> bool:
        """Whether a run leads here now."""
        return self.is_claimed("runs", "lead")

    def began(self) -> float:
        """When the last run began, by the clock of the workspace's file system; 0 where none has."""
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "began").stat().st_mtime
        return 0.0

    def pseudonym(self, subject: str) -> str:
        """Keyed hash of a subject id: 12 hexadecimal digits that only this workspace's key can make again."""
        return self.pseudonyms([subject])[0]

    def pseudonyms(self, subjects: Iterable[str]) -> list[str]:
        """The pseudonym of each subject; the key is read once."""
        keyed, found = hmac.new(self._key(), digestmod=hashlib.sha256), []
        for subject in subjects:
            one = keyed.copy()
            one.update(subject.encode())
            found.append(one.hexdigest()[:12])
        return found

    def _key(self) -> bytes:
        path = self.root / "key"
        with disk_faults_named(self.root):
            if path.exists() and path.stat().st_size < _KEY_BYTES:  # a power cut left it: anybody could guess it
                path.unlink()
            if not path.exists():
                key = secrets.token_bytes(_KEY_BYTES)
                with _aside(self.root, key, 0o600) as aside, contextlib.suppress(FileExistsError):
                    os.link(aside, path)
                flush(self.root)
        try:
            return path.read_bytes()
        except OSError as error:
            raise WorkspaceError(
                f"{path} cannot be read ({error.strerror}): it makes the pseudonyms of subjects. Grant its owner read "
                "access, or restore it; a new one would name the same subjects otherwise."
            ) from error


def _attempts(final: Path) -> list[Path]:
    """What earlier attempts at a result have left, the last one first."""
    found = [*final.parent.glob(f"{final.name}.*{_PARTIAL}"), final.with_name(f"{final.name}{_PARTIAL}")]
    ages = {}
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            ages[path] = path.stat().st_mtime
    return sorted(ages, key=lambda path: -ages[path])


def _begin(partial: Path, left: list[Path], *, resumable: bool) -> None:
    """Make a folder to fill: the last attempt's, under a name that its worker does not know, or an empty one."""
    for path in left:
        if path == partial and resumable:
            continue
        if resumable and not partial.exists():
            with contextlib.suppress(FileNotFoundError):
                path.rename(partial)
        else:
            shutil.rmtree(path, ignore_errors=True)
    partial.mkdir(exist_ok=True)
    for aside in [*partial.rglob(".*.aside")]:  # of an attempt that was killed while it wrote
        aside.unlink()


def _is_gone(partial: Path) -> bool:
    """Whether another worker has taken a folder away; asked by writing to it, since NFS remembers what it was."""
    try:
        time_there(partial)
    except OSError as error:
        return error.errno in _NO_LONGER_THERE
    return False


def _remove(final: Path) -> None:
    """Take a result away at once: nobody sees half of it."""
    if final.exists():
        aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}.damaged")
        final.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _finish(partial: Path, final: Path) -> None:
    """Give a filled folder its name, unless the result is there: somebody may be reading it, and it is the same."""
    if final.exists() and not is_whole(final):
        _remove(final)
    try:
        partial.rename(final)
    except OSError as error:
        if error.errno in _NO_LONGER_THERE:
            raise TakenOver(_TAKEN_OVER) from error
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(partial, ignore_errors=True)
