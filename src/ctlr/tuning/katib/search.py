"""Katib as the engine of searches: Experiments are created or taken up, watched, and deleted."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from ctlr.errors import ClusterError, ConfigError
from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.tuning.katib.connection import (
    ConflictError,
    Connection,
    GoneError,
    NotFoundError,
    UnreachableError,
    connect,
    pod_namespace,
)
from ctlr.tuning.katib.faults import explain_trials
from ctlr.tuning.katib.objects import (
    COUNTS,
    FINGERPRINT,
    Owner,
    Roll,
    completion_of,
    content_fingerprint,
    experiment_document,
    started_of,
)
from ctlr.tuning.remote import Fault, Policy, RemoteOutcome, State, run_remotely

__all__ = ["KatibSearch", "run_on_katib", "submit_to_katib"]

WATCH_SECONDS = 15
"""Of one watch; then the Experiment is read anew, so that nothing can be missed for longer."""
PATIENCE_SECONDS = 300.0
"""Without an answer of the API server, after which following ends."""
_BETWEEN_WATCHES = 0.2
"""Spares a server that ends each watch at once."""
_LONGEST_PAUSE = 15.0
_LEAVING_SECONDS = 120.0

Object = dict[str, Any]
T = TypeVar("T")


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
        self._owner = self._own_pods_owner()
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
        change = self._change(experiment, existing)
        if change:
            change.setdefault("metadata", {})["resourceVersion"] = metadata["resourceVersion"]
            self._connection.patch_experiment(experiment.name, change)

    def _change(self, experiment: Experiment, existing: Object) -> Object:
        """What taking an Experiment up changes of it: the counts of one that can go on, and whose end ends it."""
        change: Object = {}
        spec = existing["spec"]
        wanted = {key: experiment.manifest["spec"][key] for key in COUNTS if key in experiment.manifest["spec"]}
        differing = {key: value for key, value in wanted.items() if spec.get(key) != value}
        if differing and (completion_of(existing) is None or spec.get("resumePolicy", "Never") != "Never"):
            change["spec"] = differing
        owners = existing["metadata"].get("ownerReferences") or []
        # An Experiment ends with the last of its owners; one that nobody owns was meant to stay.
        if self._owner is not None and owners and self._owner.uid not in [each["uid"] for each in owners]:
            change["metadata"] = {"ownerReferences": [*owners, self._owner.reference()]}
        return change

    def _own_pods_owner(self) -> Owner | None:
        """What controls the pod that this process runs in (a pipeline's run, a Job), else the pod; None outside.

        A pod that is moved from a node that is drained then leaves the Experiment to its successor.
        """
        pod = self._own_pod()
        if pod is None:
            return None
        metadata = pod["metadata"]
        for each in metadata.get("ownerReferences") or ():
            if each.get("controller"):
                return Owner(each["apiVersion"], each["kind"], each["name"], each["uid"])
        return Owner("v1", "Pod", metadata["name"], metadata["uid"])

    def _own_pod(self) -> Object | None:
        name = os.environ.get("CTLR_POD_NAME") or os.environ.get("KFP_POD_NAME")
        if not name or pod_namespace() != self._connection.namespace:
            return None
        return self._connection.pod(name)

    def states(self, experiment: Experiment) -> Iterator[State]:
        """The Experiment now, and again at every change and every few seconds, until its end, which is the last.

        Watches from the version that was read last; reads anew when the server keeps that version no more (410), when
        the stream breaks off, or when the server was away, with growing pauses.

        Raises:
            ClusterError: It was deleted, or the API server stays away longer than patience allows.
        """
        roll = Roll(experiment)
        pauses = _Pauses(self._patience)
        while True:
            try:
                for document in self._documents(experiment.name):
                    state = self._state(roll, document)
                    pauses.reset()
                    yield state
                    if state.completion is not None:
                        return
            except GoneError:
                pass
            except UnreachableError as error:
                pauses.sleep(error)
            time.sleep(_BETWEEN_WATCHES)

    def _documents(self, name: str) -> Iterator[Object]:
        """The Experiment as it is, and as it changes during one watch."""
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
        ours = [each for each in trials if _belongs(each, self._uid)]
        document["metadata"].pop("managedFields", None)
        return State(
            trials=roll.read(ours, started, over=completion is not None),
            started=started,
            completion=completion,
            document=document,
        )

    def explain(self, trials: Sequence[Trial]) -> Mapping[str, Fault]:
        """Why trials failed or do not start, by name."""
        return self._patiently(lambda: explain_trials(self._connection, trials, self._container))

    def remove(self, experiment: Experiment) -> None:
        """Delete an Experiment; its trials, jobs and pods follow."""
        with contextlib.suppress(NotFoundError):
            self._patiently(lambda: self._connection.delete_experiment(experiment.name))

    def _patiently(self, call: Callable[[], T]) -> T:
        """What a call answers, once the API server does."""
        pauses = _Pauses(self._patience)
        while True:
            try:
                return call()
            except UnreachableError as error:
                pauses.sleep(error)

    def interrupted(self, experiment: Experiment) -> None:
        """End an Experiment that a cancelled pipeline would leave behind.

        Where this process runs in a pod that is not itself being deleted, its run was cancelled. Elsewhere, and where
        the pod is only moved, the Experiment goes on and is taken up again.
        """
        pod = self._own_pod()
        if pod is not None and "deletionTimestamp" not in pod["metadata"]:
            self.remove(experiment)


def _belongs(trial: Object, uid: str) -> bool:
    """Whether a trial is of this Experiment, and not of one of its name that was deleted before."""
    owners = trial["metadata"].get("ownerReferences") or ()
    return not owners or any(each["uid"] == uid for each in owners)


class _Pauses:
    """Pauses that grow while a server is away.

    Args:
        patience: Seconds after which it is an error.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """The server has answered."""
        self._pause, self._since = 0.25, time.monotonic()

    def sleep(self, error: UnreachableError) -> None:
        """Pause before the next attempt.

        Raises:
            ClusterError: There were enough of them.
        """
        away = time.monotonic() - self._since
        if away + self._pause > self._patience:
            raise ClusterError(f"{error} It was tried again for {away:.0f} s.") from error
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _nothing(trial: Trial, report: TrialReport | None) -> None:
    """Tell nobody."""


def _mute(message: str) -> None:
    """Tell nobody."""


def run_on_katib(
    experiment: Experiment,
    *,
    namespace: str | None = None,
    context: str | None = None,
    connection: Connection | None = None,
    policy: Policy = "keep",
    timeout: float | None = None,
    on_event: Callable[[Trial, TrialReport | None], None] = _nothing,
    on_notice: Callable[[str], None] = _mute,
) -> RemoteOutcome:
    """Run an experiment on a cluster with Katib, and wait for its end.

    An Experiment of the same name and content that is there is followed, or its result returned where it has ended.

    Args:
        experiment: As `read_experiment` returns it.
        namespace: Of the Experiment; None: the manifest's, the pod's or the context's, else `default`.
        context: Of the kubeconfig; None: the pod's service account, or the current one.
        connection: In place of both.
        policy: `delete` removes the Experiment once it has ended, well or not.
        timeout: Seconds after which to give up waiting; the Experiment goes on.
        on_event: Told each trial when it appears and when it has ended, in this thread.
        on_notice: Told in a line what keeps trials from starting (no node with a GPU, no image, the quota), once each.

    Returns:
        What a run on this machine returns, and the Experiment with its status.

    Raises:
        ConfigError: Another Experiment has its name.
        ClusterError: The cluster cannot be reached or refuses, the Experiment was deleted, or the time is over.
        MissingExtraError: The `cluster` extra is not installed.
    """
    connection = connection or connect(context=context, namespace=namespace or experiment.namespace or None)
    seconds = WATCH_SECONDS if timeout is None else min(WATCH_SECONDS, max(math.ceil(timeout), 1))
    backend = KatibSearch(connection, watch_seconds=seconds)
    with _cancellable():
        return run_remotely(experiment, backend, policy=policy, timeout=timeout, on_event=on_event, on_notice=on_notice)


@contextlib.contextmanager
def _cancellable() -> Iterator[None]:
    """Take SIGTERM, which a cancelled pipeline sends to its pods, for an interrupt while an Experiment is followed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def submit_to_katib(
    experiment: Experiment, *, namespace: str | None = None, context: str | None = None
) -> tuple[bool, str]:
    """Create an Experiment and wait for nothing; whether it was there already, and where it is.

    Raises:
        ConfigError, ClusterError, MissingExtraError: As `run_on_katib`.
    """
    backend = KatibSearch(connect(context=context, namespace=namespace or experiment.namespace or None))
    return backend.start(experiment), backend.place
