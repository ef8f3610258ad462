"""Pods placed on a cluster: how many, image, resources, volume, nodes, secrets, of a compiled pipeline and of trials.

Kubeflow Pipelines 2.17 takes some of this as parameters of a run (image, accelerator, claim, node selector,
tolerations) and the rest only when it compiles (mount path, /dev/shm, environment from secrets, labels). So that there
is one way, all of it is written into the compiled document when it is submitted. The workers of a stage are tasks of
their own: a loop over them would add two pods, and its tasks would have no names.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ctlr.specs import PlatformSpec

__all__ = ["Workers", "placed", "trial_job"]

Document = dict[str, Any]

TRAINING = ("pretrain", "train", "evaluate")
"""Components whose pods use a GPU where there is one; `tune` does where trials run in its own pod."""
WATCHING = {"cpu": "250m", "memory": "1Gi"}
"""What a pod asks for that only watches trials: they are to have the rest."""


@dataclass(frozen=True)
class Workers:
    """How many tasks each stage has; 0 takes it out."""

    pretrain: int
    tune: int
    train: int


def placed(pipeline: Mapping[str, Any], platform: PlatformSpec, workers: Workers) -> tuple[Document, Document]:
    """Write a platform into a compiled pipeline.

    Args:
        pipeline: The compiled pipeline's first document.
        platform: Where its pods run.
        workers: Of its stages.

    Returns:
        The pipeline, and what Kubeflow Pipelines keeps apart for Kubernetes: both documents of its file. Equal
        arguments give equal documents.
    """
    document: Document = copy.deepcopy(dict(pipeline))
    for parameter in document["root"]["inputDefinitions"]["parameters"].values():
        parameter.pop("description", None)  # would stand in the workflow's status
    for stage, count in asdict(workers).items():
        _multiply(document, stage, count)
    executors = document["deploymentSpec"]["executors"]
    settings = {}
    for name, executor in sorted(executors.items()):
        component = name.removeprefix("exec-").split("-")[0]
        trains = component in TRAINING or (component == "tune" and platform.trials == "local")
        executor["container"]["image"] = platform.image
        executor["container"]["resources"] = _resources(platform, trains=trains)
        if component == "tune" and not trains:
            executor["container"]["resources"] |= {
                f"resource{what.capitalize()}{end}": amount
                for what, amount in WATCHING.items()
                for end in ("Limit", "Request")
            }
        settings[name] = _settings(platform, trains=trains)
    return document, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}}


def trial_job(platform: PlatformSpec, name: str, command: Sequence[str]) -> Document:
    """The Job of a trial: a pod as those of the pipeline that train, of the least rights that Kubernetes knows.

    Args:
        platform: Where it runs.
        name: Of its container.
        command: What it runs.
    """
    resources: Document = {"cpu": platform.cpu, "memory": platform.memory}
    gpus = {} if platform.gpu is None else {platform.gpu: str(platform.gpus)}
    container: Document = {
        "name": name, "image": platform.image, "command": list(command),
        "resources": {"requests": resources, "limits": resources | gpus},
        "securityContext": {
            "runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "workspace", "mountPath": platform.workspace}, {"name": "scratch", "mountPath": "/tmp"},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
        ],
    }  # fmt: skip
    if platform.secrets:
        container["env"] = [_from_secret(variable, place) for variable, place in sorted(platform.secrets.items())]
    pod: Document = {
        # A trial has nothing to ask of the API server.
        "restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container],
        # Also of the container that Katib adds, whose image has another user; and who the workspace's files belong to.
        "securityContext": {} if platform.user is None else _user(platform) | {"fsGroup": platform.user},
        "volumes": [
            {"name": "workspace", "persistentVolumeClaim": {"claimName": platform.volume}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": platform.shared_memory}},
        ],
        "nodeSelector": dict(platform.node_selector), "tolerations": _tolerations(platform),
        "imagePullSecrets": [{"name": secret} for secret in platform.pull_secrets],
        "serviceAccountName": platform.service_account, "priorityClassName": platform.priority_class,
    }  # fmt: skip
    labels = {"labels": dict(platform.labels)} if platform.labels else {}
    template = {
        # The sidecar of a mesh would never end, and the trial with it.
        "metadata": labels | {"annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {key: value for key, value in pod.items() if value not in ({}, [], None)},
    }
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": labels,
        "spec": {"backoffLimit": 0, "template": template},
    }  # fmt: skip


def _user(platform: PlatformSpec) -> Document:
    return {} if platform.user is None else {"runAsUser": platform.user, "runAsGroup": platform.user}


def _resources(platform: PlatformSpec, *, trains: bool) -> Document:
    found: Document = {
        "resourceCpuLimit": platform.cpu, "resourceCpuRequest": platform.cpu,
        "resourceMemoryLimit": platform.memory, "resourceMemoryRequest": platform.memory,
    }  # fmt: skip
    if trains and platform.gpu is not None:
        found["accelerator"] = {"resourceType": platform.gpu, "resourceCount": str(platform.gpus)}
    return found


def _settings(platform: PlatformSpec, *, trains: bool) -> Document:
    found: Document = {
        "pvcMount": [{"mountPath": platform.workspace, "constant": platform.volume,
                      "pvcNameParameter": _constant(platform.volume)}],
        "emptyDirMounts": [{"volumeName": "shared-memory", "mountPath": "/dev/shm", "medium": "Memory",
                            "sizeLimit": platform.shared_memory}],
        "securityContext": {"runAsNonRoot": True} | _user(platform),
    }  # fmt: skip
    if platform.secrets:
        found["secretAsEnv"] = [_secret(variable, place) for variable, place in sorted(platform.secrets.items())]
    if platform.pull_secrets:
        found["imagePullSecret"] = [
            {"secretName": name, "secretNameParameter": _constant(name)} for name in platform.pull_secrets
        ]
    if platform.labels:
        found["podMetadata"] = {"labels": dict(platform.labels)}
    if trains and platform.node_selector:
        found["nodeSelector"] = {"labels": dict(platform.node_selector)}
    if trains and platform.tolerations:
        found["tolerations"] = _tolerations(platform)
    return found


def _tolerations(platform: PlatformSpec) -> list[Document]:
    """As Kubernetes has them: an empty `value` is left out."""
    return [
        {key: value for key, value in toleration.model_dump().items() if value} for toleration in platform.tolerations
    ]


def _from_secret(variable: str, place: str) -> Document:
    name, key = place.split("/")
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def _secret(variable: str, place: str) -> Document:
    name, key = place.split("/")
    return {"secretName": name, "secretNameParameter": _constant(name), "optional": False,
            "keyToEnv": [{"secretKey": key, "envVar": variable}]}  # fmt: skip


def _constant(value: str) -> Document:
    return {"runtimeValue": {"constant": value}}


def _multiply(document: Document, stage: str, count: int) -> None:
    """Give a stage so many tasks, `train-1` and on; what comes after waits for all of them, or for what came before."""
    component = f"comp-{stage}"
    for tasks in _graphs(document):
        before = [name for name, task in tasks.items() if task["componentRef"]["name"] == component]
        if not before:
            continue
        removed = [tasks.pop(name) for name in before]
        names = [stage] if count == 1 else [f"{stage}-{number}" for number in range(1, count + 1)]
        for name in names:
            tasks[name] = copy.deepcopy(removed[0]) | {"taskInfo": {"name": name}}
        for other in tasks.values():
            needs = other.get("dependentTasks", [])
            if not set(before).isdisjoint(needs):
                kept = set(needs).difference(before)
                other["dependentTasks"] = sorted(kept.union(names or removed[0].get("dependentTasks", [])))
    if not count:
        document["components"].pop(component, None)
        document["deploymentSpec"]["executors"].pop(f"exec-{stage}", None)


def _graphs(document: Document) -> Iterator[Document]:
    """Tasks by name, of the pipeline and of what is nested in it."""
    for component in (document["root"], *document["components"].values()):
        if "dag" in component:
            yield component["dag"]["tasks"]
