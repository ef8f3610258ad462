"""All Experiments of a namespace with their trials, for whoever only looks."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ctlr.errors import ClusterError, ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine import Completion
from ctlr.tuning.katib.connection import EXPERIMENT, Connection
from ctlr.tuning.katib.faults import explain_trials
from ctlr.tuning.katib.objects import RUN, SUBMISSION, Roll, belongs, completion_of, started_of
from ctlr.tuning.manifest import parse_experiment

__all__ = ["Listed", "Listing"]

_AT_ONCE = 20
"""Failed trials whose pods are asked about in one look: each costs a log."""


@dataclass(frozen=True)
class Listed:
    """An Experiment as it is now."""

    name: str
    submission: str
    """The benchmark that was submitted; empty for a search on its own."""
    run: str
    """Of Kubeflow Pipelines, that began it; empty where none did."""
    started: datetime
    completion: Completion | None
    experiment: Experiment | None
    """None where it is of a kind that CTLR does not read."""
    fault: str
    """Why it is None."""
    trials: tuple[Trial, ...]


class Listing:
    """Looks at a namespace; what has been found out about an Experiment's manifest and a failure is kept.

    Args:
        connection: To the namespace.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[str, tuple[Experiment, Roll] | str] = {}
        """By the uid of an Experiment: what it is, with its trials' numbers, or why it cannot be read."""
        self._reasons: dict[tuple[str, str], str] = {}
        """By an Experiment's uid and a trial's name."""

    def look(self) -> list[Listed]:
        """The namespace as it is now, the oldest Experiment first.

        Raises:
            ClusterError: The API server cannot be reached or refuses.
        """
        connection = self._connection
        documents, of_experiment = connection.experiments(), defaultdict(list)
        for trial in connection.trials():
            of_experiment[(trial["metadata"].get("labels") or {}).get(EXPERIMENT)].append(trial)
        with connection.understood():
            there = {each["metadata"]["uid"] for each in documents}
            self._read = {uid: found for uid, found in self._read.items() if uid in there}
            self._reasons = {key: reason for key, reason in self._reasons.items() if key[0] in there}
            found = [self._listed(each, of_experiment[each["metadata"]["name"]]) for each in documents]
        return sorted(found, key=lambda each: (each.started, each.name))

    def _listed(self, document: Mapping[str, Any], trials: list[dict[str, Any]]) -> Listed:
        metadata, started, completion = document["metadata"], started_of(document), completion_of(document)
        uid, known = metadata["uid"], self._known(document)
        listed = Listed(
            metadata["name"], (metadata.get("labels") or {}).get(SUBMISSION, ""),
            (metadata.get("annotations") or {}).get(RUN, ""), started, completion, None, "", (),
        )  # fmt: skip
        if isinstance(known, str):
            return replace(listed, fault=known)
        experiment, roll = known
        ours = [each for each in trials if belongs(each, uid)]
        read = roll.read(ours, started, over=completion is not None)
        return replace(listed, experiment=experiment, trials=tuple(self._explained(uid, experiment, read)))

    def _known(self, document: Mapping[str, Any]) -> tuple[Experiment, Roll] | str:
        uid = document["metadata"]["uid"]
        if uid not in self._read:
            plain = {key: document[key] for key in ("apiVersion", "kind", "spec")}
            names = {key: document["metadata"][key] for key in ("name", "namespace")}
            try:
                experiment = parse_experiment(plain | {"metadata": names})
                self._read[uid] = experiment, Roll(experiment)
            except ConfigError as error:
                self._read[uid] = error.reason
        return self._read[uid]

    def _explained(self, uid: str, experiment: Experiment, trials: tuple[Trial, ...]) -> Iterator[Trial]:
        """Trials, with the reason that their pods give where they failed."""
        unknown = [each for each in trials if each.status == "Failed" and (uid, each.name) not in self._reasons]
        container = experiment.manifest["spec"]["trialTemplate"]["primaryContainerName"]
        if asked := unknown[-_AT_ONCE:]:
            with contextlib.suppress(ClusterError):  # they are shown without, and asked about again
                faults = explain_trials(self._connection, asked, container)
                for each in asked:
                    self._reasons[uid, each.name] = faults[each.name].reason if each.name in faults else each.reason
        for each in trials:
            reason = self._reasons.get((uid, each.name)) if each.status == "Failed" else None
            yield each.model_copy(update={"reason": reason}) if reason else each
