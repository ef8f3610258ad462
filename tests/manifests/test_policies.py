"""Policies over every manifest: over the files as they stand, and over what kustomize renders where there is one."""

from __future__ import annotations

import configparser
import copy
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pod_policy import Document, containers, faults, kustomize, pods, read, render

import ctlr
from ctlr.cluster.checkup import CHECKED_RIGHTS
from ctlr.specs import PlatformSpec
from ctlr.tuning.katib import Right
from ctlr.tuning.katib.connection import APP_RIGHTS

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
RENDERED = ["base", "overlays/kind", "overlays/gpu", "overlays/profile"]
FILES = sorted(
    path
    for path in MANIFESTS.rglob("*.yaml")
    if path.name not in ("kustomization.yaml", "katib-config.yaml", "mlflow-s3.yaml")
)
EXPERIMENTS = sorted((ROOT / "katib").glob("*.yaml"))
SECRETS = {"mlflow-database": {"password"}, "mlflow-auth": {"username", "password", "flask-key"},
           "mlflow-s3": {"access-key-id", "secret-access-key"}}  # fmt: skip
"""Made by manifests/secrets.sh; the last by hand, as overlays/gpu says."""

needs_kustomize = pytest.mark.skipif(
    kustomize() is None, reason="needs kustomize 5 or kubectl 1.27; the files themselves are checked"
)


@pytest.fixture(scope="module", params=[pytest.param(name, marks=needs_kustomize) for name in RENDERED])
def rendered(request: pytest.FixtureRequest) -> list[Document]:
    return render(MANIFESTS / request.param)


def test_pods_of_every_overlay_are_restricted(rendered: list[Document]) -> None:
    assert {name: found for name, pod in pods(rendered) if (found := faults(pod))} == {}


@pytest.mark.parametrize("path", [*FILES, *EXPERIMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_pods_of_every_file_are_restricted(path: Path) -> None:
    assert {name: found for name, pod in pods(read(path)) if (found := faults(pod))} == {}


def _spoil(change: Callable[[Document, Document], Any]) -> Document:
    """A good pod with one thing changed."""
    (_, good), *_ = pods(read(MANIFESTS / "components" / "check" / "job.yaml"))
    template = copy.deepcopy(good)
    change(template["spec"], template["spec"]["containers"][0])
    return template


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda pod, main: pod["securityContext"].pop("runAsNonRoot"), "may run as root"),
        (lambda pod, main: main["securityContext"].update(runAsUser=0), "may run as root"),
        (lambda pod, main: pod["securityContext"].pop("seccompProfile"), "has no seccomp profile"),
        (lambda pod, main: main["securityContext"].pop("allowPrivilegeEscalation"), "may gain privileges"),
        (lambda pod, main: main["securityContext"].update(capabilities={"drop": ["NET_RAW"]}), "keeps capabilities"),
        (lambda pod, main: main["securityContext"].pop("readOnlyRootFilesystem"), "may write to its root"),
        (lambda pod, main: main["resources"].pop("limits"), "does not say what it needs"),
        (lambda pod, main: main["resources"]["requests"].pop("cpu"), "does not say what it needs"),
        (lambda pod, main: main.update(image="ctlr/ctlr-cpu:latest"), "has no pinned image"),
        (lambda pod, main: main.update(image="localhost:5000/ctlr-cpu"), "has no pinned image"),
        (lambda pod, main: pod.update(hostNetwork=True), "hostNetwork is set"),
        (lambda pod, main: pod["volumes"].append({"name": "etc", "hostPath": {"path": "/etc"}}), "is a hostPath"),
    ],
)
def test_each_rule_finds_the_pod_that_breaks_it(change: Callable[[Document, Document], Any], fault: str) -> None:
    (found,) = faults(_spoil(change))
    assert found.endswith(fault)


def test_selectors_find_their_pods(rendered: list[Document]) -> None:
    labels = [pod["metadata"]["labels"] for _, pod in pods(rendered)]
    ports = {port["name"]: port["containerPort"] for _, pod in pods(rendered) for each in containers(pod)
             for port in each.get("ports", [])}  # fmt: skip
    for document in rendered:
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            assert any(spec["selector"].items() <= found.items() for found in labels), document["metadata"]["name"]
            assert all(ports[port["targetPort"]] == port["port"] for port in spec["ports"])
        if document["kind"] in ("Deployment", "StatefulSet"):
            wanted = spec["selector"]["matchLabels"]
            assert wanted.items() <= spec["template"]["metadata"]["labels"].items()


def test_network_rules_name_pods_that_there_are(rendered: list[Document]) -> None:
    there = {pod["metadata"]["labels"]["app.kubernetes.io/name"] for _, pod in pods(rendered)} | {
        "ctlr-check",
        "mlflow",
    }
    names = set()
    for document in rendered:
        if document["kind"] == "NetworkPolicy":
            text = repr(document["spec"])
            names |= set(re.findall(r"'app.kubernetes.io/name': '([\w-]+)'", text))
    assert names <= there


