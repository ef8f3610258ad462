"""Experiments on a cluster: created or taken up, followed through faults, explained; against a small API server.

The server is a double (tests/support/kube_api.py), and so is Katib; the `kubernetes` client and HTTP between them and
CTLR are real. A real API server is used in tests/e2e/test_katib_cluster.py.
"""

import copy
import functools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import plain_manifest
import pytest
from katib_lab import SPACE, Lab, by_the_book, laboratory, manifest
from kube_api import KubeApi, Node, Object, serving
from kubernetes import client
from terminal import until

from ctlr.errors import ClusterError, ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine import Fault, Pace, RemoteOutcome, State, run_experiment, run_remotely
from ctlr.tuning.engine.remote import _Follower
from ctlr.tuning.katib import (
    RIGHTS,
    Connection,
    KatibSearch,
    completion_of,
    connect,
    run_on_katib,
    submit_to_katib,
)
from ctlr.tuning.katib import connection as connecting
from ctlr.tuning.katib.objects import Roll, experiment_document
from ctlr.tuning.launchers import FunctionLauncher
from ctlr.tuning.manifest import parse_experiment


def experiment(**changes: Any) -> Experiment:
    return parse_experiment(manifest(**changes))


run = functools.partial(run_on_katib, timeout=60)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A namespace where Katib works and every trial ends well, until a test has it otherwise."""
    monkeypatch.setattr("ctlr.tuning.katib.search._BETWEEN_WATCHES", 0.01)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with laboratory(tmp_path) as lab:
        yield lab


# ---------------------------------------------------------------- the whole way


def test_the_outcome_is_the_one_that_this_machine_brings(lab: Lab, tmp_path: Path) -> None:
    search = experiment()
    here = run_experiment(search, tmp_path / "here", FunctionLauncher(lambda values: float(values["x"]), "loss"))
    there = run(search)
    assert (there.succeeded, there.reason, there.message) == (here.succeeded, here.reason, here.message)
    assert there.seed == here.seed
    assert [trial.assignments for trial in there.trials] == [trial.assignments for trial in here.trials]
    assert [(trial.number, trial.status, trial.value) for trial in there.trials] == [
        (trial.number, trial.status, trial.value) for trial in here.trials
    ]
    assert there.optimum is not None
    assert here.optimum is not None
    assert there.optimum.value == here.optimum.value


def test_the_outcome_holds_the_object_of_the_cluster(lab: Lab) -> None:
    outcome = run(experiment())
    assert outcome.optimum is not None
    assert outcome.document["status"]["currentOptimalTrial"]["bestTrialName"] == outcome.optimum.name
    assert outcome.document["metadata"]["namespace"] == SPACE
    assert outcome.place == f"namespace {SPACE} of {lab.served.address}"


def test_each_trial_is_told_when_it_appears_and_when_it_ends(lab: Lab) -> None:
    told: list[tuple[str, bool]] = []
    outcome = run(experiment(), on_event=lambda trial, report: told.append((trial.name, trial.ended)))
    assert [name for name, ended in told if ended] == [trial.name for trial in outcome.trials]
    assert len(set(told)) == len(told)


def test_what_is_created_is_the_manifest_with_its_fingerprint(lab: Lab) -> None:
    run(experiment())
    made = lab.experiments["square"]
    assert made["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "ctlr"
    assert len(made["metadata"]["labels"]["ctlr.dev/fingerprint"]) == 24
    # Katib would delete the pods of failed trials, and their reasons with them.
    assert made["spec"]["trialTemplate"].pop("retain") is True
    assert made["spec"] == manifest()["spec"]
    assert "ownerReferences" not in made["metadata"]


def test_a_template_in_a_config_map_is_created_as_it_stands(tmp_path: Path) -> None:
    read = plain_manifest.read(tmp_path, plain_manifest.FROM_CONFIG_MAP)
    made = experiment_document(read, namespace=SPACE, owner=None)["spec"]["trialTemplate"]
    place = {"configMapName": "trial-templates", "configMapNamespace": "kubeflow", "templatePath": "trial.yaml"}
    assert (made["configMap"], made["retain"], "trialSpec" in made) == (place, True, False)


@pytest.mark.parametrize("policy", ["keep", "delete"])
def test_what_has_ended_is_kept_or_deleted_with_all_that_belongs_to_it(lab: Lab, policy: Any) -> None:
    outcome = run(experiment(), policy=policy)
    assert outcome.succeeded
    left = [len(lab.api.objects[kind, SPACE]) for kind in ("experiments", "trials", "jobs", "pods")]
    assert left == ([1, 4, 4, 4] if policy == "keep" else [0, 0, 0, 0])


def test_no_more_is_asked_than_the_rights_say(lab: Lab) -> None:
    lab.play(lambda node, job: node.fail(job, "oh\n"))
    run(experiment(), policy="delete")
    run(experiment(parallelTrialCount=1))
    run(experiment(parallelTrialCount=2))
    allowed = {f"{verb} {right.resource}" for right in RIGHTS for verb in right.verbs}
    assert set(lab.api.requests) <= allowed


# ---------------------------------------------------------------- taken up


def test_an_experiment_that_has_ended_is_returned_at_once(lab: Lab) -> None:
    notices: list[str] = []
    first = run(experiment())
    created = lab.api.requests.count("create experiments")
    again = run(experiment(), on_notice=notices.append)
    assert again.trials == first.trials
    assert lab.api.requests.count("create experiments") == created == 1
    assert "is there already with the same content" in notices[0]


def test_an_experiment_under_way_is_followed_by_another_process(lab: Lab) -> None:
    lab.play(lambda node, job: None)
    assert submit_to_katib(experiment())[0] is False
    until(lambda: len(lab.api.objects.get(("jobs", SPACE), {})) == 2)
    for job in list(lab.api.objects["jobs", SPACE].values()):
        by_the_book(Node(lab.api, by_the_book), job)
    outcome = run(experiment())
    assert outcome.succeeded
    assert len(outcome.trials) == 4
    assert submit_to_katib(experiment())[0] is True


def test_another_experiment_of_the_name_is_refused_with_both_fingerprints(lab: Lab) -> None:
    run(experiment())
    there = lab.experiments["square"]["metadata"]["labels"]["ctlr.dev/fingerprint"]
    other = experiment(objective={"type": "maximize", "objectiveMetricName": "loss"})
    with pytest.raises(ConfigError, match=rf"square.*{there}.*this one's is [0-9a-f]{{24}}.*kubectl delete experiment"):
        run(other)


def test_an_experiment_that_others_created_is_refused(lab: Lab) -> None:
    lab.api.put("experiments", SPACE, manifest())
    with pytest.raises(ConfigError, match="not created by ctlr"):
        run(experiment())


def test_counts_may_be_raised_where_the_manifest_lets_it_go_on(lab: Lab) -> None:
    lab.play(lambda node, job: None)
    submit_to_katib(experiment())
    submit_to_katib(experiment(maxTrialCount=9))
    assert lab.experiments["square"]["spec"]["maxTrialCount"] == 9


def test_an_ended_experiment_that_never_resumes_keeps_its_counts(lab: Lab) -> None:
    run(experiment())
    assert len(run(experiment(maxTrialCount=9)).trials) == 4
    assert lab.experiments["square"]["spec"]["maxTrialCount"] == 4


def test_one_that_is_being_deleted_is_waited_for(lab: Lab) -> None:
    leaving = manifest()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    lab.api.put("experiments", SPACE, leaving)
    threading.Timer(0.3, lambda: lab.api.remove("experiments", SPACE, "square")).start()
    assert run(experiment()).succeeded


def test_a_manifest_for_another_namespace_is_refused(lab: Lab) -> None:
    search = experiment().model_copy(update={"namespace": "elsewhere"})
    with pytest.raises(ConfigError, match="metadata.namespace: elsewhere, and it is to run in lab"):
        run(search, connection=connect())


# ---------------------------------------------------------------- in a pod


@pytest.fixture
def in_a_pod(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """This process runs in the pod `task`, which a Workflow controls."""
    account = lab.folder / "namespace"
    account.write_text(SPACE)
    monkeypatch.setattr(connecting, "_ACCOUNT", account)
    monkeypatch.setenv("KFP_POD_NAME", "task")
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "name": "run-1",
        "uid": "w1",
        "controller": True,
    }
    lab.api.put("pods", SPACE, {"metadata": {"name": "task", "uid": "p1", "ownerReferences": [workflow]}})
    return lab


def of(lab: Lab) -> Connection:
    """A connection as a pod has it."""
    settings = client.Configuration(host=lab.served.address)
    settings.retries = False
    return Connection(client.ApiClient(settings), SPACE)


def created(lab: Lab) -> list[dict[str, Any]]:
    """Owners of the Experiment when it was created."""
    first = next(document for _, key, _, document in lab.api.history if key == ("experiments", SPACE))
    owners: list[dict[str, Any]] = first["metadata"]["ownerReferences"]
    return owners


def test_the_run_that_the_pod_belongs_to_owns_the_experiment_until_it_has_ended(in_a_pod: Lab) -> None:
    run(experiment(), connection=of(in_a_pod))
    (owner,) = created(in_a_pod)
    assert not in_a_pod.experiments["square"]["metadata"].get("ownerReferences")
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Workflow", "run-1", "w1")


def test_a_pod_that_nothing_controls_owns_the_experiment_itself(in_a_pod: Lab) -> None:
    in_a_pod.api.objects["pods", SPACE]["task"]["metadata"]["ownerReferences"] = []
    run(experiment(), connection=of(in_a_pod))
    (owner,) = created(in_a_pod)
    assert (owner["kind"], owner["name"]) == ("Pod", "task")


def test_a_second_run_that_takes_it_up_owns_it_too(in_a_pod: Lab) -> None:
    run(experiment(), connection=of(in_a_pod))
    in_a_pod.experiments["square"]["metadata"]["ownerReferences"] = created(in_a_pod)  # as long as it has not ended
    in_a_pod.api.objects["pods", SPACE]["task"]["metadata"]["ownerReferences"][0]["uid"] = "w2"
    run(experiment(), connection=of(in_a_pod))
    changes = [doc for _, key, _, doc in in_a_pod.api.history if key == ("experiments", SPACE)]
    owners = [[owner["uid"] for owner in doc["metadata"].get("ownerReferences") or ()] for doc in changes]
    assert ["w1", "w2"] in owners


@pytest.mark.parametrize("moved", [False, True])
def test_a_cancelled_run_ends_its_experiment_and_one_that_is_moved_leaves_it(in_a_pod: Lab, moved: bool) -> None:
    in_a_pod.play(lambda node, job: node.run(job))
    if moved:
        in_a_pod.api.objects["pods", SPACE]["task"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    def terminate(trial: Trial, report: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run(experiment(), connection=of(in_a_pod), on_event=terminate)
    assert ("square" in in_a_pod.experiments) is moved


# ---------------------------------------------------------------- a server with faults


def follow(lab: Lab, fault: Callable[[], None], *, patience: float = 20.0) -> RemoteOutcome:
    """Follow a search through a fault that comes when its first trial has ended."""
    done = False

    def on_event(trial: Trial, report: object) -> None:
        nonlocal done
        if trial.ended and not done:
            done = True
            fault()

    backend = KatibSearch(connect(), patience=patience, watch_seconds=2)
    return run_remotely(experiment(), backend, on_event=on_event, timeout=60)


def test_a_stream_that_breaks_off_is_taken_up_again(lab: Lab) -> None:
    assert len(follow(lab, lab.api.drop_watches).trials) == 4


def test_a_version_that_the_server_keeps_no_more_is_read_anew(lab: Lab) -> None:
    gone = threading.Event()

    def forget(since: int) -> None:
        if not gone.is_set():  # between the reading and its watch
            gone.set()
            lab.api.oldest = since + 1

    lab.api.on_watch = forget
    assert len(run(experiment()).trials) == 4
    assert gone.is_set()


def test_a_server_that_restarts_is_waited_for(lab: Lab) -> None:
    def restart() -> None:
        lab.served.stop()
        threading.Timer(0.8, lab.served.start).start()

    assert len(follow(lab, restart).trials) == 4


def test_a_server_that_is_still_starting_is_waited_for(lab: Lab) -> None:
    def overload() -> None:
        lab.api.broken = 4

    assert len(follow(lab, overload).trials) == 4


def test_a_server_that_stays_away_is_an_error_with_its_address(lab: Lab) -> None:
    with pytest.raises(
        ClusterError, match=rf"{lab.served.address} does not answer.*It was tried again for 0 s"
    ) as error:
        follow(lab, lab.served.stop, patience=0.6)
    assert error.value.exit_code == 4
    lab.served.start()


def test_a_server_that_is_not_there_is_an_error_at_once_with_what_to_type(lab: Lab) -> None:
    lab.served.stop()
    with pytest.raises(ClusterError, match=r"refused.*kubectl get --raw /readyz.*--context.*ssh -N -L 6443"):
        run(experiment())
    lab.served.start()


def test_a_deleted_experiment_ends_with_that_message(lab: Lab) -> None:
    lab.play(lambda node, job: node.run(job))
    threading.Timer(0.3, lambda: lab.api.remove("experiments", SPACE, "square")).start()
    with pytest.raises(ClusterError, match="square in namespace lab of .* was deleted while it ran"):
        run(experiment())


def test_one_that_was_deleted_and_created_anew_is_not_mistaken_for_it(lab: Lab) -> None:
    lab.play(lambda node, job: node.run(job))

    def replace() -> None:
        document = dict(lab.experiments["square"])
        lab.api.oldest = lab.api.version + 3  # the watch misses it
        lab.api.remove("experiments", SPACE, "square")
        document["metadata"] = {"name": "square", "labels": document["metadata"]["labels"]}
        lab.api.put("experiments", SPACE, document)
        lab.api.drop_watches()

    threading.Timer(0.3, replace).start()
    with pytest.raises(ClusterError, match="was deleted while it ran"):
        run(experiment())


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("create", "experiments"), ("get", "experiments"), ("watch", "experiments"), ("list", "trials"),
     ("list", "pods"), ("get", "pods/log"), ("list", "events"), ("delete", "experiments")],
)  # fmt: skip
def test_a_missing_right_is_named(lab: Lab, verb: str, resource: str) -> None:
    lab.api.forbidden.add((verb, resource))
    lab.play(lambda node, job: node.fail(job, "oh\n"))
    plain = resource.replace("/", r"\/")
    with pytest.raises(
        ClusterError, match=rf"ada may not {verb} {plain}.* Add the verb '{verb}' for '{plain}'.*auth can-i"
    ):
        run(experiment(), policy="delete")


def test_a_cluster_without_katib_is_named(lab: Lab) -> None:
    lab.api.installed -= {"experiments"}
    with pytest.raises(ClusterError, match="knows no Katib"):
        run(experiment())


def test_no_kubeconfig_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="Set KUBECONFIG"):
        connect()


def test_an_unknown_context_is_an_error_with_a_remedy(lab: Lab) -> None:
    with pytest.raises(ClusterError, match="large.*kubectl config get-contexts"):
        connect(context="large")


# ---------------------------------------------------------------- why trials fail, and why they do not start


def failing(lab: Lab, play: Callable[[Node, Object], None], **changes: Any) -> RemoteOutcome:
    lab.play(play)
    return run(experiment(maxFailedTrialCount=0, parallelTrialCount=1, **changes))


def test_a_failed_experiment_says_which_trials_failed_and_why(lab: Lab) -> None:
    outcome = failing(lab, lambda node, job: node.fail(job, "reading\nValueError: lr must be positive\n", exitCode=3))
    assert (outcome.succeeded, outcome.reason) == (False, "ExperimentFailed")
    (trial,) = outcome.trials
    assert trial.reason == "exit code 3: ValueError: lr must be positive"
    assert trial.tail == "reading\nValueError: lr must be positive"
    assert outcome.message.endswith(f"{trial.name}: exit code 3: ValueError: lr must be positive")


CASES: dict[str, tuple[Callable[[Node, Object], None], str]] = {
    "out of memory": (
        lambda node, job: node.fail(job, "epoch=1\n", exitCode=137, reason="OOMKilled"),
        r"^out of memory: container main passed its limit of 64Mi \(OOMKilled\)\. Raise resources\.limits\.memory$",
    ),
    "no metric": (
        lambda node, job: node.succeed(job, "done\n"),
        r"^reported no loss; it is looked for in its output, by lines like loss=0\.5$",
    ),
    "pod gone": (lambda node, job: node.lose(job), r"Job has reached the specified backoff limit; its pod is gone$"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason_of_a_failure_is_the_pods(lab: Lab, case: str) -> None:
    play, reason = CASES[case]
    outcome = failing(lab, play, container={"resources": {"limits": {"memory": "64Mi"}}})
    assert_matches(outcome.trials[0].reason, reason)


STUCK: dict[str, tuple[Callable[[Node, Object], None], str]] = {
    "no GPU": (
        lambda node, job: node.pend(job, "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        r"no node with a free GPU, and the trial asks for nvidia\.com/gpu: 1 \(0/3 nodes .* Insufficient nvidia",
    ),
    "no image": (
        lambda node, job: node.wait(job, "ImagePullBackOff", "Back-off pulling image"),
        r"the image example\.org/square:1 cannot be had \(ImagePullBackOff\).*imagePullSecrets",
    ),
    "no Secret": (
        lambda node, job: node.wait(job, "CreateContainerConfigError", 'secret "s3" not found'),
        r'CreateContainerConfigError: secret "s3" not found',
    ),
    "quota": (
        lambda node, job: node.refuse(job, "pods is forbidden: exceeded quota: small, requested: pods=1"),
        r"quota is used up: pods is forbidden: exceeded quota: small.*Raise the ResourceQuota, or lower parallel",
    ),
    "restricted": (
        lambda node, job: node.refuse(
            job, 'pods "x" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities '
            '(container "metrics-logger-and-collector" must set securityContext.capabilities.drop=["ALL"])',
        ),
        r"refuses the container that Katib adds: .*restricted:latest.* manifests/configure_katib\.py",
    ),
    # Both messages as the node and Katib 0.19 wrote them on 27 November 2026.
    "no claim": (
        lambda node, job: node.pend(
            job, '0/1 nodes are available: 1 persistentvolumeclaim "ctlr-workspace" not found.'
        ),
        r"the claim ctlr-workspace is not in its namespace \(0/1 nodes.*manifests/base` makes ctlr-workspace",
    ),
    "no kind": (
        lambda node, job: node.refuse(
            job, 'Failed to reconcile: no matches for kind "PyTorchJob" in version "kubeflow.org/v1"'
        ),
        r"does not know the kind of the trial's job: .*Install what brings PyTorchJob, or write a Job of batch/v1",
    ),
    "priority": (
        lambda node, job: node.refuse(job, 'pods "x" is forbidden: no PriorityClass with name low was found'),
        r"priority class is missing: .* name low was found.*manifests/base` makes ctlr-trial.*platform\.priority_class",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STUCK)
def test_a_trial_that_does_not_start_is_told_and_named_when_the_time_is_over(lab: Lab, case: str) -> None:
    play, reason = STUCK[case]
    lab.play(play)
    notices: list[str] = []
    search = experiment(parallelTrialCount=2, container={"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    with pytest.raises(ClusterError, match="has not ended within 1 s: 0 of 2 trials have") as error:
        run(search, timeout=1, on_notice=notices.append)
    assert_matches(str(error.value), reason)
    assert len(notices) == 1  # both trials wait for the same
    assert_matches(notices[0], reason)


def test_a_search_whose_suggestion_service_is_refused_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    api = KubeApi()  # Katib's controllers could not start what proposes trials, so there are none
    refused = 'violates PodSecurity "restricted:latest": unrestricted capabilities (container "early-stopping" must set'
    api.warn(SPACE, "ReplicaSet", "square-tpe-5d8f", "FailedCreate", f"Error creating: pods are forbidden: {refused}")
    mended = 'Failed to reconcile: suggestions.kubeflow.org "square" already exists'  # Katib 0.19, now and then
    api.warn(SPACE, "Experiment", "square", "ReconcileError", mended)
    notices: list[str] = []
    with serving(api, tmp_path, namespace=SPACE), pytest.raises(ClusterError) as error:
        run(experiment(), timeout=1, on_notice=notices.append)
    reason = r"square does not start: .* refuses Katib's container for early stopping: .*enforce=baseline"
    assert_matches(str(error.value), reason)
    assert_matches(notices[0], reason)


def test_a_trial_that_merely_runs_is_not_said_to_be_stuck(lab: Lab) -> None:
    lab.play(lambda node, job: node.run(job))
    notices: list[str] = []
    with pytest.raises(ClusterError, match=r"The same command|the same command follows it again"):
        run(experiment(), timeout=1, on_notice=notices.append)
    assert notices == []


def test_a_reason_is_told_once_whatever_the_pods_are_called() -> None:
    told: list[str] = []
    trials = [Trial(number=n, name=f"square-0a1b-000{n}", assignments={}) for n in range(2)]
    faults = {
        each.name: Fault(f'pods "{each.name}-{end}" cannot start') for each, end in zip(trials, "xy", strict=True)
    }
    backend = mock.Mock(explain=lambda active: faults)
    follower = _Follower(experiment(), backend, lambda trial, report: None, told.append)
    state = State(trials=tuple(trials), started=datetime(2026, 11, 26, tzinfo=UTC), completion=None, document={})
    for _ in range(2):
        follower._look_for_stuck(state)
        faults[trials[1].name] = Fault(f'pods "{trials[1].name}-z" cannot start')
    assert told == ['square-0a1b-0000 does not start: pods "square-0a1b-0000-x" cannot start']


def test_the_sidecars_log_is_read_where_katib_moved_the_output_there(lab: Lab) -> None:
    def fail(node: Node, job: Object) -> None:
        containers = job["spec"]["template"]["spec"]["containers"]
        containers.append({"name": "metrics-logger-and-collector", "image": "katib"})
        node.fail(job, "", exitCode=1)
        pod = f"{job['metadata']['name']}-pod"
        lab.api.logs[pod, "metrics-logger-and-collector"] = (
            "I1121 01:02:03.000001      14 main.go:143] epoch=1\nI1121 01:02:04.5      14 main.go:143] MemoryError\n"
        )

    trial = failing(lab, fail).trials[0]
    assert (trial.reason, trial.tail) == ("exit code 1: MemoryError", "epoch=1\nMemoryError")


# As Katib 0.19's collector wrote them on 27 November 2026.
OUTRUN = """\
I1127 00:15:14.768854      13 main.go:400] Trial Name: try-46f2-0000
I1127 00:15:14.769573      13 main.go:143] loss=0.023643249400513433
W1127 00:43:41.983179      14 file-metricscollector.go:92] Metrics will not have timestamp since loss=0.02 doesn't begin
F1127 00:15:14.770866      13 main.go:425] Failed to wait for worker container: unable to find main pid from the list
"""


def test_a_trial_that_ended_before_the_sidecar_looked_says_so_and_shows_its_own_lines_alone(lab: Lab) -> None:
    def end(node: Node, job: Object) -> None:
        job["spec"]["template"]["spec"]["containers"].append({"name": "metrics-logger-and-collector", "image": "katib"})
        node.outrun(job)
        lab.api.logs[f"{job['metadata']['name']}-pod", "metrics-logger-and-collector"] = OUTRUN

    trial = failing(lab, end).trials[0]
    assert trial.reason.startswith("it ended before Katib's collector looked for it, and its metrics are lost. Let the")
    assert trial.tail == "loss=0.023643249400513433"


def test_a_collector_that_fails_beside_a_trial_that_ended_well_is_quoted(lab: Lab) -> None:
    """As where its image had no pgrep, when it was to stop a trial early."""

    def end(node: Node, job: Object) -> None:
        job["spec"]["template"]["spec"]["containers"].append({"name": "metrics-logger-and-collector", "image": "katib"})
        node.outrun(job)
        words = 'Get children proceses for main PID: 7 failed: exec: "pgrep": executable file not found in $PATH'
        log = (
            f"I1127 00:50:29.674146      16 main.go:143] loss=68\nF1127 00:50:29.674872      16 main.go:284] {words}\n"
        )
        lab.api.logs[f"{job['metadata']['name']}-pod", "metrics-logger-and-collector"] = log

    reason = failing(lab, end).trials[0].reason
    assert reason.startswith("Katib's collector failed beside a trial that ended well: Get children proceses")


def test_a_namespace_at_whose_pods_katib_does_not_look_is_named_with_the_label_that_it_lacks(lab: Lab) -> None:
    def end(node: Node, job: Object) -> None:
        labels = job["spec"]["template"]["metadata"]["labels"]
        labels["job-name"] = job["metadata"]["name"]
        del labels["katib.kubeflow.org/trial"]
        node.succeed(job, "loss=1\n")

    trial = failing(lab, end).trials[0]
    assert "Katib collects nothing in the namespace lab" in trial.reason
    assert "label namespace lab katib.kubeflow.org/metrics-collector-injection=enabled" in trial.reason


def test_the_container_that_trains_says_why_though_the_sidecar_sorts_before_it(lab: Lab) -> None:
    def fail(node: Node, job: Object) -> None:
        containers = job["spec"]["template"]["spec"]["containers"]
        containers.append({"name": "metrics-logger-and-collector", "image": "katib"})
        node.fail(job, "", exitCode=7)

    search = manifest(container={"name": "trial"}, maxFailedTrialCount=0, parallelTrialCount=1)
    search["spec"]["trialTemplate"]["primaryContainerName"] = "trial"
    lab.play(fail)
    assert run(parse_experiment(search)).trials[0].reason == "exit code 7"


def test_a_search_without_a_value_has_failed_though_katib_says_that_it_succeeded(lab: Lab) -> None:
    lab.play(lambda node, job: node.succeed(job, "done\n"))
    changed = manifest()
    del changed["spec"]["maxFailedTrialCount"]
    outcome = run(parse_experiment(changed))
    assert outcome.document["status"]["conditions"][-1]["type"] == "Succeeded"
    assert (outcome.succeeded, outcome.reason, len(outcome.trials)) == (False, "ExperimentFailed", 4)
    assert outcome.message.startswith("no trial has a value of loss")


def test_an_experiment_that_may_have_more_trials_goes_on_before_it_is_told(lab: Lab) -> None:
    assert len(run(experiment(resumePolicy="LongRunning", maxTrialCount=3)).trials) == 3
    more = run(experiment(resumePolicy="LongRunning", maxTrialCount=5))
    assert (len(more.trials), more.succeeded) == (5, True)


# ---------------------------------------------------------------- experiments that grow


def growing(**changes: Any) -> Experiment:
    """One that may have more trials after its end, and that no failures end."""
    document = manifest(**({"resumePolicy": "LongRunning", "maxTrialCount": 2} | changes))
    del document["spec"]["maxFailedTrialCount"]
    return parse_experiment(document)


@pytest.mark.parametrize("pace", [Pace(60, 2, most=4), Pace(0, 2)], ids=["in its time", "after it"])
def test_a_trial_without_a_number_makes_room_for_one_more_and_ends_no_experiment_that_grows(
    lab: Lab, pace: Pace
) -> None:
    """Katib does not count it among those that are over when it begins others, and has then more than it may have."""
    waiting: list[Object] = []

    def play(node: Node, job: Object) -> None:
        made = len(lab.api.objects["jobs", SPACE])
        if made == 1:
            node.succeed(job, "nothing\n")
        elif made == 2:
            waiting.append(job)
        else:
            for each in (*waiting, job):
                node.succeed(each, node.printed(each))
            waiting.clear()

    lab.play(play)
    outcome = run(growing(), pace=pace)
    assert (outcome.succeeded, outcome.reason) == (True, "ExperimentMaxTrialsReached")
    assert len(outcome.trials) > outcome.document["spec"]["maxTrialCount"]
    assert outcome.trials[0].status == "Failed"
    assert outcome.optimum is not None


def test_an_experiment_whose_service_proposes_nothing_in_its_time_is_left_for_another_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its space is not exhausted: the service may have had to wait for its image."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("ctlr.tuning.engine.remote.IDLE_SECONDS", 0.2)
    with serving(KubeApi(), tmp_path, namespace=SPACE):
        search = KatibSearch(connect(), watch_seconds=1)
        outcome = run_remotely(growing(), search, pace=Pace(0, 2))
    assert (outcome.trials, outcome.reason) == ((), "ExperimentBudgetSpent")


def test_an_end_that_katib_notes_while_the_experiment_is_given_more_is_no_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with Katib 0.19: the end comes late, and the trials that have begun since were said to be killed."""
    waiting: list[Object] = []
    ends: list[Object] = []
    lab.play(lambda node, job: waiting.append(job))
    search = KatibSearch(connect())
    search.start(growing())
    until(lambda: len(waiting) == 2)
    read = Connection.experiment

    def experiment(self: Connection, name: str) -> Object:
        found = read(self, name)
        while waiting and not ends:
            by_the_book(Node(lab.api, by_the_book), waiting.pop())
        if not ends:
            until(lambda: completion_of(lab.experiments[name]) is not None)
            ends.append(copy.deepcopy(lab.experiments[name]))
            lab.play(lambda node, job: waiting.append(job))
        return found

    monkeypatch.setattr(Connection, "experiment", experiment)
    search.grow(growing(), 4)
    until(lambda: len(waiting) == 2)
    state = search._state(Roll(growing()), ends[0])
    assert state.completion is None
    assert [trial.ended for trial in state.trials] == [True, True, False, False]
    assert lab.experiments["square"]["spec"]["maxTrialCount"] == 4


