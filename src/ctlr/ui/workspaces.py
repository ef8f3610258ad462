"""Other workspaces that one server shows, each below `/workspaces/NAME` as an app of its own.

opened.json    in the server's own workspace: name -> folder
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ctlr.errors import ConfigError, WorkspaceError
from ctlr.runs import NAME
from ctlr.specs import dns_name
from ctlr.ui.folders import allowed_folder
from ctlr.ui.options import Options
from ctlr.workspace import Workspace, write_aside

__all__ = ["PLACE", "Workspaces"]

PLACE = "/workspaces"
"""Path below which they are shown."""


class Workspaces:
    """Opens, shows and closes them; nothing of a workspace is copied or removed.

    Args:
        options: Of the server; a workspace must lie where its `data` says, whenever it is asked for.
        make: Makes the app of a workspace.
    """

    def __init__(self, options: Options, make: Callable[[Options], ASGIApp]) -> None:
        self._options, self._make = options, make
        self._file = options.workspace / "opened.json"
        self._apps: dict[str, ASGIApp] = {}
        self._lock = threading.Lock()

    def known(self) -> Mapping[str, Path]:
        """Those that are open and may be shown, by name."""
        found = {}
        for name, path in self._read().items():
            with contextlib.suppress(ConfigError):
                found[name] = self._checked(path)
        return found

    def _read(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            told = json.loads(self._file.read_bytes())
            if isinstance(told, dict):
                return {name: path for name, path in told.items() if re.fullmatch(NAME, name) and isinstance(path, str)}
        return {}

    def _checked(self, path: str) -> Path:
        root = allowed_folder(path, self._options.data)
        if not (root / "workspace.json").is_file():
            raise ConfigError(f"{path} is no workspace: it has no workspace.json. Name the folder of `--workspace`.")
        return root

    def open(self, path: str) -> str:
        """Show an existing workspace; returns the name that it has here.

        Raises:
            ConfigError: It is none, is the server's own, or lies elsewhere than allowed.
            WorkspaceError: It cannot be used.
        """
        root = self._checked(path)
        if root.samefile(self._options.workspace):
            raise ConfigError(f"{path} is the workspace that is shown already.")
        Workspace(root)
        with self._lock:
            opened = self._read()
            if (name := next((name for name, each in opened.items() if each == str(root)), "")) == "":
                wanted = dns_name(root.name, 32)
                names = (wanted, *(f"{wanted}-{number}" for number in range(2, 1000)))
                name = next(each for each in names if each not in opened)
                write_aside(self._file, json.dumps({**opened, name: str(root)}).encode())
        return name

    def close(self, name: str) -> None:
        """Show a workspace no more; its runs go on.

        Raises:
            ConfigError: There is none of that name.
        """
        with self._lock:
            opened = self._read()
            if opened.pop(name, None) is None:
                raise ConfigError(f"There is no workspace {name[:60]!r} open here.")
            write_aside(self._file, json.dumps(opened).encode())
            self._apps.pop(name, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the app of the workspace that the path names."""
        below = scope["path"].removeprefix(scope.get("root_path", ""))
        name = below.split("/")[1] if "/" in below else ""
        app = self._app(name)
        if app is None:
            await PlainTextResponse("There is no such workspace open here.\n", 404)(scope, receive, send)
            return
        prefix = f"{self._options.prefix}{PLACE}/{name}"
        path = scope["path"] if scope["path"] != prefix else f"{prefix}/"
        await app({**scope, "path": path, "root_path": prefix, "app_root_path": prefix}, receive, send)

    def _app(self, name: str) -> ASGIApp | None:
        path = self._read().get(name)
        try:
            root = self._checked(path) if path is not None else None
        except ConfigError:  # it is gone, or the server allows less now
            root = None
        with self._lock:
            if root is None:
                self._apps.pop(name, None)
                return None
            if name not in self._apps:
                prefix = f"{self._options.prefix}{PLACE}/{name}"
                with contextlib.suppress(WorkspaceError):
                    self._apps[name] = self._make(replace(self._options, workspace=root, prefix=prefix, monitor=None))
            return self._apps.get(name)
