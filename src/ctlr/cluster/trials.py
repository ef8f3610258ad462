"""Trials of a benchmark's searches as pods: Katib's Experiments around `python -m ctlr.cluster.trial`."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

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
from ctlr.tuning.engine import BUDGET, MAX_TRIALS, Limits, Outcome, Pace
from ctlr.tuning.katib import RUN, SUBMISSION, completion_of, remove_from_katib, run_on_katib
from ctlr.tuning.manifest import ALGORITHMS, broken_settings
from ctlr.tuning.request import TrialJob
from ctlr.tuning.samplers import Space
from ctlr.workspace import write_aside

__all__ = ["TRIALS", "TURNS", "KatibBench", "katib_manifest", "race_manifest"]

log = logging.getLogger("ctlr")

TRIALS = "trials"
"""Kind of what a submission keeps: jobs of trials, by experiment."""

TURNS = "turns"
"""Kind of what a submission keeps: when a trial ends, by experiment; each turn of a race says it anew."""
_TRIALS = "trials.json"
"""Of an experiment's turns, in its folder."""
_LIST = TypeAdapter(list[Trial])

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
        self._raced: dict[str, Experiment] = {}

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
        """Run an experiment; trials of earlier rounds are not told to Katib, which has no place for them.

        A turn of a race lets its Experiment grow as long as there is time to begin a trial, and leaves it where it is
        for the next one. Nobody ends a pod from outside: a trial itself heeds how long it may take.
        """
        if limits.device_seconds is not None:
            raise ConfigError("`tuning.seconds`: Katib counts trials, not device seconds. Set `tuning.trials`.")
        given = {parameter.name: f"${{trialParameters.{parameter.name}}}" for parameter in experiment.parameters}
        sample = Trial(number=0, name=f"${{trialParameters.{_PLACE_OF_NAME}}}", assignments=given)
        job = job_of(sample).model_copy(update={"device": self._platform.device})
        name = f"{experiment.name}-{fingerprint(job.model_dump_json())[:8]}"
        self._submission.keep(TRIALS, name, job.model_dump(mode="json"))
        words = ["python", "-m", "ctlr.cluster.trial", str(self.workspace.root), self._submission.name, name]
        words += [f"--name=${{trialParameters.{_PLACE_OF_NAME}}}"]
        words += [f"--set={option}={value}" for option, value in job.assignments.items()]
        pod = trial_job(self._platform, _CONTAINER, words)
        if limits.max_seconds is not None:
            return self._turn(experiment, place, name, pod, limits, on_event)
        ready = self._ready(experiment, katib_manifest(experiment, pod))
        log.info("Experiment %s is Katib's", ready.name)
        return run_on_katib(ready, policy=self._platform.experiments, on_event=on_event, on_notice=log.warning)

    def _turn(
        self,
        experiment: Experiment,
        place: Path,
        name: str,
        pod: Mapping[str, Any],
        limits: Limits,
        on_event: Callable[[Trial, TrialReport | None], None],
    ) -> Outcome:
        """Run an experiment for the seconds of a turn, or what time there is for a trial that has begun."""
        assert limits.max_seconds is not None
        self._submission.keep(TURNS, name, {"seconds": limits.trial_seconds, "goal": limits.goal})
        most, known = _most(experiment), {trial.name for trial in self.found(place)}
        pace = Pace(limits.max_seconds, experiment.parallel, most)
        ready = self._ready(experiment, race_manifest(experiment, pod, goal=limits.goal, trials=pace.first))
        if ready.name not in self._raced:
            log.info("Experiment %s is Katib's; its count of trials grows with its turns", ready.name)
        self._raced[ready.name] = ready

        def tell(trial: Trial, report: TrialReport | None) -> None:
            if trial.name not in known:  # an earlier turn has told it
                on_event(trial, report)

        outcome = run_on_katib(ready, pace=pace, on_event=tell, on_notice=log.warning)
        place.mkdir(parents=True, exist_ok=True)
        write_aside(place / _TRIALS, _LIST.dump_json(list(outcome.trials)))
        ended = completion_of(outcome.document)
        if ended is not None and ended.reason == MAX_TRIALS and (most is None or len(outcome.trials) < most):
            return replace(outcome, reason=BUDGET)
        return outcome

    def _ready(self, experiment: Experiment, document: dict[str, Any]) -> Experiment:
        """As Katib gets it: with whose it is, for whoever looks at it."""
        document["metadata"] |= {"labels": {SUBMISSION: self._submission.name}, "annotations": {RUN: self._run}}
        return experiment.model_copy(update={"name": document["metadata"]["name"], "manifest": document})

    def found(self, place: Path) -> tuple[Trial, ...]:
        """As the last turn left them."""
        with contextlib.suppress(FileNotFoundError):
            return tuple(_LIST.validate_json((place / _TRIALS).read_bytes()))
        return ()

    def close(self) -> None:
        """Delete what has raced, where the platform says so."""
        raced, self._raced = self._raced, {}
        if self._platform.experiments == "delete":
            for experiment in raced.values():
                remove_from_katib(experiment)


def race_manifest(experiment: Experiment, job: Mapping[str, Any], *, goal: float | None, trials: int) -> dict[str, Any]:
    """The manifest of a search that races: Katib lets its `maxTrialCount` grow, and asks nothing of its failures.

    Args:
        experiment, job: As of `katib_manifest`.
        goal: At which it ends.
        trials: To begin with; not more of them are run at once.
    """
    document = katib_manifest(experiment, job, resumes=True, goal=goal)
    spec = document["spec"]
    spec |= {"maxTrialCount": trials, "parallelTrialCount": min(experiment.parallel, trials)}
    del spec["maxFailedTrialCount"]
    return document


def _most(experiment: Experiment) -> int | None:
    """Trials at most: Katib never sees that a space is exhausted, and would try its places again for the whole turn."""
    bounds = [bound for bound in (experiment.max_trials, Space(experiment.parameters).size) if bound is not None]
    return min(bounds, default=None)


def katib_manifest(
    experiment: Experiment, job: Mapping[str, Any], *, resumes: bool = False, goal: float | None = None
) -> dict[str, Any]:
    """The manifest of a benchmark's search, named after its content.

    Args:
        experiment: Space, objective, algorithm, early stopping and counts.
        job: Of a trial, `${trialParameters.NAME}` in its command.
        resumes: Whether it goes on where it is given more trials after its end.
        goal: At which it ends.
    """
    objective = experiment.objective
    names = [{"name": parameter.name, "reference": parameter.name} for parameter in experiment.parameters]
    spec = {
        "objective": {
            "type": objective.direction, "objectiveMetricName": objective.metric,
            "metricStrategies": [{"name": name, "value": value} for name, value in objective.strategies.items()],
            **({} if goal is None else {"goal": goal}),
        },
        "algorithm": _algorithm(experiment.algorithm),
        "parameters": [_parameter(parameter) for parameter in experiment.parameters],
        "trialTemplate": {
            "primaryContainerName": _CONTAINER, "trialSpec": job,
            "trialParameters": [*names, {"name": _PLACE_OF_NAME, "reference": "${trialSpec.Name}"}],
        },
    }  # fmt: skip
    if resumes:
        spec["resumePolicy"] = "LongRunning"
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
