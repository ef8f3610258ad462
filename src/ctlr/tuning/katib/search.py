"""Katib as an engine of searches: Experiments are created or taken up, watched, and deleted."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ctlr.errors import ClusterError, ConfigError
from ctlr.interrupts import check
from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine import MAX_TRIALS, Fault, State
from ctlr.tuning.katib.connection import (
    ConflictError,
    Connection,
    GoneError,
    NotFoundError,
    UnreachableError,
)
from ctlr.tuning.katib.faults import explain_experiment, explain_trials
from ctlr.tuning.katib.objects import (
    COUNTS,
    FINGERPRINT,
    Owner,
    Roll,
    belongs,
    completion_of,
    content_fingerprint,
    experiment_document,
    started_of,
    under_way,
)
from ctlr.tuning.katib.owner import own_pod, owner_of
from ctlr.tuning.katib.patience import Pauses, patiently

__all__ = ["PATIENCE_SECONDS", "WATCH_SECONDS", "KatibSearch"]

WATCH_SECONDS = 15
"""Of one watch; then the Experiment is read anew, so that nothing can be missed for longer."""
PATIENCE_SECONDS = 300.0
"""Without an answer of the API server, after which following ends."""
_BETWEEN_WATCHES = 0.2
"""Spares a server that ends each watch at once."""
_LEAVING_SECONDS = 120.0
_LATE_SECONDS = 30.0
"""After an Experiment's end, for the values of trials that were stopped early."""

Object = dict[str, Any]


