"""The Kubernetes API server as Katib's engine needs it: plain data in and out, refusals as errors with a remedy."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.addresses import public_address
from ctlr.errors import ClusterError, require

__all__ = [
    "APP_RIGHTS",
    "RIGHTS",
    "ConflictError",
    "Connection",
    "GoneError",
    "NotFoundError",
    "Right",
    "UnreachableError",
    "connect",
    "kubeconfig_faults_named",
    "pod_namespace",
]

Object = dict[str, Any]

GROUP, VERSION = "kubeflow.org", "v1beta1"
EXPERIMENT = "katib.kubeflow.org/experiment"
"""Label of a Trial that names its Experiment."""
_CONNECT_SECONDS, _ANSWER_SECONDS = 10, 30
_SECONDS_OF_A_PAGE = (3, 7)
"""The same where somebody waits for a page."""
_PASSING = (429, 500, 502, 503, 504)
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Right:
    """What a Role must allow."""

    group: str
    resource: str
    verbs: tuple[str, ...]


RIGHTS = (
    Right(GROUP, "experiments", ("get", "watch", "create", "patch", "delete")),
    Right(GROUP, "trials", ("list",)),
    Right("", "pods", ("get", "list")),
    Right("", "pods/log", ("get",)),
    Right("", "events", ("list",)),
)
"""All that searches ask for; the namespace's Role holds it."""
APP_RIGHTS = (
    Right("authorization.k8s.io", "localsubjectaccessreviews", ("create",)),
    Right(GROUP, "experiments", ("list",)),
    Right(GROUP, "trials", ("list",)),
    Right("", "pods", ("list",)),
    Right("", "events", ("list",)),
    Right("", "pods/log", ("get",)),
)
"""All that the app asks for, which shows searches to those who may see them; a Role of its own holds it."""


class UnreachableError(ClusterError):
    """The API server does not answer now; it may later."""


class NotFoundError(ClusterError):
    """No such object."""


class ConflictError(ClusterError):
    """The object is there already, or has changed meanwhile."""


class GoneError(ClusterError):
    """What happened since then is not kept any more."""


def pod_namespace() -> str:
    """The namespace of the pod that this process runs in; empty where it runs in none."""
    return _ACCOUNT.read_text().strip() if _ACCOUNT.is_file() else ""


def connect(*, context: str | None = None, namespace: str | None = None) -> Connection:
    """Reach a cluster: in a pod by its service account, elsewhere by KUBECONFIG or ~/.kube/config.

    Args:
        context: Of the kubeconfig; None: the current one.
        namespace: Where experiments live; None: the pod's or the context's, else `default`.

    Raises:
        MissingExtraError: The `cluster` extra is not installed.
        ClusterError: There is no usable kubeconfig.
    """
    client = require("kubernetes.client", extra="cluster")
    config = require("kubernetes.config", extra="cluster")
    settings = client.Configuration()
    own = ""
    with kubeconfig_faults_named():
        if context is None and pod_namespace():
            config.load_incluster_config(client_configuration=settings)
            own = pod_namespace()
        else:
            # The client itself reads the variable but once, when it is imported.
            file = os.environ.get("KUBECONFIG") or None
            config.load_kube_config(file, context=context, client_configuration=settings)
            contexts, current = config.list_kube_config_contexts(file)
            named = {each["name"]: each["context"] for each in contexts}
            own = named.get(context or current["name"], {}).get("namespace", "")
        if not re.match(r"https?://[^/]", settings.host):
            raise ValueError(f"server must be an http or https address; got {public_address(settings.host)!r}")
    settings.retries = False  # whoever follows an experiment retries, and knows for how long
    return Connection(client.ApiClient(settings), namespace or own or "default", context=context)


_HELD = re.compile(r"\{.*\}", re.DOTALL)
"""What the client repeats of a kubeconfig in its messages, tokens and keys among it."""


@contextlib.contextmanager
def kubeconfig_faults_named(
    remedy: str = "Set KUBECONFIG, or see `kubectl config get-contexts` and name one with --context.",
) -> Iterator[None]:
    """Say what is wrong with the kubeconfig that the block has the client read.

    The client looks at few of its faults; the others, and those of programs that log in, end in whatever is raised.

    Raises:
        ClusterError: There is no usable one.
    """
    heard = _Heard()
    root = logging.getLogger()
    root.addHandler(heard)
    try:
        yield
        if heard.said:
            raise ValueError(heard.said)
    except Exception as error:
        found = next(iter(_HELD.sub("…", str(error)).splitlines()), "").rstrip(".") or type(error).__name__
        raise ClusterError(f"No usable kubeconfig: {found}. {remedy}") from error
    finally:
        root.removeHandler(heard)


