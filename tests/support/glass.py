"""A terminal's glass: what stands on it after the bytes that a program wrote, and a command in a terminal of a size."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

__all__ = ["Glass", "at_terminal"]

_CONTROL = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])")
PATIENCE_SECONDS = 300


class Glass:
    """Rows of characters; knows what `ctlr.display` writes, and fails at anything else.

    Args:
        columns: Of the terminal; longer lines go on in the next row.
        rows: What leaves them at the top is in `history`.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines: list[str] = [""]
        self.history: list[str] = []
        self.row = self.column = 0
        self.coloured = False

    def feed(self, text: str) -> None:
        """Take in what was written."""
        place = 0
        while place < len(text):
            if text[place] == "\x1b":
                found = _CONTROL.match(text, place)
                assert found is not None, f"no control of ours: {text[place : place + 12]!r}"
                self._control(*found.groups())
                place = found.end()
            else:
                self._put(text[place])
                place += 1

    def _control(self, private: str, numbers: str, letter: str) -> None:
        if private or letter == "m":
            assert letter in "mhl"
            self.coloured |= letter == "m" and any(30 <= int(each or 0) <= 107 for each in numbers.split(";"))
        elif letter == "A":
            assert int(numbers) <= self.row, "above the glass"
            self.row -= int(numbers)
        elif letter == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif letter == "J":
            self.lines[self.row :] = [self.lines[self.row][: self.column]]
        else:
            raise AssertionError(f"no control of ours: {letter}")

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
            if len(self.lines) > self.rows:
                self.history.append(self.lines.pop(0))
                self.row -= 1
        else:
            if self.column == self.columns:
                self._put("\n")
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    @property
    def shown(self) -> list[str]:
        """Lines that stand on it."""
        return [line.rstrip() for line in self.lines]

    @property
    def everything(self) -> list[str]:
        """Those that have scrolled by, too."""
        return [line.rstrip() for line in self.history] + self.shown


def at_terminal(
    *arguments: str,
    folder: Path,
    columns: int,
    rows: int = 24,
    environment: Mapping[str, str] = MappingProxyType({}),
    warm: Path | None = None,
    watch: Callable[[Glass, int, int], object] = lambda glass, pid, terminal: None,
) -> tuple[int, Glass, list[list[str]]]:
    """Run `ctlr` with a terminal for its three streams.

    Args:
        arguments: After `ctlr`.
        folder: Working directory.
        columns: Of the terminal.
        rows: Of the terminal.
        environment: Variables besides those of this process.
        warm: Folder of a warm `ctlr` (`warm.py`), which hears no Ctrl-C of this terminal.
        watch: Called whenever something was written, with the glass, the process and the terminal's other end.

    Returns:
        The exit code (negative: a signal), the glass, and its lines after each write.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        known = {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **environment}
        program = [str(warm / "ctlr")] if warm else [sys.executable, "-m", "ctlr"]
        os.execve(program[0], [*program, *arguments], {**_without_colours(), **known})
    resize(terminal, columns, rows)
    glass, frames, until = Glass(columns, rows), list[list[str]](), time.monotonic() + PATIENCE_SECONDS
    waiting = b""
    try:
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            try:
                data = waiting + os.read(terminal, 2**16)
            except OSError:  # it has ended
                break
            if not data:
                break
            text, waiting = _whole(data)
            glass.feed(text)
            frames.append(glass.shown)
            watch(glass, pid, terminal)
    finally:
        os.close(terminal)
        with contextlib.suppress(ProcessLookupError):
            if time.monotonic() >= until:
                os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), glass, frames


def resize(terminal: int, columns: int, rows: int) -> None:
    """Give a terminal another size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _without_colours() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}


def _whole(data: bytes) -> tuple[str, bytes]:
    """Text up to the last character and control that are whole, and the rest."""
    end = len(data)
    cut = data.rfind(b"\x1b", max(0, end - 12))
    if cut >= 0 and _CONTROL.match(data[cut:].decode("utf-8", "replace")) is None:
        end = cut
    for back in range(4):
        with contextlib.suppress(UnicodeDecodeError):
            return data[: end - back].decode(), data[end - back :]
    raise AssertionError("no UTF-8")
