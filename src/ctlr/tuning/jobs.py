"""The job of a trial: which container trains, what it runs, and what the job may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctlr.errors import nearest
from ctlr.specs import TrialCommand
from ctlr.tuning.fields import Fields

__all__ = ["check_job", "primary_command"]

_WITH_CONDITIONS = ("Job", "TFJob", "PyTorchJob", "XGBoostJob", "MPIJob", "TrainJob")
"""Kinds whose success and failure Katib knows by itself."""
_ROLES = {"Master": 0, "Chief": 0, "Launcher": 0, "": 1, "Worker": 1}
"""Which replica of a Kubeflow job comes first; others follow."""
_NAMED = {"container": "main", "trainer": "node"}
"""What a container is called where its place decides: in Argo's templates, in Kubeflow Trainer's TrainJob."""
_JOB = (
    "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "completionMode", "completions", "managedBy",
    "manualSelector", "maxFailedIndexes", "parallelism", "podFailurePolicy", "podReplacementPolicy", "selector",
    "successPolicy", "suspend", "template", "ttlSecondsAfterFinished",
)  # fmt: skip
_POD = (
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers", "dnsConfig", "dnsPolicy",
    "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostUsers",
    "hostname", "hostnameOverride", "imagePullSecrets", "initContainers", "nodeName", "nodeSelector", "os",
    "overhead", "preemptionPolicy", "priority", "priorityClassName", "readinessGates", "resourceClaims", "resources",
    "restartPolicy", "runtimeClassName", "schedulerName", "schedulingGates", "securityContext", "serviceAccount",
    "serviceAccountName", "setHostnameAsFQDN", "shareProcessNamespace", "subdomain", "terminationGracePeriodSeconds",
    "tolerations", "topologySpreadConstraints", "volumes",
)  # fmt: skip
_CONTAINER = (
    "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name", "ports",
    "readinessProbe", "resizePolicy", "resources", "restartPolicy", "restartPolicyRules", "securityContext",
    "startupProbe", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
    "volumeDevices", "volumeMounts", "workingDir",
)  # fmt: skip


def check_job(template: Fields, job: Fields) -> None:
    """Note what Katib's webhook refuses in a trialSpec, and in the template around it."""
    job.need("apiVersion", "Write e.g. `apiVersion: batch/v1`.")
    job.need("kind", "Write e.g. `kind: Job`.")
    kind = job.text("kind")
    for key in ("name", "namespace"):
        if key in job.mapping("metadata"):
            job.mapping("metadata").fault(key, "Katib names each trial's job itself. Remove it.")
    for key in ("successCondition", "failureCondition"):
        template.text(key)
        if kind and kind not in _WITH_CONDITIONS:
            template.need(key, f"Katib does not know when a {kind} is done. Write the condition in GJSON.")
    labels = template.mapping("primaryPodLabels")
    for key in labels.data:
        labels.text(key)
    if job.text("apiVersion") == "batch/v1" and kind == "Job":
        _check_pod(job)


def _check_pod(job: Fields) -> None:
    """Refuse unknown fields of a batch/v1 Job, as Katib's webhook does."""
    job.only("apiVersion", "kind", "metadata", "spec")
    spec = job.mapping("spec")
    spec.only(*_JOB)
    spec.mapping("template").only("metadata", "spec")
    pod = spec.mapping("template").mapping("spec")
    pod.only(*_POD)
    pod.need("containers", "Write the container that trains below it.")
    for key in ("containers", "initContainers"):
        for container in pod.items(key):
            container.only(*_CONTAINER)


@dataclass(frozen=True)
class _Container:
    """A container somewhere in a trialSpec."""

    name: str
    fields: Fields
    role: str
    labels: Mapping[str, Any]


def primary_command(template: Fields, job: Fields) -> TrialCommand:
    """What the primary container runs; nothing where none can be told.

    Of several that bear its name the one with the primary pod's labels counts, then the leading replica's, then the one
    that takes a trial's values.
    """
    name = template.text("primaryContainerName")
    wanted = template.mapping("primaryPodLabels").data
    found = sorted(
        _containers(job, "", {}),
        key=lambda each: (
            not wanted.items() <= each.labels.items(),
            _ROLES.get(each.role, 2),
            "${trialParameters." not in repr(each.fields.data),
        ),
    )
    named = [each for each in found if each.name == name]
    if name and found and not named and job.data.get("kind") == "Job":
        message = f"no container of the trialSpec is called {name!r}. {nearest(name, [each.name for each in found])}"
        template.fault("primaryContainerName", message)
    if named or len(found) == 1:
        return _read_container((named or found)[0].fields)
    return TrialCommand(image="", command=())


def _containers(node: Fields, role: str, labels: Mapping[str, Any]) -> Iterator[_Container]:
    """Containers of pods (`containers`) and of Tekton's tasks (`steps`), and those that bear no name of their own."""
    labels = _labels(node) or labels
    for key, value in node.data.items():
        if isinstance(value, dict):
            below = node.mapping(key)
            if key in _NAMED and ("image" in value or "command" in value):
                yield _Container(_NAMED[key], below, role, labels)
            yield from _containers(below, key if str(node.where[-1]).endswith("ReplicaSpecs") else role, labels)
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                if not isinstance(entry, dict):
                    continue
                below = Fields(node.document, entry, (*node.where, key, index))
                if key in ("containers", "steps") and ("image" in entry or key == "containers"):
                    prefix = "step-" if key == "steps" else ""
                    yield _Container(f"{prefix}{entry.get('name', '')}", below, role, labels)
                else:
                    yield from _containers(below, role, labels)


def _labels(node: Fields) -> Mapping[str, Any]:
    metadata = node.data.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return labels if isinstance(labels, dict) else {}


def _read_container(container: Fields) -> TrialCommand:
    command, arguments = container.texts("command"), container.texts("args")
    environment = {}
    for entry in container.items("env"):
        if "valueFrom" not in entry:  # what a Secret or a pod's field holds is known on a cluster only
            environment[entry.text("name")] = entry.text("value")
    return TrialCommand(
        image=container.text("image"),
        command=(*command, *arguments) if command else (),
        environment=environment,
        working_dir=container.text("workingDir"),
    )
