"""Worker processes in milliseconds: forked from this one, where everything is loaded, in place of spawned ones."""

import contextlib
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Iterator
from multiprocessing.context import ForkContext, ForkProcess
from unittest import mock

_HELD = {signal.SIGINT, signal.SIGTERM}


class _Process(ForkProcess):
    """A child that hears signals as a spawned one does: deaf to Ctrl-C, ended by SIGTERM."""

    def start(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads; none holds a lock
                super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self) -> None:
        sys.settrace(None)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
        super().run()


class _Context(ForkContext):
    Process = _Process


@contextlib.contextmanager
def forked_workers() -> Iterator[None]:
    """Have every crew of the block fork its workers."""
    with mock.patch.object(multiprocessing, "get_context", return_value=_Context()):
        yield
