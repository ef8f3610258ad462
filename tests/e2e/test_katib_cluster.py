"""Searches on a real cluster: real Jobs, pods, events, quotas, roles and a real API server.

    KUBECONFIG=... pytest -m cluster tests/e2e/test_katib_cluster.py

Any cluster will do that its user administers. Where Katib is installed it is used; else its CRDs are put there in
their minimal form and a double plays its controllers (tests/support/katib_double.py). CTLR_TEST_TRIAL_IMAGE names an
image with a shell, `sleep` and `tail` that the nodes have or can pull.

What Kubernetes 1.20 lacks and these tests do without: pod failure policies, the tracking of Jobs' pods by finalizers
(a deleted pod is replaced there and counts as a failure since 1.26: `backoffLimit: 1` bears both), the condition
DisruptionTarget, events in the reason of an unschedulable Job.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jobs_of_trials import ALLOWED, NEVER_RUN, REFUSED
from katib_crds import katib_there
from katib_lab import manifest
from ruamel.yaml import YAML
from terminal import until

from ctlr.errors import ClusterError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine import Limits, Pace, RemoteOutcome, run_experiment, run_remotely
from ctlr.tuning.katib import RIGHTS, Connection, KatibSearch, connect, run_on_katib
from ctlr.tuning.launchers import FunctionLauncher
from ctlr.tuning.manifest import parse_experiment

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not Path(os.environ.get("KUBECONFIG", "/none")).is_file(),
        reason="no cluster: KUBECONFIG names no file (docs/tuning.md says what the tests need)",
    ),
]
IMAGE = os.environ.get("CTLR_TEST_TRIAL_IMAGE", "busybox:1.36.1")
PRINT = "echo loss=${trialParameters.x}; sleep 2"
"""Katib's collector finds no trial that has ended before it looks, and fails it."""
PATIENCE_SECONDS = 180


def search(script: str = PRINT, **changes: Any) -> Experiment:
    """A search whose trials run a script of the shell; each has to use its parameter."""
    script = f"( : ${{trialParameters.x}}; {script} )"
    container = {
        "image": IMAGE, "command": ["sh", "-c", script],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    } | changes.pop("container", {})  # fmt: skip
    document = manifest(container=container, **({"parallelTrialCount": 1, "maxTrialCount": 2} | changes))
    job = document["spec"]["trialTemplate"]["trialSpec"]["spec"]
    job["backoffLimit"] = 0
    job["template"]["spec"]["terminationGracePeriodSeconds"] = 0
    job["template"]["metadata"] = {"annotations": {"sidecar.istio.io/inject": "false"}}
    return parse_experiment(document)


@pytest.fixture(scope="module")
def clients() -> Any:
    from kubernetes import client, config

    config.load_kube_config(os.environ["KUBECONFIG"])
    return client


@pytest.fixture(scope="module")
def katib(clients: Any) -> bool:
    """Whether Katib's controllers are there; its CRDs are after this."""
    return katib_there()


@pytest.fixture
def space(clients: Any, katib: bool) -> Iterator[str]:
    """A namespace of the test's own, with Katib at work."""
    from katib_double import KatibDouble

    name = f"katib-e2e-{uuid.uuid4().hex[:6]}"
    core = clients.CoreV1Api()
    labels = {"katib.kubeflow.org/metrics-collector-injection": "enabled"}
    core.create_namespace({"metadata": {"name": name, "labels": labels}}, _preload_content=False)
    until(lambda: _has_default_account(core, name))
    with contextlib.nullcontext() if katib else KatibDouble(clients.ApiClient(), name, period=0.2):
        yield name
    core.delete_namespace(name, _preload_content=False, body={"gracePeriodSeconds": 0})


def _has_default_account(core: Any, name: str) -> bool:
    """Pods are refused before the controllers have made it."""
    found = core.list_namespaced_service_account(name, _preload_content=False)
    return b'"default"' in found.data


def run(experiment: Experiment, space: str, **options: Any) -> RemoteOutcome:
    return run_on_katib(experiment, namespace=space, **({"timeout": PATIENCE_SECONDS} | options))


