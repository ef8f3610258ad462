"""The state of an Experiment in Katib's shape, so that what reads a cluster's reads this one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ctlr.specs import Experiment, Objective, Trial
from ctlr.tuning.engine.journal import Completion
from ctlr.tuning.engine.stopping import better
from ctlr.tuning.launchers import lacks_value

__all__ = ["best_trial", "status_document"]

_LISTS = {
    "Running": ("runningTrialList", "trialsRunning"),
    "Created": ("pendingTrialList", "trialsPending"),
    "Succeeded": ("succeededTrialList", "trialsSucceeded"),
    "Failed": ("failedTrialList", "trialsFailed"),
    "Killed": ("killedTrialList", "trialsKilled"),
    "EarlyStopped": ("earlyStoppedTrialList", "trialsEarlyStopped"),
    "MetricsUnavailable": ("metricsUnavailableTrialList", "trialMetricsUnavailable"),
}
"""Where Katib names and counts the trials of a status."""


def best_trial(objective: Objective, trials: Sequence[Trial]) -> Trial | None:
    """The first of the best trials; those that failed do not count."""
    best: tuple[float, Trial] | None = None
    for trial in trials:
        value = trial.value if trial.status in ("Succeeded", "EarlyStopped") else None
        if value is not None and (best is None or better(objective, value, best[0])):
            best = value, trial
    return best[1] if best else None


def status_document(
    experiment: Experiment, trials: Sequence[Trial], *, started: datetime, completion: Completion | None = None
) -> dict[str, Any]:
    """The manifest with its `status`, as `kubectl get experiment -o yaml` shows it.

    Args:
        experiment: As it is run.
        trials: All that were proposed.
        started: When the experiment began (UTC).
        completion: How it ended; None while it runs.
    """
    document = copy.deepcopy(experiment.manifest)
    stamp = _time(started)
    status: dict[str, Any] = {
        "startTime": stamp,
        "lastReconcileTime": _time(completion.time if completion else datetime.now(UTC)),
        "conditions": _conditions(stamp, completion),
        "trials": len(trials),
    }
    words = {trial.name: "MetricsUnavailable" if lacks_value(trial) else trial.status for trial in trials}
    for each, (names, count) in _LISTS.items():
        found = [name for name, word in words.items() if word == each]
        if found:  # Katib leaves out what is empty
            status |= {names: found, count: len(found)}
    best = best_trial(experiment.objective, trials)
    if best is not None:
        status["currentOptimalTrial"] = _optimum(experiment, best)
    if completion is not None:
        status["completionTime"] = _time(completion.time)
    document["status"] = status
    return document


def _conditions(stamp: str, completion: Completion | None) -> list[dict[str, str]]:
    running = "True" if completion is None else "False"
    conditions = [
        _condition("Created", "True", "ExperimentCreated", "Experiment is created", stamp),
        _condition("Running", running, "ExperimentRunning", "Experiment is running", stamp),
    ]
    if completion is not None:
        kind = "Succeeded" if completion.succeeded else "Failed"
        conditions.append(
            _condition(kind, "True", completion.reason, completion.message, _time(completion.time)),
        )
    return conditions


def _condition(kind: str, status: str, reason: str, message: str, time: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": time,
        "lastTransitionTime": time,
    }


def _optimum(experiment: Experiment, best: Trial) -> dict[str, Any]:
    """Katib keeps every value as a text."""
    metrics = []
    for name in (experiment.objective.metric, *experiment.objective.additional):
        values = [report.metrics[name] for report in best.reports if name in report.metrics]
        if values:
            found = {"latest": values[-1], "min": min(values), "max": max(values)}
            # Of very many reports not all are kept; the value that counts is.
            strategy = experiment.objective.strategies.get(name, "latest")
            texts = {key: repr(value) for key, value in found.items()}
            texts[strategy] = repr(best.metrics[name]) if name in best.metrics else "unavailable"
            metrics.append({"name": name, **texts})
    return {
        "bestTrialName": best.name,
        "observation": {"metrics": metrics},
        "parameterAssignments": [{"name": name, "value": value} for name, value in best.assignments.items()],
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