def test_every_namespace_of_its_own_denies_by_default(rendered: list[Document]) -> None:
    (deny,) = [
        each for each in rendered if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "default-deny"
    ]
    assert set(deny["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in deny["spec"]
    assert "egress" not in deny["spec"]
    beside_kubeflow = deny["metadata"]["namespace"] == "kubeflow"
    ours = {"matchLabels": {"app.kubernetes.io/part-of": "ctlr"}}
    assert deny["spec"]["podSelector"] == (ours if beside_kubeflow else {})


def test_what_pods_refer_to_exists(rendered: list[Document]) -> None:
    there = {(each["kind"], each["metadata"]["name"]): each for each in rendered}
    for _, pod in pods(rendered):
        account = pod["spec"].get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in there
        assert pod["spec"].get("priorityClassName", "ctlr-trial") == "ctlr-trial"
        for volume in pod["spec"].get("volumes", []):
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in there
            if kept := volume.get("configMap"):
                assert ("ConfigMap", kept["name"]) in there
            if secret := volume.get("secret"):
                assert secret["secretName"] in SECRETS
        for variable in (each for container in containers(pod) for each in container.get("env", [])):
            source = variable.get("valueFrom", {})
            if key := source.get("configMapKeyRef"):
                assert key["key"] in there["ConfigMap", key["name"]]["data"]
            if key := source.get("secretKeyRef"):
                assert key["key"] in SECRETS[key["name"]]


def test_what_a_pod_reads_from_a_mounted_config_map_is_a_key_of_it() -> None:
    if kustomize() is None:
        pytest.skip("needs kustomize 5 or kubectl 1.27")
    documents = render(MANIFESTS / "base")
    (config,) = [each["data"] for each in documents if each["kind"] == "ConfigMap"]
    (server,) = [pod for name, pod in pods(documents) if name == "Deployment/mlflow"]
    named = re.findall(r"/etc/mlflow/([\w.]+)", repr(server))
    assert sorted(set(named)) == ["basic_auth.ini", "wait_for_schema.py"]
    assert set(named) <= set(config)
    parsed = configparser.ConfigParser()
    parsed.read_string(config["basic_auth.ini"])
    assert parsed["mlflow"]["database_uri"] == "postgresql+psycopg2://"


def test_no_secret_has_a_value_in_git(rendered: list[Document]) -> None:
    assert [each["metadata"]["name"] for each in rendered if each["kind"] == "Secret"] == []
    for _, pod in pods(rendered):
        for variable in (each for container in containers(pod) for each in container.get("env", [])):
            if re.search(r"PASSWORD$|SECRET|KEY|TOKEN", variable["name"]):
                assert "value" not in variable, variable["name"]


def test_the_generator_makes_the_secrets_that_pods_read() -> None:
    text = (MANIFESTS / "secrets.sh").read_text()
    for name in ("mlflow-database", "mlflow-auth"):
        made = text.partition(f"create secret generic {name}")[2].partition("\nfi")[0]
        assert set(re.findall(r'--from-file="\$values/([\w-]+)"', made)) == SECRETS[name]


@needs_kustomize
@pytest.mark.parametrize("under", ["base", "overlays/gpu"])
def test_beside_a_standalone_pipelines_all_is_in_its_namespace_and_nothing_of_its_own_is_touched(
    under: str, tmp_path: Path
) -> None:
    folder = Path(os.path.relpath(MANIFESTS, tmp_path.resolve()))
    text = {"namespace": "kubeflow", "resources": [str(folder / under)],
            "components": [str(folder / "components" / "standalone-pipelines")]}  # fmt: skip
    (tmp_path / "kustomization.yaml").write_text(json.dumps(text))
    documents = render(tmp_path)
    kinds = {each["kind"] for each in documents}
    assert kinds.isdisjoint({"Namespace", "ResourceQuota", "LimitRange"})
    assert {each["metadata"].get("namespace") for each in documents} == {"kubeflow", None}
    policies = [each for each in documents if each["kind"] == "NetworkPolicy"]
    assert policies
    assert all(each["spec"]["podSelector"].get("matchLabels") for each in policies)
    (binding,) = [each for each in documents if each["kind"] == "RoleBinding"]
    assert {each["name"] for each in binding["subjects"]} == {"ctlr-pipeline", "pipeline-runner"}
    (config,) = [each["data"] for each in documents if each["kind"] == "ConfigMap"]
    assert "mlflow.kubeflow.svc" in config["ALLOWED_HOSTS"].split(",")


@needs_kustomize
def test_components_fit_onto_the_base(tmp_path: Path) -> None:
    folder = Path(os.path.relpath(MANIFESTS, tmp_path.resolve()))
    parts = [str(folder / "components" / name) for name in ("check", "kueue", "podmonitor")]
    text = {"namespace": "ctlr", "resources": [str(folder / "base")], "components": parts}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(text))
    there = {(each["kind"], each["metadata"]["name"]): each for each in render(tmp_path)}
    assert there["LocalQueue", "default"]["metadata"]["namespace"] == "ctlr"  # Kueue's name for what takes every Job
    (endpoint,) = there["PodMonitor", "mlflow"]["spec"]["podMetricsEndpoints"]
    assert {endpoint["basicAuth"][key]["key"] for key in ("username", "password")} <= SECRETS["mlflow-auth"]
    (server,) = containers(there["Deployment", "mlflow"]["spec"]["template"])[1:]
    assert server["args"][-1].startswith("--expose-prometheus=/tmp/")
    assert endpoint["port"] in {port["name"] for port in server["ports"]}
    assert faults(there["Job", "ctlr-check"]["spec"]["template"]) == []


@pytest.mark.parametrize(
    ("file", "rights"), [("base/tenant/account.yaml", CHECKED_RIGHTS), ("ui/account.yaml", APP_RIGHTS)]
)
def test_the_role_allows_what_the_code_asks_for_and_nothing_else(file: str, rights: tuple[Right, ...]) -> None:
    (role,) = [each for each in read(MANIFESTS / file) if each["kind"] == "Role"]
    allowed = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    wanted = {(right.group, right.resource, verb) for right in rights for verb in right.verbs}
    assert allowed == wanted


def test_the_code_calls_nothing_that_the_role_lacks() -> None:
    calls = set()
    for path in [*(ROOT / "src/ctlr/tuning/katib").glob("*.py"), *(ROOT / "src/ctlr/cluster").glob("*.py")]:
        calls |= set(
            re.findall(
                r"\b(?:api|_core|_custom|_authorization)\.((?:read|list|create|patch|delete|get)_\w+)", path.read_text()
            )
        )
    known = {
        "create_namespaced_custom_object", "delete_namespaced_custom_object", "get_namespaced_custom_object",
        "list_namespaced_custom_object", "patch_namespaced_custom_object",
        "create_namespaced_local_subject_access_review",
        "list_namespaced_event", "list_namespaced_pod", "read_namespaced_pod", "read_namespaced_pod_log",
    }  # fmt: skip
    assert calls <= known, "a new call: add its verb to RIGHTS or APP_RIGHTS, and to the Role in manifests"


def test_images_are_those_that_make_builds(rendered: list[Document]) -> None:
    ours = {container["image"] for _, pod in pods(rendered) for container in containers(pod)}
    built = {f"ctlr/{name}:{ctlr.__version__}" for name in ("ctlr-cpu", "ctlr-gpu", "ctlr-suggestion", "mlflow")}
    assert {image for image in ours if image.startswith("ctlr/")} <= built


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_trials_use_the_claim_and_the_priority_class_that_the_manifests_make(path: Path) -> None:
    (document,) = read(path)
    ((_, pod),) = pods([document])
    claims = {each["persistentVolumeClaim"]["claimName"] for each in pod["spec"]["volumes"]
              if "persistentVolumeClaim" in each}  # fmt: skip
    (workspace,) = read(MANIFESTS / "base" / "tenant" / "workspace.yaml")
    assert claims == {workspace["metadata"]["name"]} == {PlatformSpec().volume}
    (priority,) = read(MANIFESTS / "base" / "priority.yaml")
    assert pod["spec"]["priorityClassName"] == priority["metadata"]["name"] == PlatformSpec().priority_class
    assert all(each["image"].endswith(f":{ctlr.__version__}") for each in containers(pod))


def test_the_migration_is_that_of_the_servers_version() -> None:
    pinned = re.search(r"^mlflow==([\d.]+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    (job,) = read(MANIFESTS / "base" / "mlflow" / "migration.yaml")
    assert job["metadata"]["name"] == f"mlflow-migrate-{pinned[1].replace('.', '-')}"


def test_the_server_waits_by_functions_that_mlflow_has() -> None:
    utils = pytest.importorskip("mlflow.store.db.utils")
    text = (MANIFESTS / "base" / "mlflow" / "wait_for_schema.py").read_text()
    named = re.findall(r"utils\.(\w+)", text)
    assert named == ["_get_latest_schema_revision", "_get_schema_version"]
    assert all(callable(getattr(utils, name)) for name in named)


def test_kubeflow_comes_by_pinned_reference() -> None:
    found = [
        resource
        for path in sorted((MANIFESTS / "kubeflow").glob("*/kustomization.yaml"))
        for document in read(path)
        for resource in document["resources"]
    ]
    assert len(found) == 3
    assert all(
        re.fullmatch(r"https://github\.com/kubeflow/\S+\?ref=v?\d+\.\d+\.\d+&timeout=\d+s", each) for each in found
    )
