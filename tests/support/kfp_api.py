"""A server that answers as the API of Kubeflow Pipelines (v2beta1) does, as far as its client asks.

Its health check was held against the sources of 2.5.0 and 2.17.0 (November 2026), which both say their version in it.
"""

import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["KfpServer", "kfp_server"]

BEGAN = "2026-11-20T10:00:00Z"
Answer = tuple[int, dict[str, Any]]


class KfpServer:
    """Experiments, runs and uploads in memory.

    Attributes:
        host: Its address.
        runs: By id, as the API gives them.
        experiments: By name.
        uploads: Pipeline files.
        headers: Of the last request.
        states: What the next looks at any run find, one each; the last one stays.
        refuse: Status that every request but the health check is answered with, unless 0.
        version: That it says it has; one that was built by hand says `unknown`.
    """

    def __init__(self) -> None:
        self.host = ""
        self.runs: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.uploads: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.states: list[str] = []
        self.refuse = 0
        self.version = "2.17.0"

    def answer(self, verb: str, path: str, query: dict[str, list[str]], body: bytes) -> Answer:
        """What a request is answered with."""
        if path == "healthz":
            return 200, {"commit_sha": "unknown", "tag_name": self.version, "multi_user": False}
        if self.refuse:
            return self.refuse, {"error": "refused"}
        if path == "experiments" and verb == "GET":
            wanted = re.findall(r'"stringValue":\s*"([^"]*)"', "".join(query.get("filter", [])))
            found = [self.experiments[name] for name in wanted if name in self.experiments]
            return 200, {"experiments": found, "total_size": len(found)}
        if path == "experiments":
            made = json.loads(body) | {"experiment_id": f"experiment-{len(self.experiments)}"}
            self.experiments[made["display_name"]] = made
            return 200, made
        if path == "pipelines/upload":
            self.uploads.append(body)
            return 200, {"pipeline_id": "pipeline-0", "display_name": query["name"][0]}
        if path == "runs":
            run = json.loads(body) | {"run_id": f"run-{len(self.runs)}", "state": "PENDING", "created_at": BEGAN}
            self.runs[run["run_id"]] = run
            return 200, run
        if found := re.fullmatch(r"runs/([\w-]+)(:terminate)?", path):
            return self._run(found[1], terminate=bool(found[2]))
        return 404, {"error": path}

    def _run(self, name: str, *, terminate: bool) -> Answer:
        if name not in self.runs:
            return 404, {"error": "not found"}
        run = self.runs[name]
        if terminate:
            run["state"] = "CANCELED"
            return 200, {}
        if self.states:
            run["state"] = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return 200, run


@contextmanager
def kfp_server() -> Iterator[KfpServer]:
    """A server on a port of its own while the block runs."""
    state = KfpServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            address = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not address.path.endswith("healthz"):
                state.headers = {name.lower(): value for name, value in self.headers.items()}
            path = address.path.removeprefix("/apis/v2beta1/")
            status, value = state.answer(self.command, path, urllib.parse.parse_qs(address.query), body)
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
