"""A small Kubernetes API server over HTTP: objects, selectors, watches, patches, garbage collection, logs, and faults.

It keeps what it is given, as Katib's CRDs do. Jobs are run by `on_job`, a node's stand-in that a test supplies.
"""

import contextlib
import json
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["KubeApi", "Node", "Object", "Served", "now", "serving"]

Object = dict[str, Any]
Key = tuple[str, str]

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<part>status|log))?)?"
)
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class KubeApi:
    """The state of a server, and what is to go wrong with it.

    Attributes:
        logs: What containers printed, by (pod, container).
        forbidden: (verb, resource) that the Role of the kubeconfig's user lacks.
        requests: "verb resource" that this user asked for.
        broken: Answers still to be given with status 503.
        users: (user, verb) that may be done to Experiments, for whoever asks by a LocalSubjectAccessReview.
        installed: Resources that are known.
        on_job: Told each Job that was created.
        on_watch: Told the resourceVersion of each watch that begins.
        webhook: Says why an object is refused, by its plural, what it was and what it is to be; empty where it is not.
    """

    objects: dict[Key, dict[str, Object]] = field(default_factory=dict)
    logs: dict[tuple[str, str], str] = field(default_factory=dict)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    users: set[tuple[str, str]] = field(default_factory=set)
    broken: int = 0
    installed: set[str] = field(
        default_factory=lambda: {
            "experiments",
            "trials",
            "jobs",
            "pods",
            "events",
            "suggestions",
            "localsubjectaccessreviews",
        }
    )
    on_job: Callable[[Object], None] | None = None
    on_watch: Callable[[int], None] | None = None
    webhook: Callable[[str, Object | None, Object], str] | None = None
    requests: list[str] = field(default_factory=list)
    version: int = 1
    oldest: int = 0
    epoch: int = 0
    history: list[tuple[int, Key, str, Object]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    def put(self, plural: str, namespace: str, document: Object) -> Object:
        """Store an object, new or known."""
        with self.changed:
            self.version += 1
            place = self.objects.setdefault((plural, namespace), {})
            metadata = document.setdefault("metadata", {})
            kind = "MODIFIED" if metadata["name"] in place else "ADDED"
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata.setdefault("creationTimestamp", now())
            metadata |= {"namespace": namespace, "resourceVersion": str(self.version)}
            place[metadata["name"]] = document
            self.history.append((self.version, (plural, namespace), kind, json.loads(json.dumps(document))))
            self.changed.notify_all()
            return document

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object, and what belongs to it alone."""
        with self.changed:
            gone = self.objects[plural, namespace].pop(name)
            self.version += 1
            self.history.append((self.version, (plural, namespace), "DELETED", gone))
            self.changed.notify_all()
            for (other, space), found in list(self.objects.items()):
                for each in list(found.values()):
                    owners = each["metadata"].get("ownerReferences") or []
                    if (
                        space == namespace
                        and owners
                        and all(owner["uid"] == gone["metadata"]["uid"] for owner in owners)
                    ):
                        self.remove(other, space, each["metadata"]["name"])

    def warn(self, namespace: str, kind: str, name: str, reason: str, message: str) -> None:
        """Note an event about an object."""
        event = {
            "metadata": {"name": f"{name}.{uuid.uuid4().hex[:8]}"}, "type": "Warning", "reason": reason,
            "message": message, "involvedObject": {"kind": kind, "name": name}, "lastTimestamp": now(),
        }  # fmt: skip
        self.put("events", namespace, event)

    def forget_history(self) -> None:
        """Keep no old versions: watches from them end with 410."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.drop_watches()

    def drop_watches(self) -> None:
        """Break off every watch in the middle of its stream."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()


class Node:
    """A node's stand-in: makes the pod of a Job, and lets it end as a test wants.

    Args:
        api: Its server.
        play: Decides, given the node and a Job, by calling one of the methods below.
    """

    def __init__(self, api: KubeApi, play: Callable[["Node", Object], None]) -> None:
        self._api, self._play = api, play
        api.on_job = lambda job: self._play(self, job)

    @staticmethod
    def printed(job: Object) -> str:
        """What `sh -c "echo TEXT"` prints."""
        words = job["spec"]["template"]["spec"]["containers"][0]["command"]
        return str(words[-1]).removeprefix("echo ") + "\n"

    def succeed(self, job: Object, log: str) -> None:
        """The pod printed this and ended well."""
        self._pod(job, "Succeeded", {"terminated": {"exitCode": 0, "reason": "Completed"}}, log)
        self._end(job, "Complete", "")

    def fail(self, job: Object, log: str = "", **state: Any) -> None:
        """The container was terminated so; `exitCode` and `reason` are Kubernetes'."""
        self._pod(job, "Failed", {"terminated": {"exitCode": 1, "reason": "Error"} | state}, log)
        self._end(job, "Failed", "Job has reached the specified backoff limit")

    def outrun(self, job: Object) -> None:
        """The trial ended well before Katib's sidecar looked for it, as seen with Katib 0.19 on 27 November 2026."""
        ended = {"exitCode": 0, "reason": "Completed"}
        self._pod(job, "Failed", {"terminated": ended}, "")
        self._end(job, "Failed", "Job has reached the specified backoff limit")

    def lose(self, job: Object) -> None:
        """The Job failed and its pod is gone."""
        self._end(job, "Failed", "Job has reached the specified backoff limit")

    def wait(self, job: Object, reason: str, message: str) -> None:
        """The container waits, e.g. for an image."""
        self._pod(job, "Pending", {"waiting": {"reason": reason, "message": message}}, None)

    def pend(self, job: Object, message: str) -> None:
        """No node takes the pod."""
        conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
        self._pod(job, "Pending", None, None, conditions=conditions)

    def run(self, job: Object) -> None:
        """The pod runs on."""
        self._pod(job, "Running", {"running": {}}, "")

    def refuse(self, job: Object, message: str) -> None:
        """No pod may be made for the Job."""
        self._api.warn(job["metadata"]["namespace"], "Job", job["metadata"]["name"], "FailedCreate", message)

    def _pod(self, job: Object, phase: str, state: Object | None, log: str | None, **status: Any) -> None:
        """Statuses come sorted by name; Katib's sidecar ends with 255 beside a trial that failed (Katib 0.19)."""
        name = f"{job['metadata']['name']}-pod"
        template = job["spec"]["template"]
        container = template["spec"]["containers"][0]["name"]
        if log is not None:
            self._api.logs[name, container] = log
        owner = {"kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
        states = [] if state is None else [{"name": container, "state": state}]
        if phase == "Failed":
            beside = {"terminated": {"exitCode": 255, "reason": "Error"}}
            states += [{"name": each["name"], "state": beside} for each in template["spec"]["containers"][1:]]
        states.sort(key=lambda each: each["name"])
        pod = {
            "metadata": {"name": name, "labels": template["metadata"]["labels"], "ownerReferences": [owner]},
            "spec": template["spec"], "status": {"phase": phase, "containerStatuses": states, **status},
        }  # fmt: skip
        self._api.put("pods", job["metadata"]["namespace"], pod)

    def _end(self, job: Object, kind: str, message: str) -> None:
        condition = {"type": kind, "status": "True", "message": message, "reason": "BackoffLimitExceeded"}
        job["status"] = {"conditions": [condition], "startTime": now()}
        self._api.put("jobs", job["metadata"]["namespace"], job)


@contextlib.contextmanager
def serving(api: KubeApi, folder: Path, *, namespace: str = "lab") -> Iterator["Served"]:
    """The server at a port of its own, and a kubeconfig for it in a folder."""
    served = Served(api)
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "small",
        "clusters": [{"name": "small", "cluster": {"server": served.address}}],
        "users": [{"name": "ada", "user": {"token": "of-ada"}}],
        "contexts": [{"name": "small", "context": {"cluster": "small", "user": "ada", "namespace": namespace}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(config))
    try:
        yield served
    finally:
        served.stop()


class Served:
    """A server that can be stopped and started again at the same port."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        """Listen."""
        handler = type("Handler", (_Handler,), {"api": self._api})
        self._server = _Server(("127.0.0.1", self.port), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections and break off those there are."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self._api.drop_watches()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Refusal(Exception):
    def __init__(self, status: int, reason: str, message: str, name: str = "") -> None:
        self.status, self.body = status, {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message,
            "code": status, "details": {"name": name} if name else {},
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    api: KubeApi
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def _answer(self) -> None:
        split = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(split.query).items()}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        try:
            match = _PATH.fullmatch(split.path)
            found = match.groupdict() if match else {}
            self._check(found, query)
            if query.get("watch") == "true" or query.get("watch") == "True":
                self._watch((found["plural"], found["namespace"]), query)
            elif found["part"] == "log":
                self._log(found["name"], query)
            else:
                done = 201 if self.command == "POST" else 200
                self._send(done, json.dumps(self._act(found, query, body)).encode())
        except _Refusal as refusal:
            self._send(refusal.status, json.dumps(refusal.body).encode())

    def _check(self, found: dict[str, str], query: dict[str, str]) -> None:
        api, resource = self.api, found.get("plural", "")
        verb = _VERBS[self.command]
        if verb == "get" and not found.get("name"):
            verb = "watch" if "watch" in query else "list"
        if found.get("part") == "log":
            resource += "/log"
        user = "Authorization" in self.headers  # a controller has every right, and none of the requests below is its
        if user:
            api.requests.append(f"{verb} {resource}")
        with api.changed:
            if api.broken > 0:
                api.broken -= 1
                raise _Refusal(503, "ServiceUnavailable", "the server is starting")
        if user and (verb, resource) in api.forbidden:
            group = found.get("group") or ""
            words = f'{resource} is forbidden: User "ada" cannot {verb} resource "{resource}" in API group "{group}"'
            raise _Refusal(403, "Forbidden", f'{words} in the namespace "{found["namespace"]}"')
        if found.get("plural") not in api.installed:
            raise _Refusal(404, "NotFound", "the server could not find the requested resource")

    def _act(self, found: dict[str, str], query: dict[str, str], body: Any) -> Object:
        api, plural, namespace, name = self.api, found["plural"], found["namespace"], found["name"]
        with api.changed:
            place = api.objects.setdefault((plural, namespace), {})
            if self.command == "GET" and not name:
                kept = [each for each in place.values() if _selected(each, query)]
                return {"kind": "List", "metadata": {"resourceVersion": str(api.version)}, "items": kept}
            if plural == "localsubjectaccessreviews":
                return self._review(namespace, body)
            if self.command == "POST":
                return self._create(plural, namespace, body, place)
            if name not in place:
                raise _Refusal(404, "NotFound", f'{plural} "{name}" not found', name)
            if self.command == "DELETE":
                api.remove(plural, namespace, name)
                return {"kind": "Status", "status": "Success"}
            if self.command == "PATCH":
                wanted = (body.get("metadata") or {}).get("resourceVersion")
                if wanted and wanted != place[name]["metadata"]["resourceVersion"]:
                    raise _Refusal(409, "Conflict", "the object has been modified", name)
                changed = _merged(place[name], {"status": body["status"]} if found["part"] == "status" else body)
                if found["part"] != "status":
                    self._admit(plural, place[name], changed)
                return api.put(plural, namespace, changed)
            return place[name]

    def _admit(self, plural: str, before: Object | None, after: Object) -> None:
        if self.api.webhook is not None and (reason := self.api.webhook(plural, before, after)):
            raise _Refusal(400, "BadRequest", reason)

    def _review(self, namespace: str, body: Object) -> Object:
        asked = body["spec"]["resourceAttributes"]
        if not body["metadata"]["namespace"] == asked["namespace"] == namespace:
            words = f'spec.resourceAttributes.namespace: must match metadata.namespace "{namespace}"'
            raise _Refusal(422, "Invalid", words)
        ours = (asked["group"], asked["resource"]) == ("kubeflow.org", "experiments")
        allowed = ours and (body["spec"]["user"], asked["verb"]) in self.api.users
        return {**body, "status": {"allowed": allowed}}

    def _create(self, plural: str, namespace: str, body: Object, place: dict[str, Object]) -> Object:
        name = body["metadata"]["name"]
        if name in place:
            raise _Refusal(409, "AlreadyExists", f'{plural} "{name}" already exists', name)
        self._admit(plural, None, body)
        made = self.api.put(plural, namespace, body)
        if plural == "jobs" and self.api.on_job is not None:
            self.api.on_job(made)
        return made

    def _log(self, pod: str, query: dict[str, str]) -> None:
        text = self.api.logs.get((pod, query.get("container", "")))
        if text is None:
            raise _Refusal(400, "BadRequest", "container is waiting to start", pod)
        lines = text.splitlines(keepends=True)
        self._send(200, "".join(lines[-int(query.get("tailLines", len(lines) or 1)) :]).encode())

    def _watch(self, key: Key, query: dict[str, str]) -> None:
        api, since = self.api, int(query.get("resourceVersion") or 0)
        if api.on_watch is not None:
            api.on_watch(since)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._stream(key, query, since)

    def _stream(self, key: Key, query: dict[str, str], since: int) -> None:
        api, until = self.api, datetime.now(UTC).timestamp() + float(query.get("timeoutSeconds", 300))
        if since < api.oldest:
            self._chunk({"type": "ERROR", "object": _Refusal(410, "Expired", "too old resource version").body})
            self.wfile.write(b"0\r\n\r\n")
            return
        epoch = api.epoch
        while (left := until - datetime.now(UTC).timestamp()) > 0:
            with api.changed:
                fresh = [each for each in api.history if each[0] > since]
                if not fresh and api.epoch == epoch:
                    api.changed.wait(min(left, 0.5))
                if api.epoch != epoch:
                    return  # no last chunk: the stream is broken off
            for version, where, kind, document in fresh:
                since = version
                if where == key and _selected(document, query):
                    self._chunk({"type": kind, "object": document})
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, event: Object) -> None:
        data = json.dumps(event).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _selected(document: Object, query: dict[str, str]) -> bool:
    """Whether an object fits a label selector (`a=b`, `a in (b,c)`) and a field selector."""
    labels = document["metadata"].get("labels") or {}
    for key, values in re.findall(r"([\w./-]+) in \(([^)]*)\)", query.get("labelSelector", "")):
        if labels.get(key) not in values.split(","):
            return False
    for key, value in re.findall(r"([\w./-]+)=([\w.-]+)", query.get("labelSelector", "")):
        if labels.get(key) != value:
            return False
    for key, value in re.findall(r"([\w.]+)=([\w.-]+)", query.get("fieldSelector", "")):
        node: Any = document
        for part in key.split("."):
            node = node[part]
        if node != value:
            return False
    return True


def _merged(document: Any, change: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(change, dict):
        return change
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
