"""Ctrl-C and SIGTERM where nothing is half done.

A signal's exception comes between any two instructions: also between taking a job off a queue and noting who has it,
or between starting a process and noting that it runs. Whoever deals out work holds signals back from its first worker
to its last, and lets them act where it waits: there every job is in one place.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

__all__ = ["came", "came_again", "check", "held", "released", "wakeup"]

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_TWICE_SECONDS = 0.3
"""Between two signals that are meant as two."""


class _Signals:
    """State of this process; the main thread's alone, since no other one runs handlers."""

    def __init__(self) -> None:
        self.depth = 0
        """Blocks under way that hold signals back."""
        self.came: list[int] = []
        """What has come meanwhile."""
        self.times: list[float] = []
        """When each one came, those that have acted too."""
        self.before: dict[int, Any] = {}
        """Whose place `handle` has taken."""
        self.pipe: tuple[int, int] | None = None
        """The kernel's note of each signal, for `select`: whichever thread takes a signal, the main one wakes."""

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note a signal; outside of a block do what would have been done without us."""
        if self.depth:
            self.came.append(number)
            self.times.append(time.monotonic())
        else:
            self.before[number](number, frame)

    def install(self) -> None:
        """Take the handlers' place, of those signals that have one; harmless wherever it is broken off."""
        self.came.clear()
        for number in _NUMBERS:
            handler = signal.getsignal(number)
            if callable(handler) and handler != self.handle:
                self.before[number] = handler
                signal.signal(number, self.handle)
        if self.pipe is None:
            ours, theirs = os.pipe()
            os.set_blocking(ours, False)
            os.set_blocking(theirs, False)
            self.pipe = ours, theirs
        self.drain()
        signal.set_wakeup_fd(self.pipe[1], warn_on_full_buffer=False)

    def drain(self) -> None:
        """Forget the notes of signals."""
        if self.pipe is not None:
            with contextlib.suppress(BlockingIOError):
                while os.read(self.pipe[0], 512):
                    pass

    def restore(self) -> None:
        """Give the handlers back; where it is broken off, ours stays and passes signals on."""
        self.times.clear()
        signal.set_wakeup_fd(-1)
        for number in _NUMBERS:
            if signal.getsignal(number) == self.handle:
                signal.signal(number, self.before[number])

    def deliver(self) -> None:
        """Do what the first of those that came asks for; whoever presses Ctrl-C twice means it once."""
        if self.came:
            number = self.came[0]
            self.came.clear()
            self.before[number](number, None)


_signals = _Signals()


def _ours() -> bool:
    return threading.current_thread() is threading.main_thread()


class held:
    """Let no signal raise anything while the block runs, but at `check`; what came acts at the end of the outermost.

    A block that ends by a KeyboardInterrupt has been interrupted: signals that came after that one are done with too.
    In other threads than the main one, where signals never act, it does nothing.

    No generator: one that a signal keeps from being resumed would be when it is collected, and out of turn.
    """

    def __enter__(self) -> None:
        self._acts = _ours()
        if self._acts:
            self._before = _signals.depth
            if self._before == 0:
                _signals.install()
            _signals.depth = self._before + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._acts:
            outermost = self._before == 0
            if outermost and kind is not None and issubclass(kind, KeyboardInterrupt):
                _signals.came.clear()
            _signals.depth = self._before
            if outermost:
                _signals.restore()
                _signals.deliver()


def check() -> None:
    """Let a signal that has come act: for the places of a `held` block where nothing is half done.

    Raises:
        KeyboardInterrupt: One has come (or what else its handler raises).
    """
    if _signals.depth and _ours():
        _signals.deliver()


def came() -> bool:
    """Whether a signal has come within the outermost `held` block, whether it has acted or not; for any thread."""
    return bool(_signals.times)


def came_again() -> bool:
    """Whether somebody has asked once more: a second signal came when the first could have been seen.

    Shells and wrappers often send one twice, which is meant once.
    """
    times = _signals.times
    return bool(times) and times[-1] - times[0] >= _TWICE_SECONDS


class released:
    """Let signals act at once while the block runs, within a `held` one: for code of others that may run for long."""

    def __enter__(self) -> None:
        check()
        self._acts = _ours()
        if self._acts:
            self._before = _signals.depth
            _signals.depth = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._acts:
            _signals.depth = self._before


@contextlib.contextmanager
def wakeup() -> Iterator[list[int]]:
    """What to wait for besides, within a `held` block, so that a signal ends the waiting; emptied afterwards."""
    pipe = _signals.pipe if _signals.depth and _ours() else None
    yield [] if pipe is None else [pipe[0]]
    if pipe is not None:
        _signals.drain()
