"""The manifests on a real API server, and CTLR's image under the real Role: any cluster of KUBECONFIG will do.

Images (ctlr/ctlr-cpu, ctlr/mlflow, postgres) have to be on its nodes or to be had from there. Where a cluster lacks
something, the tests make up for it or say so: without a storage class, claims get folders of the node; without a
cluster DNS, MLflow is told its database's address. Kubernetes before 1.23 knows no Pod Security admission: there
tests/manifests alone checks that pods are restricted. Whether network rules are enforced is up to the network.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from katib_crds import katib_there
from kfp_launcher import launched, outputs_of
from pod_policy import Document, kustomize, pods, render
from real_cluster import apply, ended_job, get, job_of, kubectl, scores_there
from ruamel.yaml import YAML
from terminal import ctlr
from tiny_bench import TINY, search_of

from ctlr.cluster.request import request_of
from ctlr.cluster.submission import packed
from ctlr.specs import PlatformSpec, fingerprint

ROOT = Path(__file__).parents[2]
NAMESPACE = "ctlr-e2e"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:ctlr-pipeline"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not (os.environ.get("KUBECONFIG") and shutil.which("kubectl") and kustomize()),
        reason="needs a cluster (KUBECONFIG), kubectl, and kustomize 5 or kubectl 1.27",
    ),
]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """All that `kubectl apply -k` sends, for a namespace of the tests' own."""
    folder = tmp_path_factory.mktemp("overlay")
    base = os.path.relpath(ROOT / "manifests" / "base", folder.resolve())
    folder.joinpath("kustomization.yaml").write_text(json.dumps({"namespace": NAMESPACE, "resources": [base]}))
    return render(folder)


@pytest.fixture(scope="module")
def has_katib() -> bool:
    """Whether Katib's controllers are there; its kinds are after this."""
    from kubernetes import config

    config.load_kube_config(os.environ["KUBECONFIG"])
    return katib_there()


@pytest.fixture(scope="module")
def applied(documents: list[Document], has_katib: bool) -> Iterator[str]:
    """What kubectl said when it applied them, on both streams."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")
    volumes = [] if get("storageclasses")["items"] else [_folder(name, claim) for name, claim in _claims(documents)]
    for volume in volumes:
        kubectl("delete", "persistentvolume", volume["metadata"]["name"], "--ignore-not-found")
    try:
        apply([each for each in documents if each["kind"] == "Namespace"] + volumes)
        secrets = subprocess.run(
            ["sh", str(ROOT / "manifests" / "secrets.sh"), NAMESPACE], capture_output=True, text=True, check=False
        )
        assert secrets.returncode == 0, secrets.stderr
        done = apply(_named(documents))
        yield done.stdout + done.stderr
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=true", check=False)
        for volume in volumes:
            kubectl("delete", "persistentvolume", volume["metadata"]["name"], check=False)


def _claims(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    for document in documents:
        if document["kind"] == "PersistentVolumeClaim":
            yield document["metadata"]["name"], document["spec"]
        for claim in document.get("spec", {}).get("volumeClaimTemplates", []):
            yield f"{claim['metadata']['name']}-{document['metadata']['name']}-0", claim["spec"]


def _folder(name: str, claim: Document) -> Document:
    """A volume for one claim, in a folder of the node that every user may write."""
    return {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{NAMESPACE}-{name}"},
        "spec": {
            "capacity": claim["resources"]["requests"], "accessModes": claim["accessModes"],
            "claimRef": {"namespace": NAMESPACE, "name": name},
            "hostPath": {"path": _writable(name), "type": "Directory"},
        },
    }  # fmt: skip


def _writable(name: str) -> str:
    """The folder, made: tests run beside such a node and see its disk."""
    folder = Path(os.environ.get("CTLR_TEST_VOLUMES", "/var/tmp/ctlr-e2e")) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    return str(folder)


def _named(documents: list[Document]) -> list[Document]:
    """The documents, with an address in place of the database's name where the cluster resolves none."""
    if kubectl("-n", "kube-system", "get", "service", "kube-dns", check=False).returncode == 0:
        return documents
    services = [each for each in documents if each["kind"] == "Service"]
    apply(services)
    address = get("-n", NAMESPACE, "service", "mlflow-database")["spec"]["clusterIP"]
    made = copy.deepcopy(documents)
    for _, pod in pods(made):
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            for variable in container.get("env", []):
                if variable["name"] == "PGHOST":
                    variable["value"] = address
    return made


