"""A socket, and an end in order."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from ctlr.errors import ConfigError

__all__ = ["serve"]

_GRACE = 30
"""Seconds that requests under way have after SIGTERM."""


def serve(app: Starlette, host: str, port: int, told: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; what is under way then is answered.

    Args:
        app: What answers.
        host: Name or address to bind to.
        port: 0 takes a free one.
        told: Called with the address once the server listens.

    Raises:
        ConfigError: The address cannot be bound to.
    """
    bound = _bound(host, port)
    own = bound.getsockname()
    address = f"http://{f'[{own[0]}]' if ':' in own[0] else own[0]}:{own[1]}"
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE, server_header=False
    )
    server = _Server(config, lambda: told(address))
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises its signal once more when all is done
        server.run(sockets=[bound])


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        if self.started:
            self._told()


def _bound(host: str, port: int) -> socket.socket:
    made: socket.socket | None = None
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        if made is not None:
            made.close()
        raise ConfigError(
            f"{host}:{port} cannot be listened at: {error.strerror or error}. Name another `--host` or `--port`."
        ) from error
    return made
