"""Serve the app."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from urllib.parse import urlencode

import uvicorn

from ctlr.errors import ConfigError
from ctlr.ui.options import Options
from ctlr.ui.server import create_app

__all__ = ["serve"]


def serve(options: Options, *, say: Callable[[str], object]) -> None:
    """Serve the app until a signal ends it.

    Args:
        options: How.
        say: Told the address to open, with the token where there is one; nothing else ever tells that.

    Raises:
        ConfigError: The address is in use, or none of this machine's.
        WorkspaceError: The workspace cannot be used.
    """
    app_socket = _listening(options)
    with app_socket:
        options = replace(options, port=app_socket.getsockname()[1])
        config = uvicorn.Config(
            create_app(options), log_level="warning", access_log=False, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=1, lifespan="off",
        )  # fmt: skip
        say(f"Open {_address(options)}  (Ctrl-C ends the app; runs go on)")
        _Server(config).run(sockets=[app_socket])


class _Server(uvicorn.Server):
    """Has streams of events end by themselves, which have no end otherwise."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        closing: threading.Event = self.config.app.state.closing  # type: ignore[union-attr]
        closing.set()
        super().handle_exit(sig, frame)


def _listening(options: Options) -> socket.socket:
    host = options.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, options.port))
        listening.listen(128)  # whoever reads the address may ask at once, and waits
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"The app cannot listen at {options.host}:{options.port} ({error.strerror or error}). Choose another "
            "`--port` or `--host`."
        ) from error
    return listening


def _address(options: Options) -> str:
    name = "localhost" if options.host in ("127.0.0.1", "localhost") else options.host
    name = socket.gethostname() if name in ("0.0.0.0", "::") else name
    name = f"[{name}]" if ":" in name else name
    query = f"?{urlencode({'token': options.token})}" if options.token else ""
    return f"http://{name}:{options.port}{options.prefix}/{query}"