def _job(name: str, *words: str, config: str = "", command: Sequence[str] = ()) -> Document:
    """`real_cluster.job_of` in the tests' namespace, and perhaps with a ConfigMap's files at /config."""
    job = job_of(name, NAMESPACE, *words, command=command)
    if config:
        spec = job["spec"]["template"]["spec"]
        spec["volumes"].append({"name": "config", "configMap": {"name": config}})
        spec["containers"][0]["volumeMounts"].append({"name": "config", "mountPath": "/config", "readOnly": True})
    return job


def test_everything_is_taken_without_a_warning(applied: str, documents: list[Document]) -> None:
    assert "warning" not in applied.lower()
    assert len([line for line in applied.splitlines() if line.endswith(("created", "configured", "unchanged"))]) == len(
        documents
    )


def test_secrets_that_are_there_are_left_alone(applied: str) -> None:
    before = get("-n", NAMESPACE, "secret", "mlflow-auth")["data"]
    subprocess.run(["sh", str(ROOT / "manifests" / "secrets.sh"), NAMESPACE], check=True, capture_output=True)
    assert get("-n", NAMESPACE, "secret", "mlflow-auth")["data"] == before
    assert len(base64.b64decode(before["password"])) == 48


def test_the_role_allows_a_search_and_nothing_beyond(applied: str) -> None:
    def may(*words: str) -> str:
        return kubectl("auth", "can-i", *words, "-n", NAMESPACE, f"--as={ACCOUNT}", check=False).stdout.strip()

    assert may("create", "experiments.kubeflow.org") == may("get", "pods/log") == "yes"
    assert may("delete", "pods") == may("get", "secrets") == may("create", "jobs.batch") == "no"
    assert may("list", "experiments.kubeflow.org", "--all-namespaces") == "no"


def test_no_container_may_ask_for_more_than_a_node_has(applied: str) -> None:
    job = _job("greedy", "doctor")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "greedy", "namespace": NAMESPACE},
           "spec": job["spec"]["template"]["spec"]}  # fmt: skip
    pod["spec"]["containers"][0]["resources"]["limits"]["memory"] = "129Gi"
    done = kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
    assert "maximum memory usage per Container is 128Gi" in done.stderr


def test_mlflow_comes_up_and_wants_a_password(applied: str) -> None:
    kubectl("-n", NAMESPACE, "rollout", "status", "deployment/mlflow", "--timeout=400s")
    service = f"/api/v1/namespaces/{NAMESPACE}/services/http:mlflow:5000/proxy"
    assert kubectl("get", "--raw", f"{service}/health").stdout == "OK"
    assert kubectl("get", "--raw", f"{service}/api/2.0/mlflow/experiments/get?experiment_id=0", check=False).returncode


def test_doctor_in_a_pod_finds_every_right_and_the_workspace(applied: str) -> None:
    apply([_job("check", "doctor", "--cluster", "--output", "json")])
    _, log = ended_job("check", NAMESPACE)
    findings = {each["what"]: each for each in json.loads(log)}
    rights = {what: each for what, each in findings.items() if what.startswith("right ")}
    assert len(rights) >= 6
    assert all(each["ok"] for each in rights.values()), rights
    assert findings["kubernetes"]["ok"]
    assert findings["workspace claim"]["ok"]
    assert findings["gpu nodes"]["found"] == "not seen with these rights"


def test_a_benchmark_runs_on_a_read_only_root_to_its_report(applied: str) -> None:
    text = TINY.replace("[6, 10]", "[6]").replace("simclr: {}, vat: {}", "")
    assert YAML(typ="safe").load(text)["name"] == "tiny"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tiny", "namespace": NAMESPACE},
              "data": {"tiny.yaml": text}}  # fmt: skip
    apply([config, _job("tiny", "run", "/config/tiny.yaml", "--workers=1", config="tiny")])
    ended, log = ended_job("tiny", NAMESPACE)
    assert ended == "Complete", log
    assert "Report: /workspace/reports/tiny/report.html" in log


