"""How much a server takes at once."""

from __future__ import annotations

from dataclasses import dataclass

from ctlr.errors import ConfigError

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Checked at birth."""

    batch: int = 32
    """Images that are predicted at once."""
    wait: float = 0.002
    """Seconds that the first image of a batch waits for others."""
    queue: int = 256
    """Images that may wait; more are refused with 503."""
    body: int = 256 * 2**20
    """Bytes of a request."""
    files: int = 64
    """Files of an upload."""
    threads: int = 2
    """Of the processor."""

    def __post_init__(self) -> None:
        for name in ("batch", "queue", "body", "files", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name} >= 1` must hold; got {getattr(self, name)}.")
        if self.wait < 0:
            raise ConfigError(f"`wait >= 0` must hold; got {self.wait}.")
