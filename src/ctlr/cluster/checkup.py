"""What `ctlr doctor --cluster` looks at: each finding is ok or says what to do.

What the asking account may not see (nodes, storage classes, other namespaces) is reported as unseen, never as a fault:
a run needs no such right.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ctlr.addresses import public_address
from ctlr.errors import require
from ctlr.specs import PlatformSpec
from ctlr.tuning.katib import RIGHTS, Right, connect
from ctlr.tuning.katib.connection import pod_namespace
from ctlr.tuning.katib.faults import INJECTION

__all__ = ["CHECKED_RIGHTS", "Finding", "examine_cluster"]

KUBEFLOW = "kubeflow"
"""Namespace of Kubeflow Pipelines and Katib, as their releases install them."""
CLAIM = "ctlr-workspace"
CHECKED_RIGHTS = (*RIGHTS, Right("", "persistentvolumeclaims", ("get",)))
"""Rights that CTLR's code uses on a cluster; the Role of manifests/base holds these and no other."""

_SECONDS = (5, 15)
_APPLY = "kubectl apply -k manifests/base"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One look at the cluster."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    optional: bool = False
    """Whether a run can do without."""


@dataclass(frozen=True)
class _Cluster:
    """Where answers come from: (status, body) of a path of the API server."""

    ask: Callable[..., tuple[int, Any]]
    namespace: str
    server: str


def examine_cluster(*, host: str = "", namespace: str = "", context: str = "", workspace: str = CLAIM) -> list[Finding]:
    """Look at a cluster: API server, rights, Katib, Kubeflow Pipelines, MLflow, workspace, priority of trials, GPUs.

    Args:
        host: Address of Kubeflow Pipelines; empty for its Service in the cluster.
        namespace: Of the runs; empty for the pod's or the context's.
        context: Of kubectl's configuration; empty for the current one.
        workspace: Name of the workspace's PersistentVolumeClaim.

    Returns:
        All findings; the first one alone where the API server does not answer.

    Raises:
        ClusterError: There is no usable kubeconfig, or the server answers as none of Kubernetes' does.
        MissingExtraError: The kubernetes package is not installed.
    """
    connection = connect(context=context or None, namespace=namespace or None)
    cluster = _Cluster(_asking(connection.api), connection.namespace, connection.host)
    status, version = cluster.ask("/version")
    if status != 200 or not isinstance(version, dict) or "gitVersion" not in version:
        words = f"answers {status}" if status else f"does not answer: {version}"
        words += ", but not as an API server does: a proxy, or a page to log in?" if status == 200 else ""
        remedy = "Try `kubectl get --raw /readyz`; `kubectl config get-contexts` lists clusters for --context."
        return [Finding(what="kubernetes", ok=False, found=f"{cluster.server} {words}", remedy=remedy)]
    found = f"{version['gitVersion']} at {cluster.server}, namespace {cluster.namespace}"
    with connection.understood():
        return [
            Finding(what="kubernetes", ok=True, found=found),
            *(_right(cluster, right) for right in CHECKED_RIGHTS),
            *_katib(cluster),
            _pipelines(cluster, host),
            *_retries(cluster),
            _mlflow(cluster),
            *_storage(cluster, workspace),
            _priority(cluster),
            _gpus(cluster),
        ]


def _asking(api: Any) -> Callable[..., tuple[int, Any]]:
    """Questions to an API server, by paths: many of them need no class of the client."""
    from urllib3.exceptions import HTTPError

    refused = require("kubernetes.client", extra="cluster").ApiException

    def ask(path: str, body: Any = None) -> tuple[int, Any]:
        try:
            response = api.call_api(
                path, "GET" if body is None else "POST", body=body, auth_settings=["BearerToken"],
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                _preload_content=False, _return_http_data_only=True, _request_timeout=_SECONDS,
            )  # fmt: skip
        except refused as error:
            return error.status or 0, str(error.reason)
        except HTTPError as error:
            return 0, str(error).rpartition(": ")[2]
        text = response.data.decode(errors="replace")
        with contextlib.suppress(ValueError, RecursionError):
            return response.status, json.loads(text)
        return response.status, text

    return ask


def _right(cluster: _Cluster, right: Right) -> Finding:
    name = f"{right.resource}.{right.group}" if right.group else right.resource
    missing = [verb for verb in right.verbs if not _allowed(cluster, right, verb)]
    remedy = f"Add {', '.join(missing)} for {name} to your Role in {cluster.namespace} ({_APPLY} has one)."
    return Finding(
        what=f"right {name}",
        ok=not missing,
        found=f"may not {', '.join(missing)}" if missing else ", ".join(right.verbs),
        remedy=remedy,
    )


