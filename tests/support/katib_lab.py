"""A namespace of a small API server where Katib's double works, and a search for it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from katib_double import KatibDouble, refusal
from kube_api import KubeApi, Node, Object, Served, serving
from kubernetes import client

__all__ = ["SPACE", "Lab", "by_the_book", "laboratory", "manifest"]

SPACE = "lab"


def manifest(**changes: Any) -> Object:
    """A search for the least |x|, whose trials print it."""
    container = {
        "name": "main",
        "image": "example.org/square:1",
        "command": ["sh", "-c", "echo loss=${trialParameters.x}"],
    }
    container |= changes.pop("container", {})
    spec: Object = {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": "random", "algorithmSettings": [{"name": "random_state", "value": "1"}]},
        "parallelTrialCount": 2, "maxTrialCount": 4, "maxFailedTrialCount": 1,
        "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}],
        "trialTemplate": {
            "primaryContainerName": "main", "trialParameters": [{"name": "x", "reference": "x"}],
            "trialSpec": {
                "apiVersion": "batch/v1", "kind": "Job",
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
            },
        },
    }  # fmt: skip
    name = changes.pop("name", "square")
    return {
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": name}, "spec": spec | changes,
    }  # fmt: skip


def by_the_book(node: Node, job: Object) -> None:
    """Every trial ends well."""
    node.succeed(job, node.printed(job))


class Lab:
    """A server with Katib on it."""

    def __init__(self, api: KubeApi, served: Served, folder: Path) -> None:
        self.api, self.served, self.folder = api, served, folder

    def play(self, play: Callable[[Node, Object], None]) -> None:
        """What comes of Jobs from now on."""
        Node(self.api, play)

    @property
    def experiments(self) -> dict[str, Object]:
        return self.api.objects.get(("experiments", SPACE), {})


@contextlib.contextmanager
def laboratory(folder: Path) -> Iterator[Lab]:
    """Every trial ends well, until a test has it otherwise; the folder holds the kubeconfig."""
    api = KubeApi(webhook=refusal)
    with serving(api, folder, namespace=SPACE) as served:
        Node(api, by_the_book)
        settings = client.Configuration(host=served.address)
        settings.retries = False
        with KatibDouble(client.ApiClient(settings), SPACE):
            yield Lab(api, served, folder)
