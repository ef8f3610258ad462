"""Why a trial failed or does not start, from its pods, their events and their logs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctlr.specs import Trial
from ctlr.tuning.engine import Fault
from ctlr.tuning.katib.connection import Connection
from ctlr.tuning.launchers import lacks_value

__all__ = ["INJECTION", "explain_experiment", "explain_pod", "explain_trials"]

Object = Mapping[str, Any]

TRIAL = "katib.kubeflow.org/trial"
"""Label that Katib's webhook puts on the pods of a trial."""
INJECTION = "katib.kubeflow.org/metrics-collector-injection"
"""Label of the namespaces at whose pods Katib's webhook looks."""
SIDECAR = "metrics-logger-and-collector"
"""Katib's container that prints what the trial's own wrote, when it collects from standard output."""

EARLY_STOPPING = "early-stopping"
"""Katib's container beside the suggestion service that stops trials early; 0.19 gives it no security context."""

_TAIL_LINES = 20
_STARTED = re.compile(r"^([IWEF])\d{4} [\d:.]+ +\d+ [\w.-]+:\d+\] (Trial Name: |Metrics reported)?")
"""What the sidecar writes before each line: those of the trial are `I`, and the first and the last ones its own."""
_NO_IMAGE = (
    "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
    "RegistryUnavailable",
)  # fmt: skip
_HARMLESS = ("ContainerCreating", "PodInitializing")
_AT_A_TIME = 40
"""Trials asked for at once: their names go into an address."""


def explain_trials(connection: Connection, trials: Sequence[Trial], container: str) -> dict[str, Fault]:
    """Faults by trial; a trial of which nothing amiss is known is left out.

    Args:
        connection: To their cluster.
        trials: Failed, or not started yet.
        container: The one that trains.

    Raises:
        ClusterError: The API server cannot be reached, or the Role allows no look.
    """
    pods = _pods_of(connection, [trial.name for trial in trials])
    events = connection.warnings()
    found = {}
    for trial in trials:
        fault = _explain(connection, trial, pods.get(trial.name, []), events, container)
        if fault is not None:
            found[trial.name] = fault
    return found


def explain_experiment(connection: Connection, name: str) -> str:
    """The last warning about an Experiment that has no trials: its suggestion service's objects bear its name.

    Raises:
        ClusterError: The API server cannot be reached, or the Role allows no look.
    """
    return _from_events(name, connection.warnings())


def _pods_of(connection: Connection, names: Sequence[str]) -> dict[str, list[Object]]:
    """Pods by trial, oldest first. Pods that Katib's webhook has not seen bear their Job's name alone."""
    found: dict[str, list[Object]] = {}
    for label in (TRIAL, "job-name"):
        left = [name for name in names if name not in found]
        for first in range(0, len(left), _AT_A_TIME):
            selector = f"{label} in ({','.join(left[first : first + _AT_A_TIME])})"
            for pod in connection.pods(selector):
                found.setdefault(pod["metadata"]["labels"][label], []).append(pod)
    for pods in found.values():
        pods.sort(key=lambda pod: pod["metadata"].get("creationTimestamp") or "")
    return found


def _explain(
    connection: Connection, trial: Trial, pods: Sequence[Object], events: Sequence[Object], container: str
) -> Fault | None:
    failed = trial.status == "Failed"
    if not pods:
        reason = _from_events(trial.name, events)
        if failed and trial.reason:
            reason = f"{trial.reason}; {reason or 'its pod is gone'}"
        return Fault(reason) if reason else None
    pod = pods[-1]
    reason = explain_pod(connection, pod, events, container)
    if not failed:
        return Fault(reason) if reason else None
    tail = _tail(connection, pod, container)
    last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), "")
    if reason.startswith("exit code") and last:
        reason = f"{reason}: {last}"
    known = trial.reason or "failed"
    if lacks_value(trial) and TRIAL not in pod["metadata"]["labels"]:
        space = pod["metadata"]["namespace"]
        remedy = f"`kubectl label namespace {space} {INJECTION}=enabled`"
        reason = f"Katib collects nothing in the namespace {space}. {remedy}, then start the search again"
    if lacks_value(trial):
        reason = f"{known}; {reason}" if reason else known
    return Fault(reason or known, tail)


def _from_collector(connection: Connection, pod: Object) -> str:
    """Why the sidecar of a trial that ended well did not."""
    lines = connection.log(pod["metadata"]["name"], SIDECAR, _TAIL_LINES).splitlines()
    last = next((_STARTED.sub("", line) for line in reversed(lines) if line.startswith("F")), "it says nothing")
    if "unable to find main pid" in last:
        remedy = "Let the trial run for two seconds more, e.g. with `sleep 2`"
        return f"it ended before Katib's collector looked for it, and its metrics are lost. {remedy}"
    return f"Katib's collector failed beside a trial that ended well: {last}"


def _tail(connection: Connection, pod: Object, container: str) -> str:
    """What the trial printed last. Where Katib reads its standard output, it stands in the sidecar's log."""
    names = [each["name"] for each in pod["spec"]["containers"]]
    for name in [name for name in (container, SIDECAR, *names) if name in names]:
        lines = connection.log(pod["metadata"]["name"], name, _TAIL_LINES).splitlines()
        if text := "\n".join(_of_trial(lines) if name == SIDECAR else lines).strip():
            return text
    return ""


