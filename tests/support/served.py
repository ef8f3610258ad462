"""A server on loopback, in a thread, and who asks it."""

import asyncio
import contextlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette

__all__ = ["Answer", "Client", "running"]


@dataclass(frozen=True)
class Answer:
    code: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    address: str

    def __call__(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        request = urllib.request.Request(
            self.address + path, body, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    def infer(self, value: Any, path: str = "/v2/models/model/infer") -> Answer:
        return self(path, json.dumps(value).encode(), content_type="application/json")

    def send(self, *parts: tuple[str, str, bytes]) -> Answer:
        """Parts (field, file name, content) as a browser sends them; without a file's name a field, unless a `file`."""
        bound = uuid.uuid4().hex
        body = b"".join(
            f'--{bound}\r\nContent-Disposition: form-data; name="{field}"'.encode()
            + (f'; filename="{name}"'.encode() if name or field == "file" else b"")
            + b"\r\n\r\n" + content + b"\r\n"
            for field, name, content in parts
        )  # fmt: skip
        return self("/v1/predict", body + f"--{bound}--\r\n".encode(),
                    content_type=f"multipart/form-data; boundary={bound}")  # fmt: skip

    def error(self, answer: Answer, code: int = 400) -> str:
        assert answer.code == code, answer
        assert set(answer.json) == {"error"}
        told = str(answer.json["error"])
        assert "Traceback" not in told
        return told


@contextlib.contextmanager
def running(app: Starlette) -> Iterator[Client]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([bound])))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield Client(f"http://127.0.0.1:{bound.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(30)
