"""Katib's part, played: Experiments become Trials, Trials become Jobs, and what those print becomes a status.

It talks to any API server through the `kubernetes` client, so the same double drives real Jobs on a real cluster.
The algorithms are CTLR's own, asked as its suggestion service is. When an Experiment ends, and goes on again, was held
against Katib 0.19's source (experiment_controller.go, status_util.go); tests/e2e/test_katib_cluster.py, which runs with
this double where there is no Katib, ran with Katib 0.19.0 to the same results on 27 November 2026, and on the 28th what
it has of Experiments that grow: a trial without metrics is not among those that are over when others are begun, so that
there may be more than `maxTrialCount`, of which some go on after the Experiment's end; a count that is not above theirs
is refused (`refusal`); and no space is ever exhausted. Left out: the suggestion services, the other rules of the
webhooks, the sidecar that collects metrics (their place is taken by the log of the trial's container), early stopping.
"""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from kubernetes import client
from urllib3.exceptions import HTTPError

from ctlr.specs import Experiment, Trial, TrialReport
from ctlr.tuning.engine import MAX_TRIALS, Completion, status_document
from ctlr.tuning.engine.ending import Verdict, completed
from ctlr.tuning.launchers import MetricsReader, Tally, metric_names
from ctlr.tuning.manifest import parse_experiment, rendered_spec
from ctlr.tuning.service import NUMBER
from ctlr.tuning.service.server import suggest

__all__ = ["KatibDouble", "refusal"]

Object = dict[str, Any]

KATIB = ("kubeflow.org", "v1beta1")
_ENDED = {"Complete": "Succeeded", "Failed": "Failed"}
_NO_METRICS = "MetricsUnavailable"


def refusal(plural: str, before: Object | None, after: Object) -> str:
    """Why Katib's webhook refuses an Experiment for its counts; empty where it does not."""
    if plural != "experiments" or (before is not None and before["spec"] == after["spec"]):
        return ""
    most, parallel = after["spec"].get("maxTrialCount"), after["spec"].get("parallelTrialCount", 1)
    if most is None:
        return ""
    had = ((before or {}).get("status") or {}).get("trials", 0)
    if parallel > most:
        fault = f"parallelTrialCount: Invalid value: {parallel}: should be less than or equal to spec.maxTrialCount"
    elif before is not None and most <= had:
        fault = f"maxTrialCount: Invalid value: {most}: must be greater than status.trials count"
    else:
        return ""
    return f'admission webhook "validator.experiment.katib.kubeflow.org" denied the request: spec.{fault}'


