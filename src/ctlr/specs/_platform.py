"""Where on a cluster a benchmark runs: nothing here changes a result, so nothing here enters an identity."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs._value import Value

__all__ = ["PlatformSpec", "TolerationSpec"]

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$", examples=["4", "500m", "16Gi"])]
"""As Kubernetes writes it: `500m`, `2`, `4Gi`."""
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253, examples=["my-name"])]


class TolerationSpec(Value):
    """A taint that the pods which train tolerate."""

    key: str
    """Of the taint."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """Whether the taint's `value` has to be this one too."""
    value: str = ""
    """Of `Equal`."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """What the taint does to other pods."""


class PlatformSpec(Value):
    """How `ctlr submit` places a benchmark's pods. A laptop has no use for it, and no result depends on it."""

    workers: Annotated[int, Field(ge=1, le=1000)] = 2
    """Pods that train at once: as many as there are GPUs or nodes to use. Each goes on until nothing is left."""
    image: Annotated[str, Field(min_length=1)] = "ctlr/ctlr-cpu:0.1.0"
    """Of every pod; ctlr/ctlr-gpu:0.1.0 holds a CUDA build of PyTorch."""
    volume: ObjectName = "ctlr-workspace"
    """PersistentVolumeClaim (ReadWriteMany) of the workspace."""
    workspace: Annotated[str, Field(pattern=r"^(/[\w.-]+)+$", examples=["/workspace"])] = "/workspace"
    """Where it is mounted."""
    roots: dict[str, Annotated[str, Field(pattern=r"^[^/]")]] = Field(default_factory=dict)
    """Folder of a dataset below the workspace, by the dataset's name: where the volume holds its files."""
    cpu: Quantity = "2"
    """Cores of a pod; trials and preprocessing use as many processes."""
    memory: Quantity = "4Gi"
    """Of a pod."""
    shared_memory: Quantity = "1Gi"
    """Of /dev/shm."""
    gpu: str | None = None
    """Resource that a training pod asks for: nvidia.com/gpu, nvidia.com/mig-1g.10gb; null trains on the CPU."""
    gpus: Annotated[int, Field(ge=1, le=16)] = 1
    """How many of `gpu`."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes that train, e.g. cloud.google.com/gke-accelerator: nvidia-l4."""
    tolerations: tuple[TolerationSpec, ...] = ()
    """Of the pods that train."""
    secrets: dict[str, str] = Field(default_factory=dict)
    """Environment variable -> `secret/key`, e.g. MLFLOW_TRACKING_PASSWORD: mlflow-user/password."""
    pull_secrets: tuple[ObjectName, ...] = ()
    """Secrets that the image is pulled with."""
    user: Annotated[int, Field(ge=1)] | None = 10_001
    """User and group id of every pod, as the images have them; null where the cluster gives out ids (OpenShift)."""
    service_account: ObjectName | None = None
    """Of every pod; null for the one of Kubeflow Pipelines."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Of every pod, and of the Jobs of trials, e.g. kueue.x-k8s.io/queue-name: research."""
    priority_class: ObjectName | None = "ctlr-trial"
    """Of the pods of trials; null for the cluster's default."""
    trials: Literal["katib", "local"] = "katib"
    """Where trials of a tuned benchmark run: as pods that Katib starts, or one after the other in the task's pod."""
    experiments: Literal["keep", "delete"] = "keep"
    """What becomes of Katib's Experiments that have ended: kept until somebody deletes them, or deleted at once."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for variable, place in self.secrets.items():
            if not variable.isidentifier() or place.count("/") != 1 or not all(place.split("/")):
                raise ValueError(
                    f"`secrets` must map environment variables to `secret/key`; got `{variable}: {place}`. "
                    "Write e.g. `MLFLOW_TRACKING_PASSWORD: mlflow-user/password`"
                )
        return self

    @property
    def device(self) -> str:
        """What pods train on."""
        return "cpu" if self.gpu is None else "cuda"

    @property
    def processes(self) -> int:
        """As many as whole cores, at least one."""
        cores = float(self.cpu[:-1]) / 1000 if self.cpu.endswith("m") else float(self.cpu.rstrip("kMGTi"))
        return max(1, int(cores))