def test_a_search_is_taken_up_though_katib_writes_it_meanwhile(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.play(lambda node, job: None)
    KatibSearch(connect()).start(growing())
    until(lambda: len(lab.api.objects.get(("jobs", SPACE), {})) == 2)
    read, late = Connection.experiment, [True]

    def experiment(self: Connection, name: str) -> Object:
        found = read(self, name)
        if late:
            late.pop()
            lab.api.put("experiments", SPACE, dict(lab.experiments[name]))
        return found

    monkeypatch.setattr(Connection, "experiment", experiment)
    assert KatibSearch(connect()).start(growing(maxTrialCount=5))
    assert not late
    assert lab.experiments["square"]["spec"]["maxTrialCount"] == 5


# ---------------------------------------------------------------- what trials bring


def test_a_trial_that_printed_no_number_has_failed_though_katib_says_that_it_succeeded() -> None:
    """Katib 0.19 notes the text `nan` and counts the trial as succeeded."""
    trial = {
        "metadata": {"name": "square-a"},
        "spec": {"parameterAssignments": [{"name": "x", "value": "0.5"}]},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True", "message": "Trial has succeeded"}],
            "observation": {"metrics": [{"name": "loss", "min": "nan", "max": "nan", "latest": "nan"}]},
        },
    }
    (read,) = Roll(experiment()).read([trial], datetime(2026, 11, 26, tzinfo=UTC), over=False)
    assert (read.status, read.value) == ("Failed", None)
    assert read.reason.startswith("reported no loss")


