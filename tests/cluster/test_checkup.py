"""`ctlr doctor --cluster` against a small API server that answers as a test wants."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from terminal import call

from ctlr.cli.app import cli
from ctlr.cluster.checkup import Finding, examine_cluster
from ctlr.errors import ClusterError

KATIB = "/apis/kubeflow.org/v1beta1"
CONTROLLER = "/apis/apps/v1/namespaces/kubeflow/deployments/katib-controller"
CLAIM = "/api/v1/namespaces/lab/persistentvolumeclaims/ctlr-workspace"
PIPELINES = "/api/v1/namespaces/kubeflow/services/http:ml-pipeline:8888/proxy/apis/v2beta1/healthz"
MLFLOW = "/api/v1/namespaces/lab/services/http:mlflow:5000/proxy/health"
PRIORITY = "/apis/scheduling.k8s.io/v1/priorityclasses/ctlr-trial"
CONFIG = "/api/v1/namespaces/kubeflow/configmaps/katib-config"
SPACE = "/api/v1/namespaces/lab"
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def healthy() -> dict[str, tuple[int, Any]]:
    """Answers of a cluster where all is well."""
    claim = {"spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "nfs"}, "status": {"phase": "Bound"}}
    node = {"status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": "2", "nvidia.com/mig-1g.18gb": "7"}}}
    return {
        "/version": (200, {"gitVersion": "v1.33.4"}),
        KATIB: (200, {"resources": [{"name": name} for name in ("experiments", "trials", "suggestions")]}),
        SPACE: (200, {"metadata": {"labels": {"katib.kubeflow.org/metrics-collector-injection": "enabled"}}}),
        CONTROLLER: (200, {"status": {"readyReplicas": 1}}),
        CLAIM: (200, claim),
        "/api/v1/nodes": (200, {"items": [node, {"status": {"allocatable": {"nvidia.com/gpu": "0"}}}]}),
        PIPELINES: (200, {}),
        MLFLOW: (200, "OK"),
        PRIORITY: (200, {"value": -10}),
        CONFIG: (200, {"data": {"katib-config.yaml": "init: {controller: {injectSecurityContext: true}}"}}),
    }


@dataclass
class Cluster:
    """An API server: answers by path, and (verb, resource) that the Role lacks."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=healthy)
    denied: set[tuple[str, str]] = field(default_factory=set)
    address: str = ""

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        if path != REVIEW:
            return self.answers.get(path, (404, {"message": "not found"}))
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
        assert asked["namespace"] == "lab"
        return 201, {"status": {"allowed": (asked["verb"], resource) not in self.denied}}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    served = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
            status, found = served.answer(self.path, body)
            data = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    served.address = f"http://127.0.0.1:{server.server_port}"
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "small",
        "clusters": [{"name": "small", "cluster": {"server": served.address}}],
        "users": [{"name": "ada", "user": {"token": "none"}}],
        "contexts": [{"name": "small", "context": {"cluster": "small", "user": "ada", "namespace": "lab"}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    for name in ("MLFLOW_TRACKING_URI", "KF_PIPELINES_ENDPOINT", "CTLR_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    yield served
    server.shutdown()
    server.server_close()


def examined(**options: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine_cluster(**options)}


def test_a_healthy_cluster_has_no_fault(cluster: Cluster) -> None:
    found = examined()
    assert [what for what, finding in found.items() if not finding.ok] == []
    assert found["kubernetes"].found == f"v1.33.4 at {cluster.address}, namespace lab"
    assert found["gpu nodes"].found == "2 nvidia.com/gpu, 7 nvidia.com/mig-1g.18gb"
    assert found["priority of trials"].found == "ctlr-trial is -10"


ARGO = "/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap"
OF_KUBEFLOW = "spec:\n  templateDefaults:\n    retryStrategy:\n      limit: '2'\n      retryPolicy: OnError\n"
"""As Kubeflow Pipelines 2.17.0 installs it."""


@pytest.mark.parametrize(
    ("defaults", "ok"),
    [(OF_KUBEFLOW, False), (OF_KUBEFLOW.replace("OnError", "Always"), True), ("", True), ("[", True)],
)
def test_a_policy_by_which_lost_pods_stay_lost_is_told(cluster: Cluster, defaults: str, ok: bool) -> None:
    assert "lost pods" not in examined()  # who may not see it is told nothing
    cluster.answers[ARGO] = 200, {"data": {"workflowDefaults": defaults}}
    found = examined()["lost pods"]
    assert (found.ok, found.optional) == (ok, True)


def test_a_right_that_is_missing_is_named_with_its_verb(cluster: Cluster) -> None:
    cluster.denied = {("create", "experiments"), ("get", "pods/log")}
    found = examined()
    assert found["right experiments.kubeflow.org"].found == "may not create"
    assert (
        "Add create for experiments.kubeflow.org to your Role in lab" in found["right experiments.kubeflow.org"].remedy
    )
    assert found["right pods/log"].found == "may not get"
    assert found["right pods"].ok


def test_a_priority_class_that_trials_name_is_missed_where_it_can_be_seen(cluster: Cluster) -> None:
    del cluster.answers[PRIORITY]
    found = examined()["priority of trials"]
    assert (found.ok, found.optional, found.found) == (False, True, "there is no class ctlr-trial")
    cluster.answers[PRIORITY] = (403, {"message": "forbidden"})
    assert examined()["priority of trials"].found == "not seen with these rights"


def test_a_namespace_at_whose_pods_katib_does_not_look_is_a_fault_with_the_command_that_mends_it(
    cluster: Cluster,
) -> None:
    cluster.answers[SPACE] = (200, {"metadata": {"labels": {"katib.kubeflow.org/metrics-collector-injection": "no"}}})
    found = examined()["katib metrics"]
    assert (found.ok, found.optional) == (False, False)
    assert "kubectl label namespace lab katib.kubeflow.org/metrics-collector-injection=enabled" in found.remedy
    cluster.answers[SPACE] = (403, {"message": "forbidden"})
    assert examined()["katib metrics"].found == "not seen with these rights"


def test_a_sidecar_that_a_restricted_namespace_refuses_is_named(cluster: Cluster) -> None:
    cluster.answers[CONFIG] = (200, {"data": {"katib-config.yaml": "init: {controller: {webhookPort: 8443}}"}})
    found = examined()["katib sidecar"]
    assert (found.ok, found.optional) == (False, True)
    assert "`restricted` refuses its pod" in found.found
    assert "configure_katib.py" in found.remedy
    own = "runtime: {metricsCollectors: [{kind: StdOut, securityContext: {runAsNonRoot: true}}]}"
    cluster.answers[CONFIG] = (200, {"data": {"katib-config.yaml": own}})
    assert examined()["katib sidecar"].ok
    del cluster.answers[CONFIG]
    assert examined()["katib sidecar"].found == "not seen with these rights"


def test_without_katib_nobody_asks_for_its_controller(cluster: Cluster) -> None:
    del cluster.answers[KATIB]
    found = examined()
    assert found["katib"].found == "the cluster knows no experiments, suggestions, trials"
    assert "katib controller" not in found


def test_a_controller_that_is_down_is_a_fault_and_one_unseen_is_none(cluster: Cluster) -> None:
    cluster.answers[CONTROLLER] = 200, {"status": {}}
    down = examined()["katib controller"]
    assert (down.ok, down.optional, down.found) == (False, False, "0 ready")
    cluster.answers[CONTROLLER] = 403, {}
    unseen = examined()["katib controller"]
    assert (unseen.ok, unseen.optional, unseen.found) == (False, True, "not seen with these rights")


@pytest.mark.parametrize(
    ("phase", "modes", "binding", "ok", "shared"),
    [
        ("Bound", ["ReadWriteMany"], "", True, True),
        ("Bound", ["ReadWriteOnce"], "", True, False),
        ("Pending", ["ReadWriteMany"], "WaitForFirstConsumer", True, True),
        ("Pending", ["ReadWriteMany"], "Immediate", False, True),
    ],
)
def test_the_claim_has_to_be_bound_or_to_wait_for_its_first_pod(
    cluster: Cluster, phase: str, modes: list[str], binding: str, ok: bool, shared: bool
) -> None:
    claim = {"spec": {"accessModes": modes, "storageClassName": "nfs"}, "status": {"phase": phase}}
    cluster.answers[CLAIM] = 200, claim
    cluster.answers["/apis/storage.k8s.io/v1/storageclasses/nfs"] = 200, {"volumeBindingMode": binding}
    found = examined()
    assert (found["workspace claim"].ok, found["workspace shared"].ok) == (ok, shared)
    assert found["workspace shared"].optional


def test_a_missing_claim_comes_with_the_command_that_makes_it(cluster: Cluster) -> None:
    del cluster.answers[CLAIM]
    found = examined()["workspace claim"]
    assert found.found == "ctlr-workspace is not in lab"
    assert "kubectl apply -k manifests/base" in found.remedy


def test_a_server_that_wants_a_login_is_well(cluster: Cluster) -> None:
    cluster.answers[PIPELINES] = 401, {}
    assert examined()["pipelines"].ok


def test_an_address_that_is_given_is_asked_directly(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.answers["/apis/v2beta1/healthz"] = 200, {}
    cluster.answers["/health"] = 200, "OK"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", cluster.address)
    del cluster.answers[PIPELINES], cluster.answers[MLFLOW]
    found = examined(host=cluster.address)
    assert found["pipelines"].found == found["mlflow"].found == f"{cluster.address} answers"
    refused = examined(host="http://127.0.0.1:9")["pipelines"]
    assert "does not answer" in refused.found
    assert "port-forward service/ml-pipeline 8888:8888" in refused.remedy


def test_a_server_that_is_not_there_is_the_only_finding(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(file.read_text().replace(cluster.address, "http://127.0.0.1:9"))
    (finding,) = examine_cluster()
    assert "http://127.0.0.1:9 does not answer" in finding.found
    assert "kubectl config get-contexts" in finding.remedy
    assert CliRunner().invoke(cli, ["doctor", "--cluster"], standalone_mode=False).return_value == 4


def kubeconfig(user: Mapping[str, Any], server: object = "http://127.0.0.1:9", **cluster: object) -> bytes:
    return json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server, **cluster}}], "users": [{"name": "u", "user": user}],
    }).encode()  # fmt: skip


