"""Katib's kinds on a cluster that may have no Katib."""

import contextlib
import json
from typing import Any

from kubernetes import client
from terminal import until

__all__ = ["katib_there"]

KATIB = ("kubeflow.org", "v1beta1")


def katib_there() -> bool:
    """Whether Katib's controllers are on the cluster that the client is configured for; its CRDs are after this."""
    labelled = "katib.kubeflow.org/component=controller"
    found = client.AppsV1Api().list_deployment_for_all_namespaces(label_selector=labelled, _preload_content=False)
    if json.loads(found.data)["items"]:
        return True
    extensions = client.ApiextensionsV1Api()
    for kind in ("Experiment", "Trial", "Suggestion"):
        with contextlib.suppress(client.ApiException):  # they are there already
            extensions.create_custom_resource_definition(_definition(kind), _preload_content=False)
    until(_served)
    return False


def _definition(kind: str) -> dict[str, Any]:
    """Katib's CRD as far as an API server reads it: any content, and a status of its own."""
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.kubeflow.org"},
        "spec": {
            "group": "kubeflow.org", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{
                "name": "v1beta1", "served": True, "storage": True, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }],
        },
    }  # fmt: skip


def _served() -> bool:
    try:
        for plural in ("experiments", "trials"):
            client.CustomObjectsApi().list_namespaced_custom_object(*KATIB, "default", plural)
    except client.ApiException:
        return False
    return True