class KatibSearch:
    """Runs Experiments in one namespace of a cluster with Katib (kubeflow.org/v1beta1).

    Args:
        connection: To the namespace.
        patience: Seconds without an answer of the API server (it restarts, the line drops) before it is an error.
        watch_seconds: Of one watch, after which the Experiment is read anew.
    """

    def __init__(
        self, connection: Connection, *, patience: float = PATIENCE_SECONDS, watch_seconds: int = WATCH_SECONDS
    ) -> None:
        self._connection, self._patience, self._watch_seconds = connection, patience, watch_seconds
        self._container = ""
        self._owner: Owner | None = None
        self._uid = ""
        self._most = 0
        """Trials that the Experiment may have by now: an end with fewer is one that it goes on after."""

    @property
    def place(self) -> str:
        """The namespace, and the cluster's address."""
        return f"namespace {self._connection.namespace} of {self._connection.host}"

    def start(self, experiment: Experiment) -> bool:
        """Create an Experiment, or take up the one that is there; whether there was one.

        Raises:
            ConfigError: Another Experiment has its name, or its manifest names another namespace.
            ClusterError: The API server cannot be reached or refuses.
        """
        if experiment.namespace and experiment.namespace != self._connection.namespace:
            raise ConfigError(
                f"{experiment.name}: its manifest says metadata.namespace: {experiment.namespace}, and it is to run in "
                f"{self._connection.namespace}. Remove one of them."
            )
        self._container = experiment.manifest["spec"]["trialTemplate"]["primaryContainerName"]
        with self._connection.understood():
            return self._start(experiment)

    def _start(self, experiment: Experiment) -> bool:
        pod = own_pod(self._connection)
        self._owner = None if pod is None else owner_of(pod)
        existing = self._existing(experiment.name)
        if existing is None:
            document = experiment_document(experiment, namespace=self._connection.namespace, owner=self._owner)
            try:
                self._uid = self._connection.create_experiment(document)["metadata"]["uid"]
                return False
            except ConflictError:  # another process was faster
                existing = self._connection.experiment(experiment.name)
        self._take_up(experiment, existing)
        return True

    def _existing(self, name: str) -> Object | None:
        """The Experiment of a name; one that is being deleted is waited for."""
        until = time.monotonic() + _LEAVING_SECONDS
        while True:
            try:
                found = self._connection.experiment(name)
            except NotFoundError:
                return None
            if "deletionTimestamp" not in found["metadata"]:
                return found
            if time.monotonic() > until:
                holders = ", ".join(found["metadata"].get("finalizers") or ["something"])
                raise ClusterError(
                    f"{name} in {self.place} is being deleted and does not go: {holders} holds it. See the log of "
                    "Katib's controller."
                )
            check()
            time.sleep(0.5)

    def _take_up(self, experiment: Experiment, existing: Object) -> None:
        metadata = existing["metadata"]
        theirs, ours = (metadata.get("labels") or {}).get(FINGERPRINT), content_fingerprint(experiment)
        if theirs != ours:
            raise ConfigError(
                f"{self.place} holds another Experiment called {experiment.name}: its content's fingerprint is "
                f"{theirs or 'not known, as it was not created by ctlr'}, this one's is {ours}. Give this one another "
                f"metadata.name, or remove that one: kubectl delete experiment {experiment.name} -n "
                f"{self._connection.namespace}"
            )
        self._uid = metadata["uid"]
        self._revise(existing, lambda found: self._change(experiment, found))

    def _revise(self, existing: Object, change_of: Callable[[Object], Object]) -> None:
        """Change an Experiment by what it is now, which Katib's controller changes too; nothing where that is empty."""
        name = existing["metadata"]["name"]
        while change := change_of(existing):
            change.setdefault("metadata", {})["resourceVersion"] = existing["metadata"]["resourceVersion"]
            try:
                existing = self._connection.patch_experiment(name, change)
                break
            except ConflictError:
                existing = self._connection.experiment(name)
        self._most = existing["spec"].get("maxTrialCount", 0)

    def _change(self, experiment: Experiment, existing: Object) -> Object:
        """What taking an Experiment up changes of it: the counts of one that can go on, and whose end ends it."""
        change: Object = {}
        spec = existing["spec"]
        wanted = {key: experiment.manifest["spec"][key] for key in COUNTS if key in experiment.manifest["spec"]}
        differing = {key: value for key, value in wanted.items() if spec.get(key) != value}
        if differing.get("maxTrialCount", math.inf) <= _trials(existing):  # which has grown, and Katib shrinks none
            del differing["maxTrialCount"]
        if differing and (completion_of(existing) is None or spec.get("resumePolicy", "Never") != "Never"):
            change["spec"] = differing
        owners = existing["metadata"].get("ownerReferences") or []
        # An Experiment ends with the last of its owners; one that nobody owns was meant to stay.
        if self._owner is not None and owners and self._owner.uid not in [each["uid"] for each in owners]:
            change["metadata"] = {"ownerReferences": [*owners, self._owner.reference()]}
        return change

    def states(self, experiment: Experiment) -> Iterator[State]:
        """The Experiment now, and again at every change and every few seconds, until its end, which is the last.

        Watches from the version that was read last; reads anew when the server keeps that version no more (410), when
        the stream breaks off, or when the server was away, with growing pauses.

        Raises:
            ClusterError: It was deleted, or the API server stays away longer than patience allows.
        """
        roll = Roll(experiment)
        pauses = Pauses(self._patience)
        while True:
            try:
                for document in self._documents(experiment.name):
                    with self._connection.understood():
                        state = self._state(roll, document)
                    pauses.reset()
                    if state.completion is not None and self._waits_for_values(state):
                        break  # the Experiment changes no more: it is read anew
                    yield state
                    if state.completion is not None:
                        return
            except GoneError:
                pass
            except UnreachableError as error:
                pauses.sleep(error)
            time.sleep(_BETWEEN_WATCHES)

    def _waits_for_values(self, state: State) -> bool:
        """Whether a trial that was stopped early is still without the value that Katib notes moments later."""
        assert state.completion is not None
        late = any(trial.status == "EarlyStopped" and not trial.metrics for trial in state.trials)
        return late and (datetime.now(UTC) - state.completion.time).total_seconds() < _LATE_SECONDS

    def _documents(self, name: str) -> Iterator[Object]:
        """The Experiment as it is, and as it changes during one watch."""
        with self._connection.understood():
            try:
                document = self._connection.experiment(name)
            except NotFoundError:
                raise self._deleted(name) from None
            if document["metadata"]["uid"] != self._uid or "deletionTimestamp" in document["metadata"]:
                raise self._deleted(name)
            version = document["metadata"]["resourceVersion"]
            yield document
            for kind, changed in self._connection.changes(name, version, self._watch_seconds):
                if kind == "DELETED" or (kind in ("ADDED", "MODIFIED") and "deletionTimestamp" in changed["metadata"]):
                    raise self._deleted(name)
                if kind in ("ADDED", "MODIFIED"):
                    yield changed

    def _deleted(self, name: str) -> ClusterError:
        return ClusterError(
            f"Experiment {name} in {self.place} was deleted while it ran, and its trials with it. Repeat the command "
            "to run it anew."
        )

    def _state(self, roll: Roll, document: Object) -> State:
        completion, started = completion_of(document), started_of(document)
        trials = self._connection.trials(document["metadata"]["name"])
        ours = [each for each in trials if belongs(each, self._uid)]
        # It has been given more since, or Katib had begun one more than it may have, which ends all the same.
        goes_on = _trials(document) < self._most or any(map(under_way, ours))
        if completion is not None and completion.reason == MAX_TRIALS and goes_on:
            completion = None
        document["metadata"].pop("managedFields", None)
        return State(
            trials=roll.read(ours, started, over=completion is not None),
            started=started,
            completion=completion,
            document=document,
        )

    def grow(self, experiment: Experiment, trials: int) -> None:
        """Raise `maxTrialCount`; an Experiment that has ended goes on where its `resumePolicy` is LongRunning."""

        def raised(found: Object) -> Object:
            enough = max(found["spec"].get("maxTrialCount", 0), _trials(found)) >= trials
            return {} if enough else {"spec": {"maxTrialCount": trials}}

        def revise() -> None:
            self._revise(self._connection.experiment(experiment.name), raised)

        with self._connection.understood():
            patiently(revise, self._patience)

    def explain(self, trials: Sequence[Trial]) -> Mapping[str, Fault]:
        """Why trials failed or do not start, by name."""
        with self._connection.understood():
            return patiently(lambda: explain_trials(self._connection, trials, self._container), self._patience)

    def hindrance(self, experiment: Experiment) -> str:
        """What keeps the suggestion service, which proposes trials, from starting."""
        with self._connection.understood():
            return patiently(lambda: explain_experiment(self._connection, experiment.name), self._patience)

    def retain(self, experiment: Experiment) -> None:
        """Keep an Experiment that has ended: a pipeline's run, which owned it, is deleted an hour after its own end."""
        if self._owner is not None:
            with contextlib.suppress(NotFoundError):
                change = {"metadata": {"ownerReferences": None}}
                patiently(lambda: self._connection.patch_experiment(experiment.name, change), self._patience)

    def remove(self, experiment: Experiment) -> None:
        """Delete an Experiment; its trials, jobs and pods follow."""
        with contextlib.suppress(NotFoundError):
            patiently(lambda: self._connection.delete_experiment(experiment.name), self._patience)

    def interrupted(self, experiment: Experiment) -> None:
        """End an Experiment that a cancelled pipeline would leave behind.

        Where this process runs in a pod that is not itself being deleted, its run was cancelled. Elsewhere, and where
        the pod is only moved, the Experiment goes on and is taken up again.
        """
        with self._connection.understood():
            pod = own_pod(self._connection)
            if pod is not None and "deletionTimestamp" not in pod["metadata"]:
                self.remove(experiment)


def _trials(document: Object) -> int:
    """How many trials an Experiment has, as its status says."""
    return int((document.get("status") or {}).get("trials", 0))