TUNED = (
    TINY.replace("simclr: {}, vat: {}}", "}").replace("n_frozen: 1}}, }", "n_frozen: 1}}}").replace("[6, 10]", "[6]")
    .replace("seeds: [0]", "seeds: [1]")  # no study that another test leaves in the workspace
    + "tuning: {experiments: {scratch: rate.yaml, supervised: rate.yaml}, trials: 2, parallel: 1, share: false}\n"
)  # fmt: skip


@pytest.fixture
def tuned_benchmark(tmp_path: Path) -> Any:
    from ctlr.config import load

    (tmp_path / "tiny.yaml").write_text(TUNED)
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    return load(tmp_path / "tiny.yaml")


@pytest.fixture
def katib(applied: str, has_katib: bool) -> Iterator[None]:
    """Katib at work on the namespace, or its double."""
    from katib_double import KatibDouble
    from kubernetes import client

    with contextlib.nullcontext() if has_katib else KatibDouble(client.ApiClient(), NAMESPACE, period=0.2):
        yield


def _execute(component: str, **inputs: Any) -> dict[str, Any]:
    """Outputs of a component that runs in a pod as Kubeflow Pipelines starts it."""
    return outputs_of(_log_of(component, **inputs))


def _log_of(component: str, **inputs: Any) -> str:
    name = f"{component}-{fingerprint(json.dumps(inputs))[:8]}"
    job = _job(name, command=launched(component, workspace="/workspace", **inputs))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    del container["args"]
    container["env"].append({"name": "KFP_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    apply([job])
    ended, log = ended_job(name, NAMESPACE)
    assert ended == "Complete", log
    return log


def test_the_pipelines_components_tune_by_katib_and_find_what_a_laptop_finds(
    katib: None, tuned_benchmark: Any, tmp_path: Path
) -> None:
    request = request_of(tuned_benchmark)
    arguments = request.arguments
    place = {"submission": arguments["submission"], "run": "0b1f"}
    sent = packed(arguments["benchmark"], arguments["manifests"], _small())
    assert _execute("preprocess", sent=sent, **place)["arrays"]["status"] == "ok"
    assert "'pretrain_finished': 1" in _log_of("pretrain", **place)

    assert "'tune_finished': 2" in _log_of("tune", **place)
    jobs = [each for each in get("-n", NAMESPACE, "jobs")["items"] if _is_trial(each)]
    assert len(jobs) == 4
    assert {each["spec"]["template"]["spec"]["priorityClassName"] for each in jobs} == {"ctlr-trial"}
    assert {each["spec"]["template"]["spec"]["containers"][0]["image"] for each in jobs} == {PlatformSpec().image}

    assert "'study_finished': 3" in _log_of("train", **place)
    listed = _execute("evaluate", **place)
    assert (listed["metrics"]["studies"], listed["metrics"]["failed"], listed["studies"]["studies"]) == (3, 0, 3)
    assert _execute("report", submission=place["submission"])["counts"]["studies"] == 3

    laptop = ctlr("run", "tiny.yaml", "--workers=1", folder=tmp_path)
    assert laptop.code == 0, laptop.err
    results = tmp_path.glob("workspace/studies/*/result.json")
    here = {path.parent.name: json.loads(path.read_text())["scores"]["test"]["mae"] for path in results}
    assert len(here) == 3
    there = scores_there(NAMESPACE)
    for study, score in here.items():  # the options that were chosen are part of a study's identity
        assert there[study] == pytest.approx(score, rel=1e-3)  # processors round differently


def _small() -> str:
    """The platform, with what a small node has."""
    return PlatformSpec(cpu="500m", memory="1Gi").model_dump_json()


def _is_trial(job: Document) -> bool:
    return any(each["kind"] == "Trial" for each in job["metadata"].get("ownerReferences", []))
