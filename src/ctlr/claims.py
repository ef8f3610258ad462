"""Claims: one worker at a time makes a result, among all processes and machines that share the workspace.

    claims/<kind>-<identity>    there while somebody is at that result; says whose it is

One process alone can make the file, and it removes it when it is done. It keeps a lock on it, which goes with the
process however that ends: whoever else runs on the same machine, or finds the file on a disk of its own, sees at once
that it died. From another machine the lock is not enough, since there are volumes that know none and volumes that lose
them; so the file is also touched every `BEAT_SECONDS`, and one that nobody has touched while this process looked on for
`LEASE_SECONDS` is nobody's. No two clocks are compared: on CephFS, Lustre and sshfs a file's time is its writer's.

A worker that was frozen for that long and wakes has lost its claim without knowing. It does no harm: what it writes to
was renamed meanwhile, and the result that was first is the one that stays (`Workspace.publish`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "BEAT_SECONDS",
    "LEASE_SECONDS",
    "NO_LOCKS",
    "claimed",
    "exclusively",
    "give_all_back",
    "holder_of",
    "is_claimed",
    "time_there",
]

LEASE_SECONDS = 60.0
"""A claim that is not touched while somebody looks on for so long is free, whoever held it."""
BEAT_SECONDS = 10.0
"""Between two touches: several may be late before a claim is lost."""

_LOCAL = ("btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "vfat", "xfs", "zfs")
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What a volume answers that knows no locks."""
_LOOK_SECONDS = (0.02, 0.5)
"""Between two looks at a claim that is waited for: the first, and the longest."""


@contextlib.contextmanager
def claimed(root: Path, kind: str, identity: str, *, surely: bool = False) -> Iterator[bool]:
    """Claim a result for the block, without waiting; says whether it was free.

    A thread that holds the claim already goes on with it.

    Args:
        root: Of the workspace.
        kind: Family of results, e.g. `pretrained`.
        identity: Of the result.
        surely: Wait until it is certain that whoever holds it lives: for a beat of his, where no lock says so.
    """
    path = _path(root, kind, identity)
    if surely:
        _seen.pop(path, None)
    claim = _take(path, root / kind)
    while claim is None and surely and not _known_alive(path):
        time.sleep(_LOOK_SECONDS[1])
        claim = _take(path, root / kind)
    if claim is None:
        yield False
        return
    try:
        yield True
    finally:
        _give_back(claim)


@contextlib.contextmanager
def exclusively(root: Path, kind: str, identity: str) -> Iterator[None]:
    """Claim a result for the block; wait for whoever is at it.

    Who gets in looks first whether the result is there by now. Arguments as of `claimed`.
    """
    path, (pause, longest) = _path(root, kind, identity), _LOOK_SECONDS
    while (claim := _take(path, root / kind)) is None:
        time.sleep(pause)
        pause = min(2 * pause, longest)
    try:
        yield
    finally:
        _give_back(claim)


def is_claimed(root: Path, kind: str, identity: str) -> bool:
    """Whether somebody is at a result now; arguments as of `claimed`."""
    path = _path(root, kind, identity)
    return path.exists() and not _remove_dead(path)


def give_all_back() -> None:
    """Give back what this process holds, since it ends now: others need not wait for the lease."""
    with _change:
        for claim in list(_held.values()):
            claim.depth = 1
            _give_back(claim)


def holder_of(root: Path, kind: str, identity: str) -> str:
    """Who is at a result, for people: `process 4242 on host`; empty where nobody is. Arguments as of `claimed`."""
    with contextlib.suppress(FileNotFoundError):
        return _path(root, kind, identity).read_text().partition(" for ")[2]
    return ""


def time_there(folder: Path) -> float:
    """The time of day by the clock of a folder's file system, in seconds since 1970; this machine's may be wrong."""
    path = folder / f".clock-{secrets.token_hex(8)}"
    with path.open("xb") as file:
        path.unlink()
        os.utime(file.fileno())
        return os.fstat(file.fileno()).st_mtime


@dataclass
class _Claim:
    path: Path
    place: int
    """Open descriptor, with the lock."""
    mark: bytes
    """What stands in the file: nobody else's says the same."""
    thread: int = field(default_factory=threading.get_ident)
    depth: int = 1


@dataclass
class _Sight:
    touched: tuple[bytes, int]
    """Whose the claim was, and the time of its file, in nanoseconds of whatever clock."""
    since: float
    """When it was first seen so, by this process's clock."""
    lives: bool = False
    """Whether it has changed while this process looked on, or is locked."""


_held: dict[Path, _Claim] = {}
_seen: dict[Path, _Sight] = {}
_change = threading.RLock()
_heart: threading.Thread | None = None


def _path(root: Path, kind: str, identity: str) -> Path:
    return root.absolute() / "claims" / f"{kind}-{identity}"


