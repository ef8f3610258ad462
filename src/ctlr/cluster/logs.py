"""What the pods of a run have printed, from Kubernetes itself: Kubeflow Pipelines keeps no log of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ctlr.errors import ClusterError, require
from ctlr.tuning.katib import connect

__all__ = ["PodLog", "pod_logs"]

RUN_LABEL = "pipeline/runid"
CONTAINER = "main"
SECONDS_TO_ANSWER = 30


@dataclass(frozen=True)
class PodLog:
    """A pod of a run: its name, phase and what it has printed."""

    pod: str
    phase: str
    text: str


def pod_logs(run_id: str, *, namespace: str, context: str = "", lines: int | None = None) -> Iterator[PodLog]:
    """Logs of a run's working pods, the oldest first.

    Args:
        run_id: Of the run.
        namespace: Where its pods are.
        context: Of kubectl's configuration; empty for the current one.
        lines: The last ones of each pod; None for all.

    Raises:
        ClusterError: The cluster cannot be reached, refuses, or has no such pods.
        MissingExtraError: The kubernetes package is not installed.
    """
    kubernetes = require("kubernetes", extra="cluster")
    import urllib3.exceptions

    connection = connect(context=context or None, namespace=namespace)
    api = kubernetes.client.CoreV1Api(connection.api)
    place = f"namespace {namespace!r} of {connection.host}"
    try:
        pods = api.list_namespaced_pod(
            namespace, label_selector=f"{RUN_LABEL}={run_id}", _request_timeout=SECONDS_TO_ANSWER
        ).items
        working = [pod for pod in pods if "driver" not in pod.metadata.name]
        if not working:
            raise ClusterError(
                f"There are no pods of run {run_id!r} in {place}: it has not started, its pods are deleted, or it is "
                "in another namespace (--namespace)."
            )
        for pod in sorted(working, key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name)):
            text = ""
            if pod.status.phase != "Pending":
                text = api.read_namespaced_pod_log(
                    pod.metadata.name, namespace, container=CONTAINER, _request_timeout=SECONDS_TO_ANSWER,
                    **({} if lines is None else {"tail_lines": lines}),
                )  # fmt: skip
            yield PodLog(pod.metadata.name, pod.status.phase, text)
    except kubernetes.client.ApiException as error:
        raise ClusterError(
            f"Kubernetes refuses the logs in {place}: {error.status} {error.reason}. It takes the verbs list and get "
            "on pods and pods/log."
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise ClusterError(f"Kubernetes at {place} cannot be reached: {error}. See `kubectl cluster-info`.") from error
