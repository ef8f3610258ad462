"""The last lines of a terminal, redrawn in place; or, where there is none, lines of a log."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self, TextIO

from rich.console import Console
from rich.text import Text

__all__ = ["Screen"]

_TICK_SECONDS = 0.25
"""Between two looks at what is to be drawn; what has not changed is not drawn again."""
_SHARE = 0.05
"""Of a processor that drawing may take."""
_DUMB = ("", "dumb", "unknown")

Draw = Callable[[int, int], Sequence[Text]]


class Screen:
    """Keeps lines at a terminal's bottom, over which all that is said scrolls by; a context.

    A frame is one write, which overwrites the last one in place and is marked as one update, so that nothing flickers.
    Most terminals that become narrower break the lines of the last frame anew; they are found again by their widths.
    What others print to stderr meanwhile stands above the lines too.

    Args:
        draw: Makes the lines for a width and a height, in columns and rows; called often, from a thread.
        tick: Called as often, whether there is a terminal or not.
    """

    def __init__(self, draw: Draw, tick: Callable[[], object] = bool) -> None:
        self._draw, self._tick = draw, tick
        self._stream: TextIO = sys.stderr
        self.is_live = _is_live(self._stream)
        self._frame: tuple[str, ...] = ()
        self._widths: list[int] = []
        self.lock = threading.RLock()
        """Held while lines are made: whoever changes what they are made from holds it too."""
        self._pause = _TICK_SECONDS
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None
        self._open = False

    def __enter__(self) -> Self:
        self._open = True
        self._over.clear()
        if self.is_live:
            sys.stderr = _Above(self._stream, self.say)
        self._ticker = threading.Thread(target=self._run, name="display", daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if self._ticker is not None:
            self._ticker.join()
        with self.lock:
            self._open = False
            if isinstance(sys.stderr, _Above):
                sys.stderr.flush()
                sys.stderr = self._stream
            if self._widths:
                self._write(f"{self._to_the_top()}\x1b[J")
            self._widths, self._frame = [], ()

    def say(self, line: str | Text) -> None:
        """A line that stays, however long: a log is read by programs too."""
        text = Text(line) if isinstance(line, str) else line
        with self.lock:
            shown = "\n".join(_rendered(list(text.split("\n")), 10_000)) if self.is_live else text.plain
            if self._widths:
                shown = f"{self._to_the_top()}\x1b[J{shown}"
                self._widths, self._frame = [], ()
            self._write(f"{shown}\n")
            self.refresh()

    def refresh(self) -> None:
        """Draw what has changed."""
        if not self.is_live or not self._open or self._over.is_set():
            return
        with self.lock:
            size = _size(self._stream)
            lines = [line[: size.columns - 1] for line in self._draw(size.columns - 1, size.lines - 1)]
            lines = lines[: size.lines - 1]
            frame = tuple(_rendered(lines, size.columns))
            if frame == self._frame:
                return
            above = self._to_the_top() if self._widths else ""
            self._frame, self._widths = frame, [line.cell_len for line in lines]
            body = "\n".join(f"{line}\x1b[K" for line in frame)
            # The cursor waits where the last line begins: what the keyboard echoes (^C) breaks no line.
            self._write(f"\x1b[?2026h{above}{body}\x1b[J\r\x1b[?2026l")

    def _to_the_top(self) -> str:
        """What brings the cursor to the first cell of the last frame."""
        columns, above = _size(self._stream).columns, self._widths[:-1]
        rows = sum(max(1, -(-width // columns)) for width in above) if _breaks_lines_anew() else len(above)
        return "\r" + (f"\x1b[{rows}A" if rows else "")

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            began = time.thread_time()
            with self.lock:
                self._tick()
                self.refresh()
            self._pause = max(_TICK_SECONDS, (time.thread_time() - began) / _SHARE)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody hears any more
            self._stream.write(text)
            self._stream.flush()


def _is_live(stream: TextIO) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stream.isatty() and os.environ.get("TERM", "") not in _DUMB
    return False


def _breaks_lines_anew() -> bool:
    """Whether a terminal that becomes narrower does; those that cut lines off say who they are."""
    return not (os.environ.get("XTERM_VERSION") or os.environ.get("STY") or os.environ.get("TERM") == "linux")


def _size(stream: TextIO) -> os.terminal_size:
    """Of the terminal, now."""
    size = os.terminal_size((0, 0))
    with contextlib.suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
    return os.terminal_size((size.columns or 80, size.lines or 24))


def _rendered(lines: Sequence[Text], columns: int) -> list[str]:
    """With colours as the terminal has them (`NO_COLOR`, `TERM`)."""
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=True, width=columns, highlight=False, legacy_windows=False)
    for line in lines:
        console.print(line, markup=False, no_wrap=True, overflow="ignore", crop=False)
    return buffer.getvalue().split("\n")[: len(lines)]


class _Above(io.TextIOBase):
    """In the place of stderr while lines stand there: what is printed goes above them, a line at a time."""

    def __init__(self, stream: TextIO, say: Callable[[Text], object]) -> None:
        self._stream, self._say = stream, say
        self._begun = ""

    def write(self, text: str) -> int:
        """Say what lines are whole; keep the rest."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._say(Text.from_ansi(line))
        return len(text)

    def flush(self) -> None:
        """Say the rest."""
        if self._begun:
            rest, self._begun = self._begun, ""
            self._say(Text.from_ansi(rest))

    def isatty(self) -> bool:
        """As the terminal itself."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """As the terminal itself."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the terminal itself."""
        return self._stream.encoding