KUBECONFIGS = {
    "a list": (b"[1]", ""),
    "a word": (b"word", ""),
    "no YAML": (b"{{{", ""),
    "no text": (b"\xaa\xff", "can't decode"),
    "a number for a server": (kubeconfig({}, 5), ""),
    "a certificate that is none": (
        kubeconfig({}, "https://127.0.0.1:9", **{"certificate-authority-data": "!!!notbase64"}), "base64",
    ),
    "no file of the token": (kubeconfig({"tokenFile": "/no/such"}), "/no/such"),
    "no program to log in": (
        kubeconfig({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/such"}}), "/no/such",
    ),
    "a program that says nothing": (
        kubeconfig({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "true"}}), "exec: ",
    ),
    "half a session": (
        kubeconfig({"auth-provider": {"name": "oidc", "config": {"refresh-token": "s3cret"}}}), "Expected key id-token",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KUBECONFIGS)
@pytest.mark.parametrize("command", [("doctor", "--cluster"), ("logs", "x"), ("status", "x")])
def test_a_kubeconfig_that_cannot_be_used_is_told_in_a_line(
    name: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content, says = KUBECONFIGS[name]
    (tmp_path / "kubeconfig").write_bytes(content)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    done = call(*command, folder=tmp_path)
    assert done.code == 4
    assert re.fullmatch(r"Error: No usable kubeconfig: .+\n", done.err)
    assert says in done.err
    assert "s3cret" not in done.err


def test_a_server_without_a_scheme_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_bytes(kubeconfig({}, "ann:s3cret@nonsense"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(ClusterError, match="server must be an http or https address"):
        examine_cluster()


@pytest.mark.parametrize("answer", ["<html>Log in</html>", "[1]", "{no JSON", "null", "{}"])
def test_what_is_no_api_server_is_told_from_one(answer: str, cluster: Cluster, tmp_path: Path) -> None:
    cluster.answers = dict.fromkeys(["/version"], (200, answer))
    done = call("doctor", "--cluster", folder=tmp_path)
    assert done.code == 4
    assert "answers 200, but not as an API server does" in done.out


def test_no_kubeconfig_is_an_error_of_the_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="No usable kubeconfig"):
        examine_cluster()


def test_the_command_ends_well_on_a_healthy_cluster_and_says_so_as_json(cluster: Cluster) -> None:
    done = CliRunner().invoke(cli, ["doctor", "--cluster", "-o", "json"], standalone_mode=False)
    assert done.return_value == 0
    assert {each["remedy"] for each in json.loads(done.stdout)} == {""}


def test_the_command_fails_on_a_fault_and_prints_the_remedy(cluster: Cluster) -> None:
    del cluster.answers[CLAIM]
    done = CliRunner().invoke(cli, ["doctor", "--cluster"], standalone_mode=False)
    assert done.return_value == 1
    assert "BAD  workspace claim: ctlr-workspace is not in lab" in done.stdout
