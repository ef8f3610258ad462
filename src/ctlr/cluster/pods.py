"""Pods of a run, asked of Kubernetes itself: of which task each is, how it fares and why, what it has printed.

Kubeflow Pipelines keeps no log, tells no reason, and calls most tasks `executor`; the names that a pipeline gives them
stand in an annotation that Argo writes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctlr.errors import ClusterError
from ctlr.tuning.katib import Connection, connect, explain_pod

__all__ = ["PodLog", "TaskState", "own_lines", "pod_logs", "pod_tasks"]

Object = Mapping[str, Any]

RUN_LABEL = "pipeline/runid"
CONTAINER = "main"
_NODE = "workflows.argoproj.io/node-name"
_STATES = {"Pending": "PENDING", "Running": "RUNNING", "Succeeded": "SUCCEEDED", "Failed": "FAILED"}

_OF_A_STAGE = "-dag-driver-"
"""In the name of a driver's pod that only says which tasks a stage has."""
_LOST = "its pod was taken away (drained, preempted or deleted); submit the file again, nothing that it did is lost"

_OTHERS = re.compile(r"time=|[IWEF]\d{4} [\d:.]+ +\d+ ")
"""What Argo and Kubeflow's launcher begin a line with."""
_OURS = re.compile(r"\[KFP Executor \d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ \w+\]: (.*)")
_EXCEPTION = re.compile(r"[\w.]+: ")
"""What stands before the message in the last line of a traceback."""
_KFP = ("Looking for component ", "Loading KFP component ", "Got executor_input", "Wrote executor output")
"""What Kubeflow's executor says for itself, where CTLR's lines come."""


@dataclass(frozen=True)
class TaskState:
    """A task of a run: its name, state, times (UTC), and why it failed or does not begin."""

    name: str
    state: str
    began: datetime | None
    ended: datetime | None
    reason: str = ""


@dataclass(frozen=True)
class PodLog:
    """A pod of a run: its task, phase and what it has printed."""

    pod: str
    task: str
    phase: str
    text: str


def pod_tasks(run_id: str, *, namespace: str, context: str = "", ended: bool = False) -> list[TaskState]:
    """Tasks of a run that have pods, in the order in which they came; the last attempt of each.

    Args:
        run_id: Of the run.
        namespace: Where its pods are.
        context: Of kubectl's configuration; empty for the current one.
        ended: Whether the run has: a task that should have a pod has then lost it.

    Raises:
        ClusterError: Kubernetes cannot be reached, or refuses.
        MissingExtraError: The kubernetes package is not installed.
    """
    connection = connect(context=context or None, namespace=namespace)
    events: Sequence[Object] = ()
    with contextlib.suppress(ClusterError):  # whoever may not read events learns what pods say of themselves
        events = connection.warnings()
    with connection.understood():
        return _tasks(connection, run_id, events, ended=ended)


def _tasks(connection: Connection, run_id: str, events: Sequence[Object], *, ended: bool) -> list[TaskState]:
    found: dict[str, TaskState] = {}
    for pod in _pods(connection, run_id):
        task, role = _task(pod)
        if role == "driver" and (task in found or _phase(pod) == "Succeeded"):
            # It has said what the task's own pod gets, or has still to say it; those of stages have no such pod.
            if task not in found and _OF_A_STAGE not in pod["metadata"]["name"]:
                found[task] = TaskState(task, *(("FAILED", None, None, _LOST) if ended else ("PENDING", None, None)))
            continue
        reason = explain_pod(connection, pod, events, CONTAINER)
        if reason.startswith("exit code") and (said := _last_words(connection, pod)):
            reason += f": {said}"
        found[task] = TaskState(task, _STATES.get(_phase(pod), "PENDING"), *_times(pod), reason)
    return list(found.values())


def pod_logs(run_id: str, *, namespace: str, context: str = "", lines: int | None = None) -> Iterator[PodLog]:
    """What the working pods of a run have printed, the oldest first; lines of Argo and Kubeflow are left out.

    Args:
        run_id, namespace, context: As of `pod_tasks`.
        lines: The last ones of each pod; None for all.

    Raises:
        ClusterError: Kubernetes cannot be reached, refuses, or has no such pods.
        MissingExtraError: The kubernetes package is not installed.
    """
    connection = connect(context=context or None, namespace=namespace)
    with connection.understood():
        working = [pod for pod in _pods(connection, run_id) if _task(pod)[1] != "driver"]
    if not working:
        raise ClusterError(
            f"There are no pods of run {run_id!r} in namespace {namespace!r} of {connection.host}: it has not started, "
            "its pods are deleted, or it is in another namespace (--namespace). Each task's log also lies in the "
            "workspace, below submissions/NAME/logs."
        )
    for pod in working:
        name = pod["metadata"]["name"]
        printed = "" if _phase(pod) == "Pending" else connection.log(name, CONTAINER, _ALL_LINES)
        own = own_lines(printed)
        yield PodLog(name, _task(pod)[0], _phase(pod), "\n".join(own if lines is None else own[-lines:]))


_ALL_LINES, _LAST_LINES = 1_000_000, 200


def _last_words(connection: Connection, pod: Object) -> str:
    """The last line of ours in a pod that failed, which is why; empty where there is none, or logs may not be read."""
    with contextlib.suppress(ClusterError):
        lines = own_lines(connection.log(pod["metadata"]["name"], CONTAINER, _LAST_LINES))
        if lines and not _OTHERS.match(lines[-1]):
            return _EXCEPTION.sub("", lines[-1])
    return ""


def own_lines(text: str) -> list[str]:
    """What CTLR and Python have said among the lines of a pod; all of them where neither has."""
    kept, ours = [], False
    for line in text.splitlines():
        if found := _OURS.match(line):
            ours = not found[2].startswith(_KFP)
            line = f"{found[1]} {found[2]}"
        elif _OTHERS.match(line):
            ours = False
        elif line.startswith("Traceback "):
            ours = True
        if ours:
            kept.append(line)
    return kept or text.splitlines()


def _pods(connection: Connection, run_id: str) -> list[Object]:
    pods: Sequence[Object] = connection.pods(f"{RUN_LABEL}={run_id}")
    return sorted(pods, key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]))


def _task(pod: Object) -> tuple[str, str]:
    """(name, role) of a pod's task: `…exit-handler-1(0).train-1(0).executor(0)` is train-1's own, `….train-1-driver(0)`
    that of Kubeflow's driver."""
    node = (pod["metadata"].get("annotations") or {}).get(_NODE) or pod["metadata"]["name"]
    *before, last = [re.sub(r"\(\d+\)$", "", part) for part in node.split(".")]
    if last == "executor" and before:
        return before[-1], "executor"
    if last.endswith("-driver") or "-driver-" in last:
        return last.removesuffix("-driver"), "driver"
    return last, "executor"


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _times(pod: Object) -> tuple[datetime | None, datetime | None]:
    """When its container began and ended."""
    states = [
        each.get("state") or {}
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
        if each["name"] == CONTAINER
    ]
    state = states[0] if states else {}
    ended = state.get("terminated") or {}
    began = (ended or state.get("running") or {}).get("startedAt")
    return _moment(began), _moment(ended.get("finishedAt"))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
