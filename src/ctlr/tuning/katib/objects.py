"""Katib's Experiments and Trials as values."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ctlr.specs import Experiment, Trial, TrialStatus, fingerprint
from ctlr.tuning.engine import Completion
from ctlr.tuning.launchers import no_value
from ctlr.tuning.service import LABEL, NUMBER

__all__ = ["COUNTS", "FINGERPRINT", "RUN", "SUBMISSION", "Owner", "Roll", "belongs", "completion_of",
           "content_fingerprint", "experiment_document", "started_of", "under_way"]  # fmt: skip

FINGERPRINT = "ctlr.dev/fingerprint"
"""Label that holds the fingerprint of an Experiment's content."""
SUBMISSION = "ctlr.dev/submission"
"""Label that names the submitted benchmark whose search an Experiment is."""
RUN = "ctlr.dev/run"
"""Annotation with the run of Kubeflow Pipelines that began it."""
COUNTS = ("maxTrialCount", "parallelTrialCount", "maxFailedTrialCount")
"""What Katib lets one edit of an Experiment that is there; no part of its fingerprint."""

_STATUSES: Mapping[str, TrialStatus] = {
    "Failed": "Failed", "MetricsUnavailable": "Failed", "EarlyStopped": "EarlyStopped", "Killed": "Killed",
    "Succeeded": "Succeeded", "Running": "Running", "Created": "Created",
}  # fmt: skip
"""Katib's conditions, the telling ones first: `Created` stays true for ever."""


@dataclass(frozen=True)
class Owner:
    """The object whose end is to end an Experiment."""

    api_version: str
    kind: str
    name: str
    uid: str

    def reference(self) -> dict[str, str]:
        """As Kubernetes has it."""
        return {"apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid}


def content_fingerprint(experiment: Experiment) -> str:
    """Digest of what is searched and how: the `spec` without the counts that may be edited."""
    spec = {key: value for key, value in experiment.manifest["spec"].items() if key not in COUNTS}
    return fingerprint(json.dumps(spec, sort_keys=True))


def experiment_document(experiment: Experiment, *, namespace: str, owner: Owner | None) -> dict[str, Any]:
    """The manifest as it is created.

    `retain` is set where the manifest does not say otherwise: Katib would delete the pods of a failed trial, and why
    it failed with them. They end with the Experiment.
    """
    document = copy.deepcopy(experiment.manifest)
    document.pop("status", None)
    metadata = document.setdefault("metadata", {})
    metadata |= {"name": experiment.name, "namespace": namespace}
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        "app.kubernetes.io/managed-by": "ctlr",
        FINGERPRINT: content_fingerprint(experiment),
    }
    if owner is not None:
        metadata["ownerReferences"] = [owner.reference()]
    document["spec"]["trialTemplate"].setdefault("retain", True)
    return document


def started_of(document: Mapping[str, Any]) -> datetime:
    """When an Experiment began."""
    started = (document.get("status") or {}).get("startTime")
    return _moment(started or document["metadata"]["creationTimestamp"])


def completion_of(document: Mapping[str, Any]) -> Completion | None:
    """How an Experiment ended; None while it runs."""
    status = document.get("status") or {}
    for condition in status.get("conditions") or ():
        kind = condition.get("type")
        if kind in ("Succeeded", "Failed") and condition.get("status") == "True":
            ended = status.get("completionTime") or condition.get("lastTransitionTime")
            return Completion(
                kind == "Succeeded",
                condition.get("reason") or f"Experiment{kind}",
                condition.get("message") or f"Experiment has {kind.lower()}",
                _moment(ended) if ended else datetime.now(UTC),
            )
    return None


def belongs(trial: Mapping[str, Any], uid: str) -> bool:
    """Whether a trial is of this Experiment, and not of one of its name that was deleted before."""
    owners = trial["metadata"].get("ownerReferences") or ()
    return not owners or any(each["uid"] == uid for each in owners)


