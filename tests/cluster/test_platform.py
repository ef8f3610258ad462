"""Pods of trials, from the platform alone."""

import pytest
from pod_policy import faults

from ctlr.cluster.platform import trial_job
from ctlr.specs import PlatformSpec, TolerationSpec

FULL = PlatformSpec(
    image="registry:5000/ctlr-gpu:1.2", volume="ages", workspace="/data/work", cpu="500m", memory="2Gi",
    shared_memory="8Gi", gpu="nvidia.com/mig-1g.10gb", gpus=2, node_selector={"pool": "l4"},
    tolerations=(TolerationSpec(key="nvidia.com/gpu"),), secrets={"PASSWORD": "mlflow-user/password"},
    pull_secrets=("pull",), service_account="trainer", labels={"kueue.x-k8s.io/queue-name": "research"},
    priority_class="low", user=7,
)  # fmt: skip


@pytest.mark.parametrize("platform", [PlatformSpec(), FULL], ids=["plain", "full"])
def test_the_pod_of_a_trial_is_restricted(platform: PlatformSpec) -> None:
    assert faults(trial_job(platform, "trial", ["true"])["spec"]["template"]) == []


def test_the_pod_of_a_trial_is_all_that_the_platform_says() -> None:
    job = trial_job(FULL, "trial", ["python", "-V"])
    pod = job["spec"]["template"]["spec"]
    (container,) = pod.pop("containers")
    assert (container["image"], container["command"]) == ("registry:5000/ctlr-gpu:1.2", ["python", "-V"])
    assert container["resources"] == {
        "requests": {"cpu": "500m", "memory": "2Gi"},
        "limits": {"cpu": "500m", "memory": "2Gi", "nvidia.com/mig-1g.10gb": "2"},
    }
    assert container["env"] == [
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mlflow-user", "key": "password"}}}
    ]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"workspace": "/data/work", "scratch": "/tmp", "shared-memory": "/dev/shm"}
    assert pod == {
        "restartPolicy": "Never", "automountServiceAccountToken": False, "nodeSelector": {"pool": "l4"},
        "securityContext": {"runAsUser": 7, "runAsGroup": 7, "fsGroup": 7},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "imagePullSecrets": [{"name": "pull"}], "serviceAccountName": "trainer", "priorityClassName": "low",
        "volumes": [
            {"name": "workspace", "persistentVolumeClaim": {"claimName": "ages"}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}},
        ],
    }  # fmt: skip
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"] == FULL.labels


def test_what_the_platform_leaves_open_is_the_clusters() -> None:
    pod = trial_job(PlatformSpec(priority_class=None, user=None), "trial", ["true"])["spec"]["template"]["spec"]
    assert pod.keys() == {"restartPolicy", "automountServiceAccountToken", "containers", "volumes"}
