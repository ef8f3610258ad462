"""Trials of a benchmark's searches as pods: Katib's Experiments around `python -m ctlr.cluster.trial`."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ctlr.cluster.submission import Submission
from ctlr.errors import ConfigError
from ctlr.pool import Event
from ctlr.searches import Bench
from ctlr.specs import AlgorithmSpec, Experiment, Parameter, StoredArrays, Trial, TrialReport, fingerprint
from ctlr.tuning.algorithms import ALGORITHMS, broken_settings
from ctlr.tuning.katib import run_on_katib
from ctlr.tuning.local import Outcome
from ctlr.tuning.request import TrialJob

__all__ = ["TRIALS", "KatibBench", "katib_manifest"]

log = logging.getLogger("ctlr")

TRIALS = "trials"
"""Kind of what a submission keeps: jobs of trials, by experiment."""

_PLACE_OF_NAME = "ctlrTrialName"
_BOUNDS = {"min": "low", "max": "high", "step": "step"}


class KatibBench(Bench):
    """Runs experiments on the cluster's Katib; this process watches.

    An experiment's name and content decide whether one that is there is taken up, so that a task that was preempted
    goes on with it.

    Args:
        submission: Whose searches are run; its trials find their jobs there.
        arrays: Stored arrays by the dataset's name.
        on_event: Told what happens.
    """

    def __init__(
        self, submission: Submission, arrays: Mapping[str, StoredArrays], on_event: Callable[[Event], None]
    ) -> None:
        assert submission.config.tuning is not None
        super().__init__(submission.config.tuning, arrays, submission.workspace, on_event=on_event)
        self._submission = submission

    def run(
        self,
        experiment: Experiment,
        place: Path,
        job_of: Callable[[Trial], TrialJob],
        *,
        seconds: float | None,
        earlier: Sequence[Trial],
        on_event: Callable[[Trial, TrialReport | None], None],
    ) -> Outcome:
        """Run an experiment; trials of earlier rounds are not told to Katib, which has no place for them."""
        if seconds is not None:
            raise ConfigError("`tuning.seconds`: Katib counts trials, not device seconds. Set `tuning.trials`.")
        given = {parameter.name: f"${{trialParameters.{parameter.name}}}" for parameter in experiment.parameters}
        sample = Trial(number=0, name=f"${{trialParameters.{_PLACE_OF_NAME}}}", assignments=given)
        job = job_of(sample)
        name = f"{experiment.name}-{fingerprint(job.model_dump_json())[:8]}"
        self._submission.keep(TRIALS, name, job.model_dump(mode="json"))
        words = ["python", "-m", "ctlr.cluster.trial", str(self.workspace.root), self._submission.name, name]
        words += [f"--name=${{trialParameters.{_PLACE_OF_NAME}}}"]
        words += [f"--set={option}={value}" for option, value in job.assignments.items()]
        ready = experiment.model_copy(update={"manifest": katib_manifest(experiment, words)})
        log.info("Experiment %s is Katib's", experiment.name)
        return run_on_katib(ready, on_event=on_event, on_notice=log.warning)


def katib_manifest(experiment: Experiment, command: Sequence[str]) -> dict[str, Any]:
    """The manifest of a benchmark's search: the pod of the method's own manifest, with another command.

    Args:
        experiment: Its `manifest` has the pod; space, objective, algorithm and counts are the experiment's.
        command: Of a trial, `${trialParameters.NAME}` in it.
    """
    document = copy.deepcopy(experiment.manifest)
    document["metadata"] = {"name": experiment.name}
    spec = document["spec"]
    objective = experiment.objective
    spec["objective"] = {
        "type": objective.direction, "objectiveMetricName": objective.metric,
        "metricStrategies": [{"name": name, "value": value} for name, value in objective.strategies.items()],
    }  # fmt: skip
    spec["algorithm"] = _algorithm(experiment.algorithm)
    spec["parameters"] = [_parameter(parameter) for parameter in experiment.parameters]
    spec |= {"parallelTrialCount": experiment.parallel, "maxTrialCount": experiment.max_trials,
             "maxFailedTrialCount": experiment.max_trials}  # fmt: skip
    spec.pop("metricsCollectorSpec", None)  # the command prints what Katib's own collector reads
    template = spec["trialTemplate"]
    names = [{"name": parameter.name, "reference": parameter.name} for parameter in experiment.parameters]
    template["trialParameters"] = [*names, {"name": _PLACE_OF_NAME, "reference": "${trialSpec.Name}"}]
    container = _container(template)
    container["command"] = list(command)
    container.pop("args", None)
    kept = [each for each in container.get("env", ()) if "${trialParameters." not in str(each.get("value", ""))]
    container["env"] = kept
    return document


def _container(template: Mapping[str, Any]) -> dict[str, Any]:
    name = template["primaryContainerName"]
    containers = template["trialSpec"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = next(each for each in containers if each["name"] == name)
    return found


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
