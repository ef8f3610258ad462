"""A compiled pipeline placed on a cluster: image, resources, volume, nodes, secrets.

Kubeflow Pipelines 2.17 takes some of this as parameters of a run (image, accelerator, claim, node selector,
tolerations) and the rest only when it compiles (mount path, /dev/shm, environment from secrets, labels, parallelism).
So that there is one way, all of it is written into the compiled document when it is submitted.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ctlr.specs import PlatformSpec

__all__ = ["placed"]

Document = dict[str, Any]

TRAINING = ("pretrain", "score", "finetune", "evaluate")
"""Components whose pods use a GPU where there is one; `tune` does where trials run in its own pod."""


def placed(pipeline: Mapping[str, Any], platform: PlatformSpec) -> tuple[Document, Document]:
    """Write a platform into a compiled pipeline.

    Args:
        pipeline: The compiled pipeline's first document.
        platform: Where its pods run.

    Returns:
        The pipeline, and what Kubeflow Pipelines keeps apart for Kubernetes: both documents of its file. Equal
        arguments give equal documents.
    """
    document: Document = copy.deepcopy(dict(pipeline))
    executors: dict[str, Any] = document["deploymentSpec"]["executors"]
    settings = {}
    for name, executor in sorted(executors.items()):
        component = name.removeprefix("exec-").split("-")[0]
        trains = component in TRAINING or (component == "tune" and platform.trials == "local")
        executor["container"]["image"] = platform.image
        executor["container"]["resources"] = _resources(platform, trains=trains)
        settings[name] = _settings(platform, trains=trains)
    if platform.parallel is not None:
        _limit(document, platform.parallel)
    return document, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}}


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
        "securityContext": {"runAsNonRoot": True},
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
        found["tolerations"] = [toleration.model_dump(exclude_defaults=True) | _stated(toleration.operator,
                                toleration.effect) for toleration in platform.tolerations]  # fmt: skip
    return found


def _stated(operator: str, effect: str) -> Document:
    return {"operator": operator, "effect": effect}


def _secret(variable: str, place: str) -> Document:
    name, key = place.split("/")
    return {"secretName": name, "secretNameParameter": _constant(name), "optional": False,
            "keyToEnv": [{"secretKey": key, "envVar": variable}]}  # fmt: skip


def _constant(value: str) -> Document:
    return {"runtimeValue": {"constant": value}}


def _limit(document: Document, parallel: int) -> None:
    """Bound every loop."""
    for component in document["components"].values():
        for task in component.get("dag", {}).get("tasks", {}).values():
            if "parameterIterator" in task:
                task["iteratorPolicy"] = {"parallelismLimit": parallel}