def _allowed(cluster: _Cluster, right: Right, verb: str) -> bool:
    resource, _, part = right.resource.partition("/")
    attributes = {"namespace": cluster.namespace, "verb": verb, "group": right.group, "resource": resource,
                  "subresource": part}  # fmt: skip
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
              "spec": {"resourceAttributes": attributes}}  # fmt: skip
    status, answer = cluster.ask("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return status in (200, 201) and bool(answer["status"]["allowed"])


def _katib(cluster: _Cluster) -> Iterator[Finding]:
    status, kinds = cluster.ask("/apis/kubeflow.org/v1beta1")
    known = {each["name"] for each in kinds["resources"]} if status == 200 else set()
    missing = sorted({"experiments", "suggestions", "trials"} - known)
    remedy = "kubectl apply -k manifests/kubeflow/katib; without it benchmarks run, searches do not."
    found = f"the cluster knows no {', '.join(missing)}" if missing else "experiments, suggestions, trials (v1beta1)"
    yield Finding(what="katib", ok=not missing, found=found, remedy=remedy)
    if not missing:
        yield _injection(cluster)
        yield _controller(cluster)
        yield _sidecar(cluster)


def _injection(cluster: _Cluster) -> Finding:
    """Whether Katib's webhook looks at the namespace's pods: without it no trial ever has a metric."""
    what = "katib metrics"
    status, found = cluster.ask(f"/api/v1/namespaces/{cluster.namespace}")
    if status != 200:
        return _unseen(what)
    ok = (found["metadata"].get("labels") or {}).get(INJECTION) == "enabled"
    words = "are collected in" if ok else "are not collected in"
    remedy = f"kubectl label namespace {cluster.namespace} {INJECTION}=enabled; without it no trial has a result."
    return Finding(what=what, ok=ok, found=f"{words} {cluster.namespace}", remedy=remedy)


def _controller(cluster: _Cluster) -> Finding:
    what = "katib controller"
    status, found = cluster.ask(f"/apis/apps/v1/namespaces/{KUBEFLOW}/deployments/katib-controller")
    if status == 403:
        return _unseen(what)
    ready = int(found.get("status", {}).get("readyReplicas", 0)) if status == 200 else 0
    remedy = f"kubectl -n {KUBEFLOW} describe deployment katib-controller: experiments stay as they are without it."
    return Finding(what=what, ok=ready > 0, found=f"{ready} ready" if status == 200 else "not there", remedy=remedy)


def _sidecar(cluster: _Cluster) -> Finding:
    """Whether the container that Katib adds to a trial's pod is let into a namespace that enforces `restricted`."""
    what = "katib sidecar"
    status, found = cluster.ask(f"/api/v1/namespaces/{KUBEFLOW}/configmaps/katib-config")
    if status != 200:
        return _unseen(what)
    try:
        config = YAML(typ="safe").load(found.get("data", {}).get("katib-config.yaml", "")) or {}
    except YAMLError:
        return Finding(what=what, ok=False, found="katib-config is no YAML", optional=True,
                       remedy=f"kubectl -n {KUBEFLOW} edit configmap katib-config.")  # fmt: skip
    collectors = (config.get("runtime") or {}).get("metricsCollectors") or [{}]
    copied = bool(((config.get("init") or {}).get("controller") or {}).get("injectSecurityContext"))
    ok = copied or all(each.get("securityContext") for each in collectors)  # of its own: newer than 0.19
    remedy = (
        f"kubectl -n {KUBEFLOW} get configmap katib-config -o json | python manifests/configure_katib.py | "
        f"kubectl apply -f -; kubectl -n {KUBEFLOW} rollout restart deployment/katib-controller."
    )
    words = "has a security context" if ok else "has no security context: `restricted` refuses its pod"
    return Finding(what=what, ok=ok, found=words, remedy=remedy, optional=True)


def _pipelines(cluster: _Cluster, host: str) -> Finding:
    address = host or (f"http://ml-pipeline.{KUBEFLOW}:8888" if pod_namespace() else "")
    remedy = (
        f"kubectl -n {KUBEFLOW} get pods; from outside the cluster: kubectl -n {KUBEFLOW} port-forward "
        "service/ml-pipeline 8888:8888, then --host http://localhost:8888. `ctlr tune --on katib` needs none."
    )
    return _service(cluster, "pipelines", address, KUBEFLOW, "ml-pipeline:8888", "/apis/v2beta1/healthz", remedy)


def _retries(cluster: _Cluster) -> Iterator[Finding]:
    """Whether Argo begins pods again that were drained, evicted or preempted; nothing where that cannot be seen."""
    status, found = cluster.ask(f"/api/v1/namespaces/{KUBEFLOW}/configmaps/workflow-controller-configmap")
    if status != 200:
        return
    policy = ""
    with contextlib.suppress(YAMLError, AttributeError, TypeError):
        defaults = YAML(typ="safe").load(found["data"].get("workflowDefaults") or "") or {}
        template = (defaults.get("spec") or {}).get("templateDefaults") or {}
        policy = str((template.get("retryStrategy") or {}).get("retryPolicy") or "")
    yield Finding(
        what="lost pods", ok=policy != "OnError", optional=True,
        found=f"retryPolicy {policy}" if policy else "begun again as tasks ask for it",
        remedy="A pod that is drained or preempted is not begun again; other workers take over. To have it begun again "
        "set `retryPolicy: Always` as docs/platform.md (Retries) shows.",
    )  # fmt: skip


def _mlflow(cluster: _Cluster) -> Finding:
    space = cluster.namespace
    address = os.environ.get("MLFLOW_TRACKING_URI") or ("http://mlflow:5000" if pod_namespace() else "")
    remedy = (
        f"kubectl -n {space} get pods -l app.kubernetes.io/name=mlflow; one elsewhere: set MLFLOW_TRACKING_URI. "
        "Benchmarks with `tracking: {backend: none}` need none."
    )
    found = _service(cluster, "mlflow", address, space, "mlflow:5000", "/health", remedy)
    return Finding(what=found.what, ok=found.ok, found=found.found, remedy=found.remedy, optional=True)


def _service(
    cluster: _Cluster, what: str, address: str, namespace: str, service: str, path: str, remedy: str
) -> Finding:
    """A server asked for its health: at its address, or else through the API server."""
    if address:
        status, words = _fetch(address.rstrip("/") + path)
        place = public_address(address)
    else:
        status, words = cluster.ask(f"/api/v1/namespaces/{namespace}/services/http:{service}/proxy{path}")
        place = f"service {service.partition(':')[0]} of namespace {namespace}"
        if status == 403:
            return _unseen(what)
    # 401 comes from a server that is well and wants to know who asks
    ok = status in (200, 401)
    return Finding(what=what, ok=ok, found=f"{place} {'answers' if ok else f'does not answer: {words}'}", remedy=remedy)


def _fetch(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS[0]) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        return error.code, str(error)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, str(getattr(error, "reason", error))


def _storage(cluster: _Cluster, name: str) -> Iterator[Finding]:
    what = "workspace claim"
    status, claim = cluster.ask(f"/api/v1/namespaces/{cluster.namespace}/persistentvolumeclaims/{name}")
    if status != 200:
        found = f"{name} is not in {cluster.namespace}" if status == 404 else f"{name} cannot be read ({status})"
        yield Finding(what=what, ok=False, found=found, remedy=f"{_APPLY}, or name yours in `platform.volume`.")
        return
    phase, modes = claim["status"].get("phase", "Pending"), claim["spec"]["accessModes"]
    kind = claim["spec"].get("storageClassName") or "no class"
    yield Finding(
        what=what,
        ok=phase == "Bound" or (kind != "no class" and _waits(cluster, kind)),
        found=f"{name} is {phase}, {', '.join(modes)}, {kind}",
        remedy=f"kubectl -n {cluster.namespace} describe pvc {name}: no storage class offers these modes.",
    )
    yield Finding(
        what="workspace shared",
        ok="ReadWriteMany" in modes,
        found="by pods of all nodes" if "ReadWriteMany" in modes else "by pods of one node",
        remedy="Pods on several nodes need a storage class with ReadWriteMany.",
        optional=True,
    )


def _waits(cluster: _Cluster, storage_class: str) -> bool:
    """Whether claims of a class are bound by their first pod."""
    status, found = cluster.ask(f"/apis/storage.k8s.io/v1/storageclasses/{storage_class}")
    return status == 200 and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def _priority(cluster: _Cluster) -> Finding:
    what, name = "priority of trials", PlatformSpec().priority_class
    status, found = cluster.ask(f"/apis/scheduling.k8s.io/v1/priorityclasses/{name}")
    if status not in (200, 404):
        return _unseen(what)
    return Finding(
        what=what,
        ok=status == 200,
        found=f"{name} is {found['value']}" if status == 200 else f"there is no class {name}",
        remedy=f"{_APPLY}, or name another in `platform.priority_class`; trials of katib/ do not start without it.",
        optional=True,
    )


def _gpus(cluster: _Cluster) -> Finding:
    what = "gpu nodes"
    status, nodes = cluster.ask("/api/v1/nodes")
    if status != 200:
        return _unseen(what)
    counts: dict[str, int] = {}
    for node in nodes["items"]:
        for kind, count in _allocatable(node).items():
            counts[kind] = counts.get(kind, 0) + count
    return Finding(
        what=what,
        ok=bool(counts),
        found=", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none",
        remedy="Pods on processors work; trials of katib/ ask for nvidia.com/gpu: install NVIDIA's device plugin.",
        optional=True,
    )


def _allocatable(node: Mapping[str, Any]) -> dict[str, int]:
    """GPUs and slices of them that a node offers."""
    offered = node["status"].get("allocatable") or {}
    return {
        kind: int(count)
        for kind, count in offered.items()
        if kind.startswith(("nvidia.com/gpu", "nvidia.com/mig-", "amd.com/gpu")) and int(count)
    }


def _unseen(what: str) -> Finding:
    return Finding(
        what=what, ok=False, found="not seen with these rights", remedy="Ask with an administrator's.", optional=True
    )