class KatibDouble:
    """Katib's controllers in a thread, for one namespace; a context.

    Args:
        api: `kubernetes.client.ApiClient`.
        namespace: Where Experiments are looked for.
        period: Seconds between looks.
    """

    def __init__(self, api: client.ApiClient, namespace: str, *, period: float = 0.02) -> None:
        self._custom, self._batch = client.CustomObjectsApi(api), client.BatchV1Api(api)
        self._core = client.CoreV1Api(api)
        self._namespace, self._period = namespace, period
        self._runs: dict[str, _Run] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _work(self) -> None:
        while not self._over.wait(self._period):
            try:
                for each in self._list("experiments"):
                    self._reconcile(each)
            except HTTPError:  # the server restarts
                continue
            except client.ApiException as error:
                if error.status not in (404, 409, 429, 500, 503):  # objects go while they are handled
                    self.failure = error
                    return
            except (ValueError, KeyError, AssertionError) as error:
                self.failure = error
                return

    def _reconcile(self, document: Object) -> None:
        uid = document["metadata"]["uid"]
        if "deletionTimestamp" in document["metadata"]:
            return
        run = self._runs.setdefault(uid, _Run(document))
        run.restart(document)
        if run.completion is not None and all(trial.ended for trial in run.trials):
            return
        trials = self._list("trials", f"katib.kubeflow.org/experiment={run.experiment.name}")
        for each in trials:
            if each["metadata"]["name"] in run.numbers:
                self._advance(run, each)
        if run.completion is None and (verdict := run.verdict()) is None:
            for trial in run.proposed():
                self._create_trial(run, trial, uid)
            verdict = run.verdict()
        run.completion = run.completion or verdict
        status = run.status()
        if status != run.shown:
            stale = dict.fromkeys(run.shown.keys() - status.keys())  # a merge patch removes what is null
            self._custom.patch_namespaced_custom_object_status(
                *KATIB, self._namespace, "experiments", run.experiment.name, {"status": status | stale}
            )
            run.shown = status

    def _create_trial(self, run: "_Run", trial: Trial, uid: str) -> None:
        labels = {"katib.kubeflow.org/experiment": run.experiment.name, NUMBER: str(trial.number)}
        owners = [_owner("Experiment", run.experiment.name, uid)]
        body = {
            "apiVersion": "/".join(KATIB), "kind": "Trial",
            "metadata": {"name": trial.name, "labels": labels, "ownerReferences": owners},
            "spec": {"parameterAssignments": [{"name": k, "value": v} for k, v in trial.assignments.items()]},
        }  # fmt: skip
        made = self._custom.create_namespaced_custom_object(*KATIB, self._namespace, "trials", body)
        self._create_job(run, trial, made["metadata"]["uid"])

    def _create_job(self, run: "_Run", trial: Trial, uid: str) -> None:
        job = rendered_spec(run.experiment, trial)
        job["metadata"]["namespace"] = self._namespace
        job["metadata"]["ownerReferences"] = [_owner("Trial", trial.name, uid)]
        pod = job["spec"]["template"].setdefault("metadata", {})
        pod["labels"] = {  # Katib's webhook puts these on the pod
            **(pod.get("labels") or {}), "katib.kubeflow.org/trial": trial.name,
            "katib.kubeflow.org/experiment": run.experiment.name,
        }  # fmt: skip
        self._batch.create_namespaced_job(self._namespace, job, _preload_content=False)

    def _advance(self, run: "_Run", document: Object) -> None:
        """Take over what has become of a trial's Job."""
        name = document["metadata"]["name"]
        trial = run.trials[run.numbers[name]]
        if trial.ended:
            return
        try:
            job = _plain(self._batch.read_namespaced_job(name, self._namespace, _preload_content=False))
        except client.ApiException as error:
            if error.status != 404:
                raise
            self._create_job(run, trial, document["metadata"]["uid"])
            return
        status = job.get("status") or {}
        conditions = {each["type"]: each for each in status.get("conditions") or () if each["status"] == "True"}
        ended = next((kind for kind in _ENDED if kind in conditions), None)
        if ended is None:
            if trial.status == "Created":
                run.trials[trial.number] = trial.model_copy(update={"status": "Running"})
                self._patch_trial(name, _condition("Running", "Trial is running"))
            return
        reports = self._reports(run.experiment, name)
        run.end(trial, _ENDED[ended], reports, f"Trial has failed. Job message: {conditions[ended].get('message')}")
        began = (document.get("status") or {}).get("startTime") or status.get("startTime") or _time()  # it is set once
        self._patch_trial(name, run.trial_status(trial.number) | {"startTime": began})

    def _reports(self, experiment: Experiment, job: str) -> list[dict[str, float]]:
        """What the pod of a Job printed."""
        reader = MetricsReader(experiment.collector, metric_names(experiment))
        container = experiment.manifest["spec"]["trialTemplate"]["primaryContainerName"]
        found = []
        selector = f"katib.kubeflow.org/trial={job}"
        pods = self._core.list_namespaced_pod(self._namespace, label_selector=selector, _preload_content=False)
        for pod in _plain(pods)["items"]:
            if pod["status"]["phase"] != "Succeeded":
                continue
            log = self._core.read_namespaced_pod_log(
                pod["metadata"]["name"], self._namespace, container=container, _preload_content=False
            ).data
            found += [*reader.feed(log), *reader.finish()]
        return found

    def _patch_trial(self, name: str, status: Mapping[str, Any]) -> None:
        self._custom.patch_namespaced_custom_object_status(*KATIB, self._namespace, "trials", name, {"status": status})

    def _list(self, plural: str, selector: str = "") -> list[Object]:
        found = self._custom.list_namespaced_custom_object(*KATIB, self._namespace, plural, label_selector=selector)
        return list(found["items"])


