"""Write the members of a synthetic cohort into a folder of their own, several at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ctlr.durable import flush_folder
from ctlr.errors import DataError

__all__ = ["write_members"]


def write_members(
    out: Path,
    count: int,
    write: Callable[[int], None],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write all members.

    Args:
        out: Folder that does not exist or is empty.
        count: How many.
        write: Writes member 0, 1, ...
        workers: Threads.
        progress: Told (done, total) after each member.

    Raises:
        DataError: `out` is there and not an empty folder.
    """
    _make_empty(out)
    with ThreadPoolExecutor(workers) as pool:
        pending = [pool.submit(write, index) for index in range(count)]
        try:
            for done, future in enumerate(as_completed(pending), start=1):
                future.result()
                if progress is not None:
                    progress(done, count)
        finally:  # after an error or Ctrl-C the rest is not begun
            pool.shutdown(wait=True, cancel_futures=True)
    flush_folder(out)


def _make_empty(out: Path) -> None:
    """Make the folder, or find it empty."""
    rule = f"A cohort is written to a new or empty folder; {out}"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{rule} is a file, or lies below one. Name another folder.") from error
    found = min(out.iterdir(), default=None)
    if found is not None:
        raise DataError(f"{rule} holds {found.name}. Name another folder, or delete it if its writing was interrupted.")