def _of_trial(lines: Sequence[str]) -> Iterator[str]:
    """Lines of the log in which the sidecar repeats what the trial wrote; what follows its report is its own."""
    for line in lines:
        own = _STARTED.match(line)
        if own is not None and own[2] == "Metrics reported":
            return
        if own is None or (own[1] == "I" and not own[2]):
            yield _STARTED.sub("", line)


def explain_pod(connection: Connection, pod: Object, events: Sequence[Object], container: str) -> str:
    """What is amiss with a pod; empty where nothing is.

    The container that works speaks first: statuses come sorted by name, and Katib's sidecar, which ends with an exit
    code of its own when the trial fails, sorts before most.

    Args:
        connection: To its cluster.
        pod: As the API server gives it.
        events: Warnings of its namespace, oldest first.
        container: The one that works.
    """
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    states.sort(key=lambda each: each["name"] != container)
    told = {each["name"]: words for each in states if (words := _from_container(pod, each))}
    if container not in told and told.get(SIDECAR, "").startswith("exit code") and _ended_well(states, container):
        return _from_collector(connection, pod)
    if told:
        return next(iter(told.values()))
    if status.get("reason"):  # Evicted, DeadlineExceeded, Preempting, NodeLost
        return f"{status['reason']}: {status.get('message') or 'by the node'}"
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _unschedulable(pod, condition.get("message") or condition.get("reason") or "not scheduled")
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return f"its pod was taken away: {condition.get('message') or condition.get('reason')}"
    if status.get("phase") == "Pending":
        return _from_events(pod["metadata"]["name"], events)
    return ""


def _ended_well(states: Sequence[Object], container: str) -> bool:
    ended = [((each.get("state") or {}).get("terminated") or {}) for each in states if each["name"] == container]
    return any(each.get("exitCode") == 0 for each in ended)


def _from_container(pod: Object, status: Object) -> str:
    spec = next(
        each
        for each in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
        if each["name"] == status["name"]
    )
    state = status.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    if not ended and waiting.get("reason") == "CrashLoopBackOff":
        ended = (status.get("lastState") or {}).get("terminated") or {}
    if ended.get("reason") == "OOMKilled":
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        bound = f"its limit of {limit}" if limit else "what the node has"
        return f"out of memory: container {spec['name']} passed {bound} (OOMKilled). Raise resources.limits.memory"
    if ended.get("exitCode"):
        message = f" ({ended['message'].strip()})" if ended.get("message") else ""
        return f"exit code {ended['exitCode']}{message}"
    reason = waiting.get("reason") or ""
    if reason in _NO_IMAGE:
        words = f"the image {spec['image']} cannot be had ({reason}): {waiting.get('message') or 'no such image'}"
        return f"{words}. Push it, mend its name, or name the registry's Secret in imagePullSecrets"
    if reason and reason not in _HARMLESS:
        return f"{reason}: {waiting.get('message') or 'see the pod'}"
    return ""


def _unschedulable(pod: Object, message: str) -> str:
    if claim := re.search(r'persistentvolumeclaim "([^"]+)" not found', message):
        remedy = "`kubectl apply -k manifests/base` makes ctlr-workspace; or name one that is there"
        return f"the claim {claim[1]} is not in its namespace ({message}) {remedy}"
    gpus = [f"{name}: {count}" for name, count in _limits(pod) if "gpu" in name or "mig-" in name]
    if gpus:
        remedy = "Add such a node, lower parallelTrialCount, or see nodeSelector and tolerations"
        return f"no node with a free GPU, and the trial asks for {', '.join(gpus)} ({message}) {remedy}"
    return f"no node takes it: {message} Lower resources.requests, or see nodeSelector and tolerations"


def _limits(pod: Object) -> Iterator[tuple[str, str]]:
    for container in pod["spec"]["containers"]:
        yield from ((container.get("resources") or {}).get("limits") or {}).items()


def _from_events(name: str, events: Sequence[Object]) -> str:
    """The last warning about an object, or about those that were made for it."""
    for event in reversed(events):
        about = event["involvedObject"].get("name", "")
        if not (about == name or about.startswith(f"{name}-")):
            continue
        message = event.get("message") or ""
        if event.get("reason") == "ReconcileError" and message.endswith("already exists"):
            continue  # the controller had not seen yet what it had made itself
        if "exceeded quota" in message:
            remedy = "Raise the ResourceQuota, or lower parallelTrialCount or resources"
            return f"the namespace's quota is used up: {message}. {remedy}"
        if "violates PodSecurity" in message and SIDECAR in message:
            remedy = "Let Katib give it the trial's security context: manifests/configure_katib.py"
            return f"the namespace refuses the container that Katib adds: {message}. {remedy}"
        if "violates PodSecurity" in message and EARLY_STOPPING in message:
            remedy = "Remove earlyStopping, or label the namespace pod-security.kubernetes.io/enforce=baseline"
            return f"the namespace refuses Katib's container for early stopping: {message}. {remedy}"
        if kind := re.search(r'no matches for kind "([^"]+)"', message):
            remedy = f"Install what brings {kind[1]}, or write a Job of batch/v1"
            return f"the cluster does not know the kind of the trial's job: {message}. {remedy}"
        if "no PriorityClass" in message:
            remedy = "`kubectl apply -k manifests/base` makes ctlr-trial; or set another priorityClassName"
            return f"its priority class is missing: {message}. {remedy} (`platform.priority_class` of a benchmark)"
        return f"{event.get('reason')}: {message}"
    return ""