class _Run:
    """One Experiment as the double knows it."""

    def __init__(self, document: Object) -> None:
        manifest = {key: document[key] for key in ("apiVersion", "kind", "metadata", "spec")}
        self.experiment = parse_experiment(manifest)
        self.started = datetime.now(UTC)
        self.trials: list[Trial] = []
        self.numbers: dict[str, int] = {}
        self.completion: Completion | None = None
        self.shown: Object = {}

    def restart(self, document: Object) -> None:
        """Go on where the Experiment had all its trials, may be resumed and may have more."""
        spec = document["spec"]
        more = spec.get("maxTrialCount", 0) > len(self.trials) and spec.get("resumePolicy", "Never") != "Never"
        if self.completion is not None and self.completion.reason == MAX_TRIALS and more:
            manifest = {key: document[key] for key in ("apiVersion", "kind", "metadata", "spec")}
            self.experiment, self.completion = parse_experiment(manifest), None

    def proposed(self) -> list[Trial]:
        """Trials to start now: as many as may run at once and are still wanted."""
        active = sum(not trial.ended for trial in self.trials)
        counted = sum(trial.ended and trial.reason != _NO_METRICS for trial in self.trials)
        wanted = (self.experiment.max_trials or 10**9) - counted
        count = min(self.experiment.parallel, wanted) - active
        made = []
        for proposal in suggest(self.experiment, self.trials, count) if count > 0 else ():
            number = len(self.trials)
            name = f"{self.experiment.name}-{number:04x}trial"
            trial = Trial(number=number, name=name, assignments=proposal.assignments, labels=proposal.labels)
            self.trials.append(trial)
            self.numbers[name] = number
            made.append(trial)
        return made

    def end(self, trial: Trial, status: Any, reports: list[dict[str, float]], message: str) -> None:
        """Note what came of a trial."""
        tally = Tally(self.experiment.objective.strategies)
        for metrics in reports:
            tally.add(metrics)
        value = tally.metrics().get(self.experiment.objective.metric)
        failed = status == "Failed" or value is None
        self.trials[trial.number] = trial.model_copy(
            update={
                "status": "Failed" if failed else "Succeeded",
                "reports": tuple(TrialReport(step=n + 1, metrics=each, seconds=0.0) for n, each in enumerate(reports)),
                "metrics": tally.metrics(), "value": None if failed else value,
                "reason": (message if status == "Failed" else _NO_METRICS) if failed else "",
            }
        )  # fmt: skip

    def trial_status(self, number: int) -> Object:
        """The status of a Trial that has ended."""
        trial = self.trials[number]
        kind = _NO_METRICS if trial.reason == _NO_METRICS else trial.status
        metrics = []
        for name in metric_names(self.experiment):
            values = [report.metrics[name] for report in trial.reports if name in report.metrics]
            if values:
                found = {"latest": values[-1], "min": min(values), "max": max(values)}
                metrics.append({"name": name, **{key: repr(value) for key, value in found.items()}})
        return _condition(kind, trial.reason or "Trial has succeeded") | {
            "observation": {"metrics": metrics}, "completionTime": _time(),
        }  # fmt: skip

    def verdict(self) -> Completion | None:
        """The end, if it has come."""
        verdict = Verdict(self.experiment, goal=None, max_trials=None)
        for trial in self.trials:
            if trial.ended:
                verdict.count(trial)
        if verdict.completion is not None:
            return verdict.completion
        if sum(trial.ended for trial in self.trials) >= (self.experiment.max_trials or 10**9):
            end = verdict.out_of_trials(exhausted=False)
            # Katib asks for no value.
            return end if end.succeeded else completed(MAX_TRIALS, "Experiment has succeeded")
        return None

    def status(self) -> Object:
        """Of the Experiment."""
        shown = status_document(self.experiment, self.trials, started=self.started, completion=self.completion)
        status: Object = shown["status"]
        status.pop("lastReconcileTime")
        return status


def _plain(response: Any) -> Object:
    """An answer as plain data: the client's models refuse what an older server leaves out."""
    found: Object = json.loads(response.data)
    return found


def _condition(kind: str, message: str) -> Object:
    condition = {"type": kind, "status": "True", "reason": f"Trial{kind}", "message": message}
    created = {"type": "Created", "status": "True", "reason": "TrialCreated", "message": "Trial is created"}
    return {"conditions": [created, condition]} | ({"startTime": _time()} if kind == "Running" else {})


def _owner(kind: str, name: str, uid: str) -> Object:
    owner = {"apiVersion": "/".join(KATIB), "kind": kind, "name": name, "uid": uid}
    return owner | {"controller": True, "blockOwnerDeletion": True}


def _time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