class _Heard(logging.Handler):
    """What the client says of a login that failed, after which it goes on without one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first."""
        self.said = self.said or record.getMessage()


class Connection:
    """One namespace of a cluster.

    Args:
        api: `kubernetes.client.ApiClient`.
        namespace: Of all that is asked for.
        context: Of the kubeconfig, for messages.
    """

    def __init__(self, api: Any, namespace: str, *, context: str | None = None) -> None:
        self.api, self.namespace, self.host = api, namespace, public_address(str(api.configuration.host))
        self._client = require("kubernetes.client", extra="cluster")
        self._watching = require("kubernetes.watch", extra="cluster")
        self._custom = self._client.CustomObjectsApi(api)
        self._core = self._client.CoreV1Api(api)
        self._authorization = self._client.AuthorizationV1Api(api)
        self._kubectl = f"kubectl --context {context}" if context else "kubectl"

    def experiment(self, name: str) -> Object:
        """An Experiment.

        Raises:
            NotFoundError: There is none.
        """
        return self._ask(self._custom.get_namespaced_custom_object, *self._kind("experiments"), name)

    def create_experiment(self, document: Object) -> Object:
        """Create an Experiment.

        Raises:
            ConflictError: One of its name is there.
        """
        return self._ask(self._custom.create_namespaced_custom_object, *self._kind("experiments"), document)

    def patch_experiment(self, name: str, change: Object) -> Object:
        """Change an Experiment by a merge patch."""
        return self._ask(self._custom.patch_namespaced_custom_object, *self._kind("experiments"), name, change)

    def delete_experiment(self, name: str) -> None:
        """Delete an Experiment; its trials, jobs and pods follow.

        Raises:
            NotFoundError: There is none.
        """
        self._ask(self._custom.delete_namespaced_custom_object, *self._kind("experiments"), name,
                  propagation_policy="Background")  # fmt: skip

    def experiments(self) -> list[Object]:
        """All Experiments, for a page that waits for them."""
        return self._items("experiments", timeout=_SECONDS_OF_A_PAGE)

    def trials(self, experiment: str | None = None) -> list[Object]:
        """Trials of an Experiment; of all where none is named."""
        return self._items("trials", **({"label_selector": f"{EXPERIMENT}={experiment}"} if experiment else {}))

    def _items(self, plural: str, **options: Any) -> list[Object]:
        found = self._ask(self._custom.list_namespaced_custom_object, *self._kind(plural), **options)
        with self.understood():
            return list(found.get("items") or ())

    def allows(self, user: str, verb: str) -> bool:
        """Whether a user may do something to Experiments of the namespace, as Kubernetes knows it.

        Raises:
            ClusterError: It does not say.
        """
        asked = {"namespace": self.namespace, "group": GROUP, "resource": "experiments", "verb": verb}
        review = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "LocalSubjectAccessReview",
            "metadata": {"namespace": self.namespace}, "spec": {"user": user, "resourceAttributes": asked},
        }  # fmt: skip
        call = self._authorization.create_namespaced_local_subject_access_review
        answer = self._ask(call, self.namespace, review, timeout=_SECONDS_OF_A_PAGE)
        with self.understood():
            return answer["status"]["allowed"] is True

    def changes(self, name: str, since: str, seconds: int) -> Iterator[tuple[str, Object]]:
        """(kind, Experiment) of every change since a resourceVersion, for so many seconds.

        Raises:
            GoneError: That version is too old.
            UnreachableError: The stream broke off.
        """
        watch = self._watching.Watch(return_type="object")
        with self._told():
            for event in watch.stream(
                self._custom.list_namespaced_custom_object, *self._kind("experiments"),
                field_selector=f"metadata.name={name}", resource_version=since, timeout_seconds=seconds,
                _request_timeout=(_CONNECT_SECONDS, seconds + _ANSWER_SECONDS),
            ):  # fmt: skip
                yield event["type"], event["raw_object"]

    def pod(self, name: str) -> Object:
        """A pod."""
        return self._ask(self._core.read_namespaced_pod, name, self.namespace)

    def pods(self, selector: str) -> list[Object]:
        """Pods by label."""
        found = self._ask(self._core.list_namespaced_pod, self.namespace, label_selector=selector)
        with self.understood():
            return list(found.get("items") or ())

    def warnings(self) -> list[Object]:
        """Warnings about objects of the namespace, oldest first."""
        found = self._ask(self._core.list_namespaced_event, self.namespace, field_selector="type=Warning")
        with self.understood():
            return sorted(
                found.get("items") or (), key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or ""
            )

    def log(self, pod: str, container: str, lines: int) -> str:
        """The last lines that a container printed; empty where its log is gone."""
        with self._told():
            try:
                response = self._core.read_namespaced_pod_log(
                    pod, self.namespace, container=container, tail_lines=lines,
                    _preload_content=False, _request_timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                )  # fmt: skip
            except self._client.ApiException as error:
                if error.status in (400, 404):  # it has not started, or its pod is gone
                    return ""
                raise
            text: bytes = response.data
            return text.decode(errors="replace")

    def _kind(self, plural: str) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.namespace, plural

    def _ask(
        self,
        call: Callable[..., Any],
        *arguments: Any,
        timeout: tuple[int, int] = (_CONNECT_SECONDS, _ANSWER_SECONDS),
        **options: Any,
    ) -> Object:
        """Make a call; the answer as plain data."""
        with self._told():
            answer = call(*arguments, _preload_content=False, _request_timeout=timeout, **options)
        with self.understood():
            found: Object = json.loads(answer.data)
            found.keys()
        return found

    @contextlib.contextmanager
    def understood(self) -> Iterator[None]:
        """Read answers in the block; one of another shape than Kubernetes and Katib give is told as that.

        Raises:
            ClusterError: There is such a one.
        """
        try:
            yield
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError, OverflowError) as error:
            raise ClusterError(
                f"{self.host} answers, but not as a Kubernetes API server does: a proxy, or a page to log in? Try "
                f"`{self._kubectl} get --raw /readyz`, and correct the kubeconfig's server."
            ) from error

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say what went wrong, and what to do."""
        from urllib3.exceptions import HTTPError

        try:
            yield
        except HTTPError as error:
            raise UnreachableError(
                f"The Kubernetes API server at {self.host} does not answer: {_short(error)}. Try "
                f"`{self._kubectl} get --raw /readyz`; `kubectl config get-contexts` lists clusters for --context. "
                "Behind a tunnel: `ssh -N -L 6443:HOST:6443 BASTION`, and the kubeconfig's server at 127.0.0.1:6443."
            ) from error
        except self._client.ApiException as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Any) -> ClusterError:
        status, body = error.status or 0, _status(error.body)
        message = str(body.get("message") or error.reason or error.body or "no reason given").strip()
        if status in (404, 409, 410) or status in _PASSING:
            return self._state(status, body, message)
        if status == 401:
            words = f"{self.host} does not know who asks: {message}. Log in again, or name another --context"
            return ClusterError(f"{words} (`kubectl config get-contexts`).")
        if status == 403 and (found := _FORBIDDEN.search(message)):
            return ClusterError(self._forbidden(**found.groupdict()))
        if status == 0:
            return ClusterError(f"No safe connection to {self.host}: {message}. Check the kubeconfig's certificates.")
        if lacking := _LACKING.search(message):
            space, label, value = lacking.groups()
            words = f"Katib does not look at the pods of the namespace {space}, and no trial would have a result"
            return ClusterError(f"{words}. `kubectl label namespace {space} {label}={value}` lets it look.")
        return ClusterError(f"{self.host} refuses ({status}): {message}")

    def _state(self, status: int, body: Mapping[str, Any], message: str) -> ClusterError:
        details = body.get("details")
        if status == 404 and not (isinstance(details, dict) and details.get("name")):
            return ClusterError(
                f"The cluster at {self.host} knows no Katib ({GROUP}/{VERSION}). Install it, or name another cluster "
                "with --context (`kubectl config get-contexts`)."
            )
        if status in _PASSING:
            return UnreachableError(f"The API server at {self.host} cannot answer now ({status}): {message}")
        kinds: dict[int, type[ClusterError]] = {404: NotFoundError, 409: ConflictError, 410: GoneError}
        return kinds[status](f"{self.host}: {message}")

    def _forbidden(self, user: str, verb: str, resource: str, group: str | None) -> str:
        where = f" of {group}" if group else ""
        return (
            f"{user} may not {verb} {resource}{where} in namespace {self.namespace}. Add the verb {verb!r} for "
            f"{resource!r} to its Role there. Check: `{self._kubectl} auth can-i {verb} {resource}"
            f"{'.' + group if group else ''} -n {self.namespace}`."
        )


_LACKING = re.compile(r'in namespace "([^"]+)": the namespace lacks label "([^":]+): (\w+)"')
"""Of Katib 0.19's webhook."""
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?'
)


def _status(body: Any) -> Mapping[str, Any]:
    """The `Status` that a refusal carries; empty where it carries none."""
    try:
        found = json.loads(body or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(error: Exception) -> str:
    """The gist of urllib3's message: what comes after the object it speaks of."""
    return str(error).rpartition(": ")[2] or type(error).__name__
