"""The job of a trial: which container trains, what it runs, and what the job may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ctlr.errors import nearest
from ctlr.specs import TrialCommand
from ctlr.tuning.manifest.fields import Fields

__all__ = ["check_job", "command_of", "is_workflow", "primary_container"]

_WITH_CONDITIONS = ("Job", "TFJob", "PyTorchJob", "XGBoostJob", "MPIJob", "TrainJob")
"""Kinds whose success and failure Katib knows by itself."""
_ROLES = {"Master": 0, "Chief": 0, "Launcher": 0, "": 1, "Worker": 1}
"""Which replica of a Kubeflow job comes first; others follow."""
_NAMED = {"container": "main", "trainer": "node"}
"""What a container is called where its place decides: in Argo's templates, in Kubeflow Trainer's TrainJob."""
_QUANTITIES = ("limits", "requests", "overhead", "capacity")
"""Mappings whose values are quantities."""
_QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_SHORTEST = re.compile(r"[+-]?(\d+)\.?([KMGTPE]i|[numkMGTPE]?|[eE][+-]?\d+)")
"""A whole quantity: mantissa and unit."""
_LONG = (
    "activeDeadlineSeconds", "expirationSeconds", "fsGroup", "runAsGroup", "runAsUser", "supplementalGroups",
    "terminationGracePeriodSeconds", "tolerationSeconds",
)  # fmt: skip
"""Whole numbers of 64 bits; others have 32."""
_ZEROS = (
    "failureThreshold", "hostIPC", "hostNetwork", "hostPID", "hostPort", "initialDelaySeconds", "partition",
    "periodSeconds", "readOnly", "stdin", "stdinOnce", "successThreshold", "timeoutSeconds", "tty",
)  # fmt: skip
"""Fields whose false or 0 is the same as nothing."""
_KEPT = (
    ("V1AzureDiskVolumeSource", "fsType"), ("V1AzureDiskVolumeSource", "readOnly"), ("V1CSIVolumeSource", "fsType"),
    ("V1CSIVolumeSource", "readOnly"), ("V1HTTPHeader", "value"), ("V1HostPathVolumeSource", "type"),
    ("V1NodeSelector", "nodeSelectorTerms"), ("V1PersistentVolumeClaimSpec", "storageClassName"),
    ("V1PodDNSConfigOption", "value"), ("V1PodFailurePolicy", "rules"), ("V1PodSpec", "containers"),
    ("V1PodSpec", "runtimeClassName"), ("V1ProjectedVolumeSource", "sources"), ("V1SuccessPolicy", "rules"),
    ("V1Sysctl", "value"), ("V1TypedLocalObjectReference", "apiGroup"),
)  # fmt: skip
"""Fields that may be empty: there the API tells that from nothing."""
_LABELS = ("labels", "annotations", "nodeSelector", "matchLabels")
"""Mappings whose keys are names of labels."""
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_CONDITIONS = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
"""What a Job's status says."""
_CONDITION = re.compile(r"""type\s*==\s*["']?(\w+)""")


def is_workflow(job: Mapping[str, Any]) -> bool:
    """Whether a trialSpec is an Argo Workflow, a Tekton PipelineRun or the like, whose engine makes the pods."""
    return job.get("kind") not in _WITH_CONDITIONS


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
        _check_pod(template, job)


def _check_pod(template: Fields, job: Fields) -> None:
    """Refuse what the type of a batch/v1 Job does not hold, as Katib's webhook does, and Jobs that never run."""
    job.only("apiVersion", "kind", "metadata", "spec")
    _check_type(job, "V1Job")
    pod = job.mapping("spec").mapping("template").mapping("spec")
    pod.need("containers", "Write the container that trains below it.")
    if pod.text("restartPolicy") not in ("Never", "OnFailure"):
        pod.fault("restartPolicy", "the pods of a Job need Never or OnFailure. Write `restartPolicy: Never`.")
    volumes = [volume.text("name") for volume in pod.items("volumes")]
    met: set[str] = set()
    for key in ("initContainers", "containers"):
        for container in pod.items(key):
            for field in ("name", "image"):
                container.need(field, f"Write `{field}: …`.")
            if (name := container.text("name")) in met:
                container.fault(
                    "name", f"each container has a name of its own; got {name!r} again. Rename one of them."
                )
            met.add(name)
            for mount in container.items("volumeMounts"):
                if (volume := mount.text("name")) not in volumes:
                    mount.fault("name", f"the pod has no volume {volume!r}. {nearest(volume, volumes)}")
    for key in ("successCondition", "failureCondition"):
        for kind in _CONDITION.findall(template.text(key)):
            if kind not in _CONDITIONS:
                rule = f"a Job never says {kind!r}, and its trials would not end"
                template.fault(key, f"{rule}. {nearest(kind, _CONDITIONS)}")