def under_way(trial: Mapping[str, Any]) -> bool:
    """Whether a trial has not ended."""
    word, _ = _condition(trial.get("status") or {})
    return word in ("Created", "Running")


class Roll:
    """The trials of one experiment, each with the number that it was first seen with.

    Args:
        experiment: Theirs.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._numbers: dict[str, int] = {}

    def read(self, objects: Iterable[Mapping[str, Any]], began: datetime, *, over: bool) -> tuple[Trial, ...]:
        """Trials by number.

        Args:
            objects: Katib's Trials, in any order.
            began: When the experiment did.
            over: Whether it has ended: then nothing more comes of trials that have not.
        """
        found = {each["metadata"]["name"]: each for each in objects}
        for name in sorted(found.keys() - self._numbers.keys(), key=lambda name: _order(found[name])):
            self._numbers[name] = len(self._numbers)
        return tuple(
            self._trial(found[name], number, began, over=over)
            for name, number in self._numbers.items()
            if name in found
        )

    def _trial(self, each: Mapping[str, Any], number: int, began: datetime, *, over: bool) -> Trial:
        status = each.get("status") or {}
        word, reason = _condition(status)
        state: TrialStatus = _STATUSES.get(word, "Created")
        metrics = self._metrics(status)
        value = metrics.get(self._experiment.objective.metric)
        if state == "EarlyStopped" and value is None and not over:
            state = "Running"  # its observation comes moments after its status
        if state in ("Created", "Running") and over:
            state, reason = "Killed", "the experiment ended before it"
        if word == "MetricsUnavailable" or (state == "Succeeded" and value is None):
            state, reason = "Failed", no_value(self._experiment, reported=word != "MetricsUnavailable")
        labels = each["metadata"].get("labels") or {}
        started, ended = status.get("startTime"), status.get("completionTime") or _stopped(status)
        return Trial(
            number=number,
            name=each["metadata"]["name"],
            assignments={entry["name"]: entry["value"] for entry in each["spec"].get("parameterAssignments") or ()},
            labels={k.removeprefix(LABEL): v for k, v in labels.items() if k.startswith(LABEL) and k != NUMBER},
            status=state,
            value=self._experiment.counted(value, state),
            metrics=metrics,
            seconds=max((_moment(ended) - _moment(started)).total_seconds(), 0.0) if started and ended else 0.0,
            started=max((_moment(started) - began).total_seconds(), 0.0) if started else 0.0,
            reason=reason if state in ("Failed", "EarlyStopped", "Killed") else "",
        )

    def _metrics(self, status: Mapping[str, Any]) -> dict[str, float]:
        """Of every metric the value that counts; Katib writes `unavailable` where there is none."""
        found = {}
        for metric in (status.get("observation") or {}).get("metrics") or ():
            strategy = self._experiment.objective.strategies.get(metric["name"], "latest")
            number = _finite(metric.get(strategy))
            if number is not None:
                found[metric["name"]] = number
        return found


def _stopped(status: Mapping[str, Any]) -> str | None:
    """When a trial was stopped early: Katib 0.19 notes no completion of such a one."""
    conditions = status.get("conditions") or ()
    return next((str(each.get("lastTransitionTime")) for each in conditions if each["type"] == "EarlyStopped"), None)


def _order(trial: Mapping[str, Any]) -> tuple[int, str, str]:
    metadata = trial["metadata"]
    number = (metadata.get("labels") or {}).get(NUMBER, "")
    return int(number) if number.isdecimal() else 0, metadata.get("creationTimestamp") or "", metadata["name"]


def _condition(status: Mapping[str, Any]) -> tuple[str, str]:
    """The condition that holds, and its message."""
    held = {
        each["type"]: each.get("message") or "" for each in status.get("conditions") or () if each["status"] == "True"
    }
    word = next((word for word in _STATUSES if word in held), "Created")
    return word, held.get(word, "")


def _finite(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