def pods(clients: Any, space: str) -> list[Any]:
    found = clients.CoreV1Api().list_namespaced_pod(space, _preload_content=False)
    return list(json.loads(found.data)["items"])


# ---------------------------------------------------------------- the whole way


def test_a_search_runs_to_its_optimum_and_leaves_nothing_behind(clients: Any, space: str) -> None:
    outcome = run(search(maxTrialCount=3, parallelTrialCount=2), space, policy="delete")
    assert (outcome.succeeded, outcome.reason) == (True, "ExperimentMaxTrialsReached")
    assert outcome.optimum is not None
    assert outcome.optimum.value == min(float(trial.assignments["x"]) for trial in outcome.trials)
    assert len(outcome.trials) == 3
    until(lambda: not pods(clients, space))


def test_the_rights_that_are_asked_for_suffice(clients: Any, space: str) -> None:
    connection = acting_as_watcher(clients, space, [(right.group, right.resource, right.verbs) for right in RIGHTS])
    outcome = run_on_katib(search("echo oh; false"), connection=connection, policy="delete", timeout=PATIENCE_SECONDS)
    assert not outcome.succeeded
    assert outcome.trials[0].tail == "oh"


# ---------------------------------------------------------------- faults


def test_a_trial_pod_that_is_deleted_is_replaced_and_the_search_goes_on(clients: Any, space: str) -> None:
    experiment = search(f"sleep 3; {PRINT}", maxTrialCount=1)
    experiment.manifest["spec"]["trialTemplate"]["trialSpec"]["spec"]["backoffLimit"] = 1

    def delete() -> None:
        (pod,) = until(lambda: [each for each in pods(clients, space) if each["status"]["phase"] == "Running"])
        clients.CoreV1Api().delete_namespaced_pod(pod["metadata"]["name"], space, _preload_content=False)

    with meanwhile(delete):
        outcome = run(experiment, space)
    assert outcome.succeeded
    assert outcome.trials[0].status == "Succeeded"


def test_a_trial_that_runs_out_of_memory_says_so(space: str) -> None:
    outcome = run(search("echo filling; tail /dev/zero", maxFailedTrialCount=0), space)
    assert not outcome.succeeded
    assert re.search(r"out of memory: container main passed its limit of 32Mi \(OOMKilled\)", outcome.message)


def test_a_trial_that_fails_shows_its_last_lines(space: str) -> None:
    outcome = run(search("echo reading; echo 'no such column'; exit 3", maxFailedTrialCount=0), space)
    assert outcome.trials[0].reason == "exit code 3: no such column"
    assert outcome.trials[0].tail == "reading\nno such column"


STUCK = {
    "no image": (
        {"container": {"image": "localhost/absent:1", "imagePullPolicy": "Never"}},
        r"the image localhost/absent:1 cannot be had \(ErrImageNeverPull\)",
    ),
    "no GPU": (
        {"container": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}},
        r"no node with a free GPU, and the trial asks for nvidia\.com/gpu: 1 \(0/\d+ nodes .*nvidia\.com/gpu",
    ),
}


@pytest.mark.parametrize("case", STUCK)
def test_a_trial_that_cannot_start_says_why(space: str, case: str) -> None:
    changes, reason = STUCK[case]
    if case == "no GPU" and "CTLR_TEST_GPU_NODES" in os.environ:
        pytest.skip("this cluster has GPU nodes")
    notices: list[str] = []
    with pytest.raises(ClusterError, match="has not ended within 18 s") as error:
        run(search(**changes), space, timeout=18, on_notice=notices.append)
    assert re.search(reason, str(error.value), re.DOTALL), str(error.value)
    assert any(re.search(reason, notice, re.DOTALL) for notice in notices), notices


def test_a_quota_that_is_used_up_is_named(clients: Any, space: str) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    clients.CoreV1Api().create_namespaced_resource_quota(space, quota, _preload_content=False)
    with pytest.raises(ClusterError, match=r"quota is used up: .*exceeded quota: none.*Raise the ResourceQuota"):
        run(search(), space, timeout=18)


