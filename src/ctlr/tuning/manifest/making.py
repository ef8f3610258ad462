"""From a space to the Experiment that searches it, as plain data: what a laptop runs, and a cluster as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctlr.space import Choice, Range
from ctlr.specs import ENCODERS, Study
from ctlr.tuning.options import objective_of

__all__ = ["parameters_of", "study_experiment", "written"]

_NOTHING: Mapping[str, Range | Choice] = {}

_GPU = {
    "nodeSelector": {"nvidia.com/gpu.present": "true"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
}


def written(value: Any) -> str:
    """A value among several as a manifest has it and trials get it: YAML's `null`, `true` and `false`, or its text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def parameters_of(space: Mapping[str, Range | Choice]) -> list[dict[str, Any]]:
    """A space as an Experiment's parameters.

    Args:
        space: Dimension by name.
    """
    return [_parameter(name, dimension) for name, dimension in space.items()]


def _parameter(name: str, dimension: Range | Choice) -> dict[str, Any]:
    if isinstance(dimension, Choice):
        kind = "discrete" if dimension.ordered else "categorical"
        feasible: dict[str, Any] = {"list": [written(value) for value in dimension.values]}
    else:
        kind = "int" if dimension.whole else "double"
        feasible = {"min": str(dimension.low), "max": str(dimension.high), "distribution": dimension.distribution}
        if dimension.step is not None:
            feasible["step"] = str(dimension.step)
    return {"name": name, "parameterType": kind, "feasibleSpace": feasible}


def study_experiment(
    study: Study,
    benchmark: str,
    *,
    name: str,
    trials: int | None = 24,
    parallel: int = 2,
    algorithm: str = "",
    seed: int = 1,
    more: Mapping[str, Range | Choice] = _NOTHING,
    space: Mapping[str, Range | Choice] | None = None,
) -> dict[str, Any]:
    """The Experiment that searches what a study's method and encoder say of their own space, by `ctlr trial`.

    Args:
        study: What is tuned.
        benchmark: Its file, as trials name it.
        name: Of the Experiment.
        trials: At most; a third of them may fail. None for no end.
        parallel: That run at once.
        algorithm: By Katib's name; empty: the encoder's own where its options are searched, else `tpe`. It repeats what
            it proposes.
        seed: Of the algorithm.
        more: Dimensions that no part states.
        space: In the place of what the parts say.
    """
    metric, better = objective_of(study, "finetune")
    space = {**(_stated(study) if space is None else space), **more}
    if not algorithm and any(option.startswith("encoder.") for option in space):
        algorithm = ENCODERS[study.encoder.name].algorithm
    beside = ("train_loss",) if study.method.trains_network else ()
    counts = {} if trials is None else {"maxTrialCount": trials, "maxFailedTrialCount": max(1, trials // 3)}
    references = [{"name": option, "reference": option} for option in space]
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "objective": {
                "type": "maximize" if better == "max" else "minimize",
                "objectiveMetricName": metric,
                "additionalMetricNames": list(beside),
                "metricStrategies": [
                    {"name": metric, "value": better},
                    *({"name": name, "value": "latest"} for name in beside),
                ],
            },
            "algorithm": {
                "algorithmName": algorithm or "tpe",
                "algorithmSettings": [{"name": "random_state", "value": str(seed)}],
            },
            "parallelTrialCount": parallel,
            **counts,
            "parameters": parameters_of(space),
            "trialTemplate": {
                "primaryContainerName": "trial",
                "trialParameters": [*references, {"name": "trial", "reference": "${trialSpec.Name}"}],
                "trialSpec": _job(_command(study, benchmark, list(space)), gpu=study.method.trains_network),
            },
        },
    }


def _stated(study: Study) -> dict[str, Range | Choice]:
    found = dict(study.method.space(study.target.data.ndim))
    if study.method.trains_network and not study.method.pretrains:  # weights from elsewhere fit one encoder
        found |= study.encoder.space
    return found


def _command(study: Study, benchmark: str, options: Sequence[str]) -> list[str]:
    settings = [f"--set={option}=${{trialParameters.{option}}}" for option in options]
    encoder = [f"--encoder={study.encoder.label}"] if study.method.has_encoder else []
    return ["ctlr", "trial", benchmark, f"--study={study.method.label}", *encoder, f"--n={study.n_train}", *settings]


def _job(command: Sequence[str], *, gpu: bool) -> dict[str, Any]:
    """A pod as `manifests/` allows it, on a GPU where a network is trained."""
    size = {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}}
    if not gpu:
        size = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "4Gi"}}
    container = {
        "name": "trial",
        "image": f"ctlr/ctlr-{'gpu' if gpu else 'cpu'}:0.1.0",
        "command": list(command),
        "env": [{"name": "CTLR_TRIAL_NAME", "value": "${trialParameters.trial}"}],
        "resources": size,
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "workspace", "mountPath": "/workspace"}, {"name": "scratch", "mountPath": "/tmp"}],
    }  # fmt: skip
    pod = {
        "restartPolicy": "Never",
        "priorityClassName": "ctlr-trial",
        **(_GPU if gpu else {}),
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001},
        "containers": [container],
        "volumes": [
            {"name": "workspace", "persistentVolumeClaim": {"claimName": "ctlr-workspace"}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }
    template = {"metadata": {"annotations": {"sidecar.istio.io/inject": "false"}}, "spec": pod}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": template}}