def test_a_trial_that_was_stopped_early_has_ended_once_its_value_is_there() -> None:
    stopped = {
        "metadata": {"name": "square-a"},
        "spec": {"parameterAssignments": [{"name": "x", "value": "0.5"}]},
        # As Katib 0.19 wrote it on 27 November 2026: no time of completion.
        "status": {
            "startTime": "2026-11-27T00:54:25Z",
            "conditions": [
                {"type": "Running", "status": "True", "lastTransitionTime": "2026-11-27T00:54:25Z"},
                {
                    "type": "EarlyStopped",
                    "status": "True",
                    "message": "Trial is early stopped",
                    "lastTransitionTime": "2026-11-27T00:54:27Z",
                },
            ],
        },
    }
    began = datetime(2026, 11, 26, tzinfo=UTC)
    (trial,) = Roll(experiment()).read([stopped], began, over=False)
    assert trial.status == "Running"
    stopped["status"]["observation"] = {"metrics": [{"name": "loss", "min": "0.5", "max": "0.9", "latest": "0.9"}]}
    (trial,) = Roll(experiment()).read([stopped], began, over=False)
    assert (trial.status, trial.value, trial.seconds) == ("EarlyStopped", 0.5, 2.0)
    folds = experiment().model_copy(update={"resampled": True})
    (trial,) = Roll(folds).read([stopped], began, over=False)
    assert (trial.status, trial.value) == ("EarlyStopped", None)


def test_a_goal_that_is_reached_ends_the_others_as_killed(lab: Lab) -> None:
    def play(node: Node, job: Object) -> None:
        if job["metadata"]["name"].endswith("0000trial"):
            node.succeed(job, "loss=0.0\n")
        else:
            node.run(job)

    lab.play(play)
    search = experiment(objective={"type": "minimize", "objectiveMetricName": "loss", "goal": 0.1})
    outcome = run(search)
    assert outcome.reason == "ExperimentGoalReached"
    assert [trial.status for trial in outcome.trials] == ["Succeeded", "Killed"]


def assert_matches(text: str, pattern: str) -> None:
    assert re.search(pattern, text, re.DOTALL), text


# ---------------------------------------------------------------- something else answers


@pytest.mark.parametrize("answer", [{}, [], {"metadata": []}, {"metadata": {"name": "square", "labels": 3}}])
def test_answers_of_another_shape_are_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("kube_api._Handler._act", mock.Mock(return_value=answer))
    with (
        serving(KubeApi(), tmp_path),
        pytest.raises(ClusterError, match="answers, but not as a Kubernetes API server does"),
    ):
        run(experiment())