def test_a_priority_class_that_is_missing_is_named(clients: Any, space: str) -> None:
    experiment = search()
    template = experiment.manifest["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]
    template["spec"]["priorityClassName"] = "low"
    with pytest.raises(ClusterError, match=r"priority class is missing: .*low was found.*platform\.priority_class"):
        run(experiment, space, timeout=18)


def test_a_claim_that_is_missing_is_named(space: str) -> None:
    experiment = search()
    pod = experiment.manifest["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "workspace", "persistentVolumeClaim": {"claimName": "ctlr-workspace"}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "workspace", "mountPath": "/workspace"}]
    with pytest.raises(ClusterError, match=r"claim ctlr-workspace is not in its namespace .*kubectl apply -k"):
        run(experiment, space, timeout=18)


def test_a_kind_of_job_that_the_cluster_lacks_is_named(katib: bool, space: str) -> None:
    if not katib:
        pytest.skip("the double makes Jobs alone")
    experiment = search()
    experiment.manifest["spec"]["trialTemplate"]["trialSpec"] = {
        "apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob",
        "spec": {"pytorchReplicaSpecs": {"Master": {"template": {"metadata": {"name": "${trialParameters.x}"}}}}},
    }  # fmt: skip
    with pytest.raises(
        ClusterError, match=r"does not know the kind of the trial's job: .*Install what brings PyTorchJob"
    ):
        run(experiment, space, timeout=18)


def test_a_namespace_without_katibs_label_is_named_with_the_remedy(clients: Any, katib: bool, space: str) -> None:
    if not katib:
        pytest.skip("the double collects everywhere")
    labels = {"katib.kubeflow.org/metrics-collector-injection": None}
    clients.CoreV1Api().patch_namespace(space, {"metadata": {"labels": labels}}, _preload_content=False)
    with pytest.raises(ClusterError, match=rf"kubectl label namespace {space} .*injection=enabled"):
        run(search(), space)


def test_an_experiment_that_a_user_deletes_ends_with_that_message(clients: Any, space: str) -> None:
    def delete() -> None:
        until(lambda: pods(clients, space))
        clients.CustomObjectsApi().delete_namespaced_custom_object(
            "kubeflow.org", "v1beta1", space, "experiments", "square"
        )

    with meanwhile(delete), pytest.raises(ClusterError, match="was deleted while it ran"):
        run(search("sleep 60"), space)


@pytest.mark.parametrize(
    ("resource", "verb"), [("experiments", "create"), ("experiments", "watch"), ("trials", "list"), ("pods/log", "get")]
)
def test_a_role_without_a_verb_is_named(clients: Any, space: str, resource: str, verb: str) -> None:
    rules = [
        (right.group, right.resource, tuple(v for v in right.verbs if (right.resource, v) != (resource, verb)))
        for right in RIGHTS
    ]
    connection = acting_as_watcher(clients, space, rules)
    with pytest.raises(ClusterError, match=rf":watcher may not {verb} {resource}.*Add the verb '{verb}'"):
        run_on_katib(search("echo oh; false"), connection=connection, timeout=PATIENCE_SECONDS)


def acting_as_watcher(clients: Any, space: str, rules: list[tuple[str, str, tuple[str, ...]]]) -> Connection:
    """A connection of a service account that has these rights alone."""
    access = clients.RbacAuthorizationV1Api()
    listed = [{"apiGroups": [group], "resources": [resource], "verbs": list(verbs)} for group, resource, verbs in rules]
    access.create_namespaced_role(
        space, {"metadata": {"name": "watcher"}, "rules": [rule for rule in listed if rule["verbs"]]},
        _preload_content=False,
    )  # fmt: skip
    subject = {"kind": "ServiceAccount", "name": "watcher", "namespace": space}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watcher"}
    binding = {"metadata": {"name": "watcher"}, "subjects": [subject], "roleRef": role}
    access.create_namespaced_role_binding(space, binding, _preload_content=False)
    settings = clients.Configuration.get_default_copy()
    settings.retries = False
    api = clients.ApiClient(settings)
    api.set_default_header("Impersonate-User", f"system:serviceaccount:{space}:watcher")
    return Connection(api, space)


# ---------------------------------------------------------------- what Katib's webhook says

SHIPPED = sorted((Path(__file__).parents[2] / "katib").glob("*.yaml"))
EVERY_JOB = {case: text for case, (text, _) in (REFUSED | NEVER_RUN).items()} | ALLOWED


@pytest.mark.parametrize("case", EVERY_JOB)
def test_katibs_webhook_refuses_what_check_refuses_but_for_jobs_that_never_run(
    clients: Any, katib: bool, space: str, case: str
) -> None:
    if not katib:
        pytest.skip("the double has no webhook")
    document = YAML(typ="safe", pure=True).load(EVERY_JOB[case])
    create = clients.CustomObjectsApi().create_namespaced_custom_object
    with contextlib.nullcontext() if case not in REFUSED else pytest.raises(clients.ApiException) as refused:
        create("kubeflow.org", "v1beta1", space, "experiments", document, dry_run="All")
    assert refused is None or "admission webhook" in refused.value.body


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_katibs_webhook_takes_every_manifest_that_ships(clients: Any, katib: bool, space: str, path: Path) -> None:
    if not katib:
        pytest.skip("the double has no webhook")
    document = YAML(typ="safe", pure=True).load(path)
    document["metadata"].pop("namespace", None)
    create = clients.CustomObjectsApi().create_namespaced_custom_object
    taken = create("kubeflow.org", "v1beta1", space, "experiments", document, dry_run="All")
    assert taken["spec"]["objective"]["metricStrategies"] == document["spec"]["objective"]["metricStrategies"]


# ---------------------------------------------------------------- CTLR's algorithms under Katib's controllers

ALGORITHMS: dict[str, dict[str, str]] = {
    "random": {}, "grid": {}, "sobol": {}, "tpe": {}, "multivariate-tpe": {"n_startup_trials": "4"},
    "bayesianoptimization": {"n_initial_points": "4"}, "cmaes": {}, "evolutionary": {"population_size": "4"},
    "regularizedevolution": {"population_size": "4"},
    "pbt": {"suggestion_trial_dir": "/checkpoints", "n_population": "5", "truncation_threshold": "0.4"},
}  # fmt: skip
"""With settings by which they learn from eight trials."""


@pytest.fixture
def suggesting(katib: bool) -> None:
    if not katib or "CTLR_TEST_SUGGESTIONS" not in os.environ:
        pytest.skip("CTLR_TEST_SUGGESTIONS says that a real Katib has CTLR's suggestion services (docs/tuning.md)")


def learning(algorithm: str, settings: dict[str, str], **changes: Any) -> Experiment:
    """A search of two dimensions whose loss is x, at parallel 1: trials end in the order of their start."""
    x = {"min": "0", "max": "1"} | ({"step": "0.25"} if algorithm == "grid" else {})
    entries = [{"name": name, "value": value} for name, value in {"random_state": "7", **settings}.items()]
    document = search(**({"maxTrialCount": 8} | changes)).manifest
    document["spec"]["algorithm"] = {"algorithmName": algorithm, "algorithmSettings": entries}
    document["spec"]["parameters"] = [
        {"name": "x", "parameterType": "double", "feasibleSpace": x},
        {"name": "depth", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "4"}},
    ]
    template = document["spec"]["trialTemplate"]
    template["trialParameters"] = [{"name": name, "reference": name} for name in ("x", "depth")]
    container = template["trialSpec"]["spec"]["template"]["spec"]["containers"][0]
    container["command"][-1] = container["command"][-1].replace(": $", ": ${trialParameters.depth} $")
    if algorithm == "pbt":
        document["spec"]["resumePolicy"] = "FromVolume"
    return parse_experiment(document)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.usefixtures("suggesting")
def test_katib_tries_trial_by_trial_what_the_laptop_tries(space: str, tmp_path: Path, algorithm: str) -> None:
    experiment = learning(algorithm, ALGORITHMS[algorithm])
    launcher = FunctionLauncher(lambda assignments: float(assignments["x"]), "loss")
    here = run_experiment(experiment, tmp_path, launcher, limits=Limits())
    there = run(experiment, space, policy="delete")
    assert [trial.assignments for trial in there.trials] == [trial.assignments for trial in here.trials]
    assert [trial.value for trial in there.trials] == [trial.value for trial in here.trials]


@pytest.mark.usefixtures("suggesting")
def test_a_member_of_a_population_finds_its_parents_checkpoint(space: str) -> None:
    script = "wc -l < /checkpoints/w | sed s/^/carried=/; echo 1 >> /checkpoints/w"
    experiment = learning("pbt", ALGORITHMS["pbt"])
    document = experiment.manifest
    document["spec"]["objective"]["additionalMetricNames"] = ["carried"]
    container = document["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"][0]
    container["command"][-1] = container["command"][-1].replace("( ", f"( touch /checkpoints/w; {script}; ")
    outcome = run(parse_experiment(document), space, policy="delete")
    assert [trial.metrics["carried"] for trial in outcome.trials] == [0.0] * 5 + [1.0] * 3


@pytest.mark.usefixtures("suggesting")
def test_hyperband_promotes_the_best_of_each_rung(space: str) -> None:
    """Of four with depth 1 two go on with 2, and one of them, if trials are left, with 4."""
    settings = {"r_l": "4", "eta": "2", "resource_name": "depth"}
    outcome = run(learning("hyperband", settings, parallelTrialCount=4, maxTrialCount=12), space, policy="delete")
    assert outcome.succeeded
    depths: dict[str, set[str]] = {}
    for trial in outcome.trials:
        depths.setdefault(trial.assignments["x"], set()).add(trial.assignments["depth"])
    first = sorted((trial.assignments["x"] for trial in outcome.trials[:4]), key=float)
    assert ["2" in depths[x] for x in first] == [True, True, False, False]
    assert ["4" in depths[x] for x in first[1:]] == [False] * 3


# ---------------------------------------------------------------- Experiments that grow, as those of a race


def growing(script: str = PRINT, **changes: Any) -> Experiment:
    """A search that may have more trials after its end, and that no failures end."""
    document = search(script, resumePolicy="LongRunning", parallelTrialCount=2, **changes).manifest
    del document["spec"]["maxFailedTrialCount"]
    return parse_experiment(document)


def test_an_experiment_grows_as_long_as_there_is_time_and_goes_on_in_its_next_turn(space: str) -> None:
    first = run(growing(), space, pace=Pace(20, 2))
    assert (first.succeeded, first.reason) == (True, "ExperimentMaxTrialsReached")
    assert len(first.trials) == first.document["spec"]["maxTrialCount"] > 2
    next_turn = run(growing(), space, pace=Pace(10, 2))
    assert next_turn.trials[: len(first.trials)] == first.trials
    assert len(next_turn.trials) > len(first.trials)
    assert {trial.status for trial in next_turn.trials} == {"Succeeded"}


def test_trials_that_fail_or_print_no_number_end_no_experiment_that_grows(space: str) -> None:
    script = "X=${trialParameters.x}; sleep 2; [ $X = ${X#0.[0-2]} ] || exit 0; [ $X = ${X#0.[3-4]} ] && echo loss=$X"
    outcome = run(growing(script), space, pace=Pace(30, 2))
    assert (outcome.succeeded, outcome.reason) == (True, "ExperimentMaxTrialsReached")
    assert {trial.status for trial in outcome.trials} >= {"Failed", "Succeeded"}


def test_an_experiment_whose_service_is_away_is_left_and_goes_on_once_it_is_back(
    clients: Any, katib: bool, space: str
) -> None:
    if not katib:
        pytest.skip("the double has no suggestion service")

    def scale(replicas: int) -> None:
        clients.AppsV1Api().patch_namespaced_deployment_scale(
            "square-random", space, {"spec": {"replicas": replicas}}, _preload_content=False
        )
        until(lambda: _available(clients, space) == replicas)

    first = run(growing(), space, pace=Pace(1, 2))
    scale(0)
    away = run(growing(), space, pace=Pace(5, 2))
    assert (away.trials, away.reason) == (first.trials, "ExperimentBudgetSpent")
    scale(1)
    back = run(growing(), space, pace=Pace(5, 2))
    assert len(back.trials) > len(first.trials)


def _available(clients: Any, space: str) -> int:
    """Pods of the suggestion service that are ready."""
    found = clients.AppsV1Api().read_namespaced_deployment("square-random", space, _preload_content=False)
    return int(json.loads(found.data)["status"].get("availableReplicas", 0))


# ---------------------------------------------------------------- an API server that restarts


@pytest.fixture
def second_server(tmp_path: Path) -> Iterator[Server]:
    """A second API server on the same etcd, which a test may restart without anybody else's noticing."""
    found = next(_processes("kube-apiserver"), None)
    if found is None:
        pytest.skip("no kube-apiserver runs on this machine whose command could be started a second time")
    server = Server(found.command, tmp_path)
    server.start()
    yield server
    server.stop()


class Process(NamedTuple):
    """A program that runs on this machine, with what starting it again takes."""

    pid: int
    command: list[str]
    environment: dict[str, str]
    folder: Path

    def start(self) -> None:
        """With a parent that does not wait for it."""
        subprocess.run(
            ["setsid", "--fork", *self.command], env=self.environment, cwd=self.folder, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def _processes(name: str) -> Iterator[Process]:
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = place.joinpath("cmdline").read_text().split("\0")[:-1]
            if words and Path(words[0]).name == name:
                pairs = (pair.partition("=") for pair in place.joinpath("environ").read_text().split("\0") if pair)
                environment = {key: value for key, _, value in pairs}
                yield Process(int(place.name), words, environment, place.joinpath("cwd").readlink())


class Server:
    """A kube-apiserver at another port."""

    PORT = 16443

    def __init__(self, command: list[str], folder: Path) -> None:
        ours = ("--secure-port=", "--endpoint-reconciler-type=")
        kept = [word for word in command if not word.startswith(ours)]
        self._command = [*kept, f"--secure-port={self.PORT}", "--endpoint-reconciler-type=none"]
        self._log = folder / "apiserver.log"
        self._process: subprocess.Popen[bytes] | None = None
        text = Path(os.environ["KUBECONFIG"]).read_text()
        text = re.sub(r"https://127\.0\.0\.1:\d+", f"https://127.0.0.1:{self.PORT}", text)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(text)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def test_an_api_server_that_restarts_under_the_watcher_loses_nothing(
    space: str, second_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(second_server.kubeconfig))
    until(lambda: _answers(space))
    backend = KatibSearch(connect(namespace=space))
    ended: list[str] = []

    def follow(trial: Trial, report: object) -> None:
        if not trial.ended:
            return
        if not ended:
            second_server.stop()
            threading.Timer(3, second_server.start).start()
        ended.append(trial.name)

    outcome = run_remotely(search(maxTrialCount=3), backend, on_event=follow, timeout=PATIENCE_SECONDS)
    assert outcome.succeeded
    assert ended == [trial.name for trial in outcome.trials]
    assert len(ended) == 3


def _answers(space: str) -> bool:
    try:
        connect(namespace=space).trials("none")
    except ClusterError:
        time.sleep(0.5)
        return False
    return True


def test_a_controller_that_is_killed_and_comes_back_loses_nothing(space: str) -> None:
    found = next(_processes("katib-controller"), None)
    if found is None:
        pytest.skip("Katib's controller is no process of this machine that could be killed and started again")
    killed: list[str] = []

    def follow(trial: Trial, report: object) -> None:
        if trial.ended and not killed:
            killed.append(trial.name)
            os.kill(found.pid, signal.SIGKILL)
            threading.Timer(6, found.start).start()

    outcome = run(search(maxTrialCount=4), space, on_event=follow)
    assert outcome.succeeded
    assert len(killed) == 1
    assert [trial.status for trial in outcome.trials] == ["Succeeded"] * 4


@contextlib.contextmanager
def meanwhile(do: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread beside the block; its failure fails the test."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            do()
        except (AssertionError, ValueError, OSError) as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join(PATIENCE_SECONDS)
    assert not failure, failure
