"""The app over a workspace of its own, asked as a browser would."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ctlr.ui.options import Limits, checked
from ctlr.ui.server import create_app

Client = Callable[..., TestClient]


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Makes a browser at the app's address, which follows no redirect by itself."""

    def make(
        host: str = "http://localhost:8080",
        headers: Mapping[str, str] | None = None,
        limits: Limits = Limits(free=0),  # noqa: B008 (frozen)
        **more: Any,
    ) -> TestClient:
        app = create_app(replace(checked(tmp_path / "workspace", **more), limits=limits))
        return TestClient(app, base_url=host, follow_redirects=False, headers=headers)

    return make