def _take(path: Path, results: Path) -> _Claim | None:
    """Make the file, or see that it is somebody else's."""
    with _change:
        if (held := _held.get(path)) is not None:
            if held.thread != threading.get_ident():
                return None
            held.depth += 1
            return held
        path.parent.mkdir(exist_ok=True)
        while True:
            try:
                place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                if not _remove_dead(path):
                    return None
                continue
            try:
                locked = _lock(place, wait=True)  # for somebody who looks at it, which takes no time
                if locked and not _stands(path, place):  # who looked before the lock was here took it for dead
                    os.close(place)
                    continue
                mark = (
                    f"{_machine(place)}{secrets.token_hex(8)} for process {os.getpid()} on {socket.gethostname()}"
                ).encode()
                os.write(place, mark)
            except BaseException:
                if _stands(path, place):
                    path.unlink(missing_ok=True)
                os.close(place)
                raise
            break
        _held[path] = _Claim(path, place, mark)
        _beat_from_now_on()
        if not _is_local(place):
            _forget_what_was_there(results)
        return _held[path]


def _forget_what_was_there(results: Path) -> None:
    """Make this machine ask the server what a folder holds.

    NFS goes by what it saw up to a minute ago, also where that was nothing: a result that another machine has made
    since would be made again. Who writes to a folder learns that it has changed.
    """
    with contextlib.suppress(OSError):  # no result of the kind so far; a full volume, which the work itself will name
        time_there(results)


def _give_back(claim: _Claim) -> None:
    with _change:
        claim.depth -= 1
        if claim.depth or _held.pop(claim.path, None) is None:
            return
        with contextlib.suppress(OSError):  # a full or vanished volume: the lock and the lease go by themselves
            if claim.path.read_bytes() == claim.mark:
                claim.path.unlink()
        os.close(claim.place)


def _remove_dead(path: Path) -> bool:
    """Whether a claim is gone: given back, or removed here because nobody holds it any more."""
    try:
        place = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # opening asks a server for the time of the last touch
    except FileNotFoundError:
        _seen.pop(path, None)
        return True
    try:
        locked = _lock(place, wait=False)
        mark = os.read(place, 1000)
        if locked is False:
            _seen[path] = _Sight((mark, 0), time.monotonic(), lives=True)
            return False
        if not _stands(path, place):
            return True
        told_by_lock = locked is True and (_is_local(place) or mark.startswith(_machine(place).encode()))
        if not told_by_lock and not _silent_for_long(path, (mark, os.fstat(place).st_mtime_ns)):
            return False
        return _remove(path, mark)
    finally:
        os.close(place)


def _silent_for_long(path: Path, touched: tuple[bytes, int]) -> bool:
    """Whether a claim has been as it is for all of the lease that this process has looked on."""
    now = time.monotonic()
    sight = _seen.get(path)
    if sight is None or sight.touched != touched:
        beats = sight is not None and sight.touched[0] == touched[0]
        sight = _seen[path] = _Sight(touched, now, lives=beats)
    return now - sight.since >= LEASE_SECONDS


def _known_alive(path: Path) -> bool:
    sight = _seen.get(path)
    return path in _held or (sight is not None and sight.lives)


def _stands(path: Path, place: int) -> bool:
    """Whether an open claim is still the one at its path; one that is locked stays so."""
    try:
        return os.path.samestat(path.stat(), os.fstat(place))
    except FileNotFoundError:
        return False


def _remove(path: Path, mark: bytes) -> bool:
    """Remove a dead claim, and no other that has taken its place meanwhile."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return True
    theirs = aside.read_bytes() != mark
    if theirs:
        with contextlib.suppress(FileExistsError):  # without locks two may remove at once
            os.link(aside, path)
    aside.unlink()
    return not theirs


def _lock(place: int, *, wait: bool) -> bool | None:
    """Lock an open claim; False where another process has it locked, None where the volume knows no locks."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


def _machine(place: int) -> str:
    """A running machine and its view of the volume: within both, locks are to be trusted."""
    with contextlib.suppress(OSError):
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.fstat(place).st_dev} "
    return f"{socket.gethostname()} {os.fstat(place).st_dev} "


def _is_local(place: int) -> bool:
    """Whether no other machine can have a file open: its lock says all, also after a power cut."""
    return _kind_of(os.fstat(place).st_dev) in _LOCAL


@functools.cache
def _kind_of(device: int) -> str:
    """The type of the file system on a device, e.g. `ext4`; empty where it is not known."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            mount, _, rest = line.partition(" - ")
            if mount.split()[2] == f"{os.major(device)}:{os.minor(device)}":
                return rest.split()[0]
    return ""


def _beat_from_now_on() -> None:
    global _heart
    if _heart is None or not _heart.is_alive():
        _heart = threading.Thread(target=_beat, name="claims", daemon=True)
        _heart.start()


def _beat() -> None:
    """Touch what is held, for as long as the process lives."""
    while True:
        time.sleep(BEAT_SECONDS)
        with _change:
            for claim in _held.values():
                with contextlib.suppress(OSError):  # tried again at the next beat
                    os.utime(claim.place)
