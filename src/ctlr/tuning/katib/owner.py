"""Whose end is to end an Experiment: what the pod belongs to that this process runs in."""

from __future__ import annotations

import os
from typing import Any

from ctlr.tuning.katib.connection import Connection, pod_namespace
from ctlr.tuning.katib.objects import Owner

__all__ = ["own_pod", "owner_of"]


def own_pod(connection: Connection) -> dict[str, Any] | None:
    """The pod that this process runs in; None outside of one, and where it does not know its name.

    The name comes from the downward API, in CTLR_POD_NAME, or in KFP_POD_NAME as Kubeflow Pipelines sets it. An object
    can be owned by one of its own namespace alone, so a pod elsewhere is none.
    """
    name = os.environ.get("CTLR_POD_NAME") or os.environ.get("KFP_POD_NAME")
    if not name or pod_namespace() != connection.namespace:
        return None
    return connection.pod(name)


def owner_of(pod: dict[str, Any]) -> Owner:
    """What controls a pod (a pipeline's run, a Job), else the pod itself.

    A pod that is moved from a node that is drained then leaves the Experiment to its successor.
    """
    metadata = pod["metadata"]
    for each in metadata.get("ownerReferences") or ():
        if each.get("controller"):
            return Owner(each["apiVersion"], each["kind"], each["name"], each["uid"])
    return Owner("v1", "Pod", metadata["name"], metadata["uid"])