@cache
def _types() -> dict[str, dict[str, str]]:
    """What a Job is made of, by type and field (tests/support/job_types.py)."""
    found: dict[str, dict[str, str]] = json.loads(
        resources.files("ctlr.tuning.manifest").joinpath("job_types.json").read_text()
    )
    return found


def _check_type(fields: Fields, name: str) -> None:
    known = _types()[name]
    fields.only(*known)
    for key, value in fields.data.items():
        if key in known and _is_dropped(name, key, known[key], value):
            rule = "Katib's webhook drops what is empty, and refuses a trialSpec that this changes"
            fields.fault(key, f"{rule}; got {json.dumps(value)}. Remove it.")
        elif key in known:
            _check_value(fields, key, known[key])


def _is_dropped(name: str, key: str, kind: str, value: Any) -> bool:
    """Whether the API's type leaves a field out that has this value."""
    if value is None:
        return True
    if (name, key) in _KEPT:
        return False
    if isinstance(value, int):  # false or 0
        return not value and key in _ZEROS
    return not value and kind.startswith(("str", "list", "dict"))


def _check_value(fields: Fields, key: str, kind: str) -> None:
    if kind == "bool":
        fields.flag(key)
    elif kind == "int":
        fields.whole(key, bits=64 if key in _LONG else 32)
    elif kind == "object":
        if not isinstance(fields.data[key], int) or isinstance(fields.data[key], bool):
            fields.text(key)
    elif kind in ("str", "datetime"):
        if key == "sizeLimit" or key == "divisor":
            _check_quantity(fields, key, shortest=True)
        else:
            fields.text(key)
    elif kind == "dict(str, str)":
        _check_texts(fields.mapping(key), key)
    elif kind == "list[str]":
        fields.texts(key)
    elif kind == "list[int]":
        fields.wholes(key)
    elif kind.startswith("list["):
        for entry in fields.items(key):
            _check_type(entry, kind.removeprefix("list[").removesuffix("]"))
    else:
        _check_type(fields.mapping(key), kind)


def _check_texts(values: Fields, name: str) -> None:
    """A mapping of texts: quantities, labels, or others."""
    for key, value in values.data.items():
        if name in _QUANTITIES:
            _check_quantity(values, key, shortest=name not in ("limits", "requests"))
            continue
        if value is None:
            values.fault(key, "must be a text; got none. Write it in quotes, or remove it.")
        text = values.text(key)
        if name not in _LABELS:
            continue
        if not _LABEL_KEY.fullmatch(key):
            rule = (
                "must be a label's key: at most 63 of letters, digits, -, _ and ., with an optional domain before a /"
            )
            values.fault(key, f"{rule}; got {key!r}. Rename it.")
        elif value and name != "annotations" and "${trialParameters." not in text and not _LABEL_VALUE.fullmatch(text):
            rule = "must be a label's value: at most 63 of letters, digits, -, _ and ., no sign first or last"
            values.fault(key, f"{rule}; got {text!r}. Change it.")


def _check_quantity(fields: Fields, key: str, *, shortest: bool) -> None:
    """`shortest`: Katib's webhook refuses a quantity that the API writes in another way; limits and requests may be."""
    value = fields.data[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number and not (isinstance(value, str) and _QUANTITY.fullmatch(value)):
        fields.fault(key, f"must be a quantity; got {value!r}. Write e.g. `{key}: 500m` or `{key}: 8Gi`.")
    elif shortest and not (isinstance(value, str) and _is_shortest(value)):
        rule = "must be a text, whole and in its largest unit, or Katib's webhook refuses it"
        fields.fault(key, f"{rule}; got {value!r}. Write e.g. `{key}: 1Gi` for 1024Mi, `{key}: 512Mi` for 0.5Gi.")


def _is_shortest(text: str) -> bool:
    match = _SHORTEST.fullmatch(text)
    if match is None:
        return False
    mantissa, unit = int(match[1]), match[2]
    if unit[1:].lstrip("+-").isdigit():
        return int(unit[1:]) % 3 == 0 and mantissa % 1000 != 0
    return bool(mantissa % (1024 if unit.endswith("i") else 1000)) or unit in ("E", "Ei") or text == "0"


@dataclass(frozen=True)
class _Container:
    """A container somewhere in a trialSpec."""

    name: str
    fields: Fields
    role: str
    labels: Mapping[str, Any]


def primary_container(template: Fields, job: Fields) -> Fields | None:
    """The container that trains; None where none can be told.

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
        return (named or found)[0].fields
    return None


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


def command_of(container: Fields) -> TrialCommand:
    """What a container runs."""
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
