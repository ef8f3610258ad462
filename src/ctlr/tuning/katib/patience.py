"""Waiting for an API server that is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ctlr.errors import ClusterError
from ctlr.tuning.katib.connection import UnreachableError

__all__ = ["Pauses", "patiently"]

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0


class Pauses:
    """Pauses that grow while a server is away.

    Args:
        patience: Seconds after which it is an error.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """The server has answered."""
        self._pause, self._since = _FIRST_PAUSE, time.monotonic()

    def sleep(self, error: UnreachableError) -> None:
        """Pause before the next attempt.

        Raises:
            ClusterError: There were enough of them.
        """
        away = time.monotonic() - self._since
        if away + self._pause > self._patience:
            raise ClusterError(f"{error} It was tried again for {away:.0f} s.") from error
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def patiently(call: Callable[[], T], patience: float) -> T:
    """What a call answers, once the API server does.

    Raises:
        ClusterError: It stays away for so many seconds, or refuses.
    """
    pauses = Pauses(patience)
    while True:
        try:
            return call()
        except UnreachableError as error:
            pauses.sleep(error)
