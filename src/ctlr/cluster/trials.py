"""Trials of a benchmark's searches as pods: Katib's Experiments around `python -m ctlr.cluster.trial`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctlr.cluster.platform import trial_job
from ctlr.cluster.submission import Submission
from ctlr.errors import ConfigError
from ctlr.pool import Event
from ctlr.searches import Bench
from ctlr.specs import (
    AlgorithmSpec,
    Experiment,
    Parameter,
    PlatformSpec,
    StoredArrays,
    Trial,
    TrialReport,
    dns_name,
    fingerprint,
)
from ctlr.tuning.engine import Limits, Outcome
from ctlr.tuning.katib import RUN, SUBMISSION, run_on_katib
from ctlr.tuning.manifest import ALGORITHMS, broken_settings
from ctlr.tuning.request import TrialJob

__all__ = ["TRIALS", "KatibBench", "katib_manifest"]

log = logging.getLogger("ctlr")

TRIALS = "trials"
"""Kind of what a submission keeps: jobs of trials, by experiment."""

_PLACE_OF_NAME = "ctlrTrialName"
_CONTAINER = "trial"
_NAME_LENGTH = 40  # Katib's own limit
_BOUNDS = {"min": "low", "max": "high", "step": "step"}


class KatibBench(Bench):
    """Runs experiments on the cluster's Katib; this process watches.

    An experiment's name tells its content, so that a task that was preempted goes on with the one that is there, and
    a search on another platform is another experiment.

    Args:
        submission: Whose searches are run; its trials find their jobs there.
        platform: Where the pods of trials run.
        arrays: Stored arrays by the dataset's name.
        run: Of Kubeflow Pipelines, for whoever looks at the Experiments.
        on_event: Told what happens.
    """

    def __init__(
        self,
        submission: Submission,
        platform: PlatformSpec,
        arrays: Mapping[str, StoredArrays],
        run: str,
        on_event: Callable[[Event], None],
    ) -> None:
        assert submission.config.tuning is not None
        super().__init__(submission.config.tuning, arrays, submission.workspace, on_event=on_event)
        self._submission, self._platform, self._run = submission, platform, run

    def run(
        self,
        experiment: Experiment,
        place: Path,
        job_of: Callable[[Trial], TrialJob],
        *,
        limits: Limits,
        earlier: Sequence[Trial],
        on_event: Callable[[Trial, TrialReport | None], None],
    ) -> Outcome:
        """Run an experiment; trials of earlier rounds are not told to Katib, which has no place for them."""
        if limits != Limits():
            raise ConfigError("`tuning.seconds`: Katib counts trials, not device seconds. Set `tuning.trials`.")
        given = {parameter.name: f"${{trialParameters.{parameter.name}}}" for parameter in experiment.parameters}
        sample = Trial(number=0, name=f"${{trialParameters.{_PLACE_OF_NAME}}}", assignments=given)
        job = job_of(sample).model_copy(update={"device": self._platform.device})
        name = f"{experiment.name}-{fingerprint(job.model_dump_json())[:8]}"
        self._submission.keep(TRIALS, name, job.model_dump(mode="json"))
        words = ["python", "-m", "ctlr.cluster.trial", str(self.workspace.root), self._submission.name, name]
        words += [f"--name=${{trialParameters.{_PLACE_OF_NAME}}}"]
        words += [f"--set={option}={value}" for option, value in job.assignments.items()]
        document = katib_manifest(experiment, trial_job(self._platform, _CONTAINER, words))
        document["metadata"] |= {"labels": {SUBMISSION: self._submission.name}, "annotations": {RUN: self._run}}
        ready = experiment.model_copy(update={"name": document["metadata"]["name"], "manifest": document})
        log.info("Experiment %s is Katib's", ready.name)
        return run_on_katib(ready, policy=self._platform.experiments, on_event=on_event, on_notice=log.warning)


def katib_manifest(experiment: Experiment, job: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of a benchmark's search, named after its content.

    Args:
        experiment: Space, objective, algorithm, early stopping and counts.
        job: Of a trial, `${trialParameters.NAME}` in its command.
    """
    objective = experiment.objective
    names = [{"name": parameter.name, "reference": parameter.name} for parameter in experiment.parameters]
    spec = {
        "objective": {
            "type": objective.direction, "objectiveMetricName": objective.metric,
            "metricStrategies": [{"name": name, "value": value} for name, value in objective.strategies.items()],
        },
        "algorithm": _algorithm(experiment.algorithm),
        "parameters": [_parameter(parameter) for parameter in experiment.parameters],
        "trialTemplate": {
            "primaryContainerName": _CONTAINER, "trialSpec": job,
            "trialParameters": [*names, {"name": _PLACE_OF_NAME, "reference": "${trialSpec.Name}"}],
        },
    }  # fmt: skip
    early_stopping = experiment.manifest["spec"].get("earlyStopping")
    if early_stopping is not None:
        spec["earlyStopping"] = early_stopping
    content = fingerprint(json.dumps(spec, sort_keys=True))[:6]
    counts = {"parallelTrialCount": experiment.parallel, "maxTrialCount": experiment.max_trials,
              "maxFailedTrialCount": experiment.max_trials}  # fmt: skip
    return {
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
        "metadata": {"name": f"{dns_name(experiment.name, _NAME_LENGTH - 7)}-{content}"},
        "spec": spec | counts,
    }  # fmt: skip


def _algorithm(algorithm: AlgorithmSpec) -> dict[str, Any]:
    """Without a seed where Katib knows none for the algorithm."""
    unknown = {name for name, _ in broken_settings(algorithm.name, algorithm.settings, ALGORITHMS)}
    settings = [{"name": k, "value": v} for k, v in algorithm.settings.items() if k not in unknown]
    return {"algorithmName": algorithm.name, "algorithmSettings": settings}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    if parameter.values:
        space: dict[str, Any] = {"list": list(parameter.values)}
    else:
        space = {key: getattr(parameter, field) for key, field in _BOUNDS.items() if getattr(parameter, field)}
        if parameter.distribution != "uniform":
            space["distribution"] = parameter.distribution
    return {"name": parameter.name, "parameterType": parameter.kind, "feasibleSpace": space}
