"""A watchman that ends trials when the engine is killed and can no longer do so itself."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys

__all__ = ["TRIAL_MARK", "Guard"]

TRIAL_MARK = "CTLR_TRIAL_MARK"
"""Environment variable by which a program that was just started is known."""

_PROGRAM = f"""
import os, signal, sys, time

groups, expected = set(), b""
for line in sys.stdin.buffer:
    sign, text = line[:1], line[1:-1]
    if sign == b"-":
        groups.discard(int(text))
    elif sign == b"+":
        groups.add(int(text))
        expected = b""
    else:
        expected = text

until = time.monotonic() + 1  # a child takes a moment to become the program
while expected and time.monotonic() < until and os.path.isdir("/proc"):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/" + pid + "/environ", "rb") as file:
                if b"{TRIAL_MARK}=" + expected in file.read().split(b"\\0"):
                    groups.add(os.getpgid(int(pid)))
                    expected = b""
                    break
        except OSError:
            pass
    time.sleep(0.01)

for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


class Guard:
    """A small process that holds the other end of a pipe; when this process dies, however it does, the pipe closes.

    It then kills every group that is still watched, grandchildren included. Asking Linux for a signal at the parent's
    death (PR_SET_PDEATHSIG) would need code between fork and exec, which is unsafe beside threads, reaches children
    only, and acts when the starting thread ends.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def expect(self) -> str:
        """Return a mark; the program with it as its `CTLR_TRIAL_MARK` is looked for should this process die before it
        is watched.

        Nobody else's program has it: the engine that goes on after such a death may start the same trial at once.
        """
        if self._process is None:
            # A session of its own: a terminal's Ctrl-C must not end the watchman before what it watches.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
        mark = secrets.token_hex(16)
        self._tell(f"?{mark}\n")
        return mark

    def forget(self) -> None:
        """Expect no program any more: it could not be started."""
        self._tell("?\n")

    def watch(self, group: int) -> None:
        """Kill this process group, which is no longer expected, should this process die."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """Leave this group alone: it has ended, and its number may be given to another."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the watchman; groups that are still watched are killed."""
        if self._process is not None:
            with self._process as process:
                if process.stdin is not None:
                    process.stdin.close()
            self._process = None

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # somebody killed it: trials run on unguarded
                self._process.stdin.write(line.encode(errors="surrogateescape"))
