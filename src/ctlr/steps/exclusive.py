"""One process at a time makes a result; the others wait and find it made."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from ctlr.workspace import Workspace, disk_faults_named

__all__ = ["exclusively"]


@contextlib.contextmanager
def exclusively(workspace: Workspace, kind: str, identity: str) -> Iterator[None]:
    """Keep other processes from making the same result while the block runs; wait for one that is at it.

    Whoever gets in looks first whether the result is there by now. The lock goes with its process, however that ends;
    on a volume that several machines mount, the file system has to know locks (NFS 4 and later do).

    Args:
        workspace: Whose result it is.
        kind: Family of results, e.g. `pretrained`.
        identity: Of the result.
    """
    path = workspace.root / "locks" / f"{kind}-{identity}"
    with disk_faults_named(workspace.root):
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
