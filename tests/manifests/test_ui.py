"""The app on a cluster: its flags are the command's, its paths the server's, its rights its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pod_policy import Document, containers, kustomize, pods, read, render
from ruamel.yaml import YAML

from ctlr.cli.ui import ui
from ctlr.ui.guard import HEALTH
from ctlr.ui.options import checked

ROOT = Path(__file__).parents[2]
UI = ROOT / "manifests" / "ui"
NAME = {"app.kubernetes.io/name": "ctlr-ui"}


def pod() -> Document:
    ((_, found),) = pods(read(UI / "server.yaml"))
    return found


def container(namespace: str = "ctlr") -> Document:
    """With its arguments as Kubernetes makes them."""
    (found,) = containers(pod())
    assert found["env"] == [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    return found | {"args": [word.replace("$(NAMESPACE)", namespace) for word in found["args"]]}


def links(config: dict[str, Any]) -> dict[str, Any]:
    """What the script makes of the dashboard's links."""
    metadata = {"name": "centraldashboard-config", "namespace": "kubeflow", "resourceVersion": "7", "uid": "u"}
    document = {"kind": "ConfigMap", "metadata": metadata, "data": {"settings": "{}", "links": json.dumps(config)}}
    command = [sys.executable, str(ROOT / "manifests" / "configure_dashboard.py")]
    done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=True)
    made = json.loads(done.stdout)
    assert made["metadata"] == {"name": "centraldashboard-config", "namespace": "kubeflow"}
    assert made["data"]["settings"] == "{}"
    found: dict[str, Any] = json.loads(made["data"]["links"])
    return found


def test_its_arguments_are_options_that_may_be_served_together(tmp_path: Path) -> None:
    word, *arguments = container("lab")["args"]
    assert word == "ui"
    given = ui.make_context("ui", [*arguments, "--workspace", str(tmp_path)]).params
    options = checked(
        tmp_path, host=given["host"], port=given["port"], prefix=given["root_path"], token=given["token"],
        hosts=given["hosts"], user_header=given["trust_header"], users=given["users"], namespace=given["namespace"],
    )  # fmt: skip
    assert (options.host, options.port, options.hosts) == ("0.0.0.0", 8080, ("*",))
    assert (options.user_header, options.namespace, options.prefix) == ("kubeflow-userid", "lab", "/ctlr/lab")
    assert options.token == ""


def test_its_probes_ask_what_is_open_to_nodes() -> None:
    found = container()
    probes = [found[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    assert probes == [{"path": HEALTH, "port": "http"}] * 3
    assert found["ports"] == [{"name": "http", "containerPort": 8080}]


def test_service_gateway_and_rules_name_its_pods_and_its_port() -> None:
    service, server = read(UI / "server.yaml")
    route, policy = read(UI / "gateway.yaml")
    (network,) = read(UI / "network.yaml")
    assert server["spec"]["template"]["metadata"]["labels"] == NAME
    for selector in (server["spec"]["selector"], policy["spec"]["selector"], network["spec"]["podSelector"]):
        assert selector == {"matchLabels": NAME}
    assert service["spec"]["selector"] == NAME
    (port,) = service["spec"]["ports"]
    (http,) = route["spec"]["http"]
    (way,) = http["route"]
    assert way["destination"] == {"host": service["metadata"]["name"], "port": {"number": port["port"]}}
    assert route["spec"]["gateways"] == ["kubeflow/kubeflow-gateway"]
    assert port["targetPort"] == "http"


def test_nobody_but_the_gateway_reaches_a_port_where_a_header_is_believed() -> None:
    (network,) = read(UI / "network.yaml")
    (ingress,) = network["spec"]["ingress"]
    (source,) = ingress["from"]  # both selectors in one: those pods of that namespace
    assert source["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "istio-system"}
    assert source["podSelector"]["matchLabels"] == {"istio": "ingressgateway"}
    assert ingress["ports"] == [{"protocol": "TCP", "port": 8080}]
    _, policy = read(UI / "gateway.yaml")
    (rule,) = policy["spec"]["rules"]
    (source,) = rule["from"]
    account = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"
    assert (policy["spec"]["action"], source) == ("ALLOW", {"source": {"principals": [account]}})


def test_the_gateways_path_is_the_one_below_which_the_app_is_shown() -> None:
    space = YAML(typ="safe").load((UI / "kustomization.yaml").read_text())["namespace"]
    route, _ = read(UI / "gateway.yaml")
    (match,) = route["spec"]["http"][0]["match"]
    assert match == {"uri": {"prefix": f"/ctlr/{space}/"}}
    assert f"--root-path=/ctlr/{space}" in container(space)["args"]


def test_it_acts_by_an_account_that_can_do_nothing_to_runs() -> None:
    account, role, binding = read(UI / "account.yaml")
    assert pod()["spec"]["serviceAccountName"] == account["metadata"]["name"] == "ctlr-ui"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "ctlr-ui"}]
    assert role["kind"] == "Role"
    verbs = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    changing = {(resource, verb) for resource, verb in verbs if verb not in ("get", "list", "watch")}
    assert changing == {("localsubjectaccessreviews", "create")}
    assert "secrets" not in {resource for resource, _ in verbs}


def test_its_image_holds_what_it_needs() -> None:
    assert container()["image"].startswith("ctlr/ctlr-cpu:")
    assert "'.[cluster,tracking,ui]'" in (ROOT / "images" / "cpu.Dockerfile").read_text()


def test_the_menu_gets_one_entry_after_katibs_and_keeps_all_others() -> None:
    book = {"type": "item", "link": "/jupyter/", "text": "Notebooks", "icon": "book"}
    katib = {"type": "item", "link": "/katib/", "text": "Katib Experiments", "icon": "kubeflow:katib"}
    pipelines = {"type": "section", "text": "Pipelines", "items": [{"type": "item", "link": "/pipeline/#/runs"}]}
    before = {"menuLinks": [book, katib, pipelines], "quickLinks": [{"link": "/jupyter/new"}]}
    once = links(before)
    ours = {"type": "item", "link": "/ctlr/{ns}/", "text": "CTLR", "icon": "timeline"}
    assert once == before | {"menuLinks": [book, katib, ours, pipelines]}
    assert links(once) == once
    assert links({"menuLinks": [book]})["menuLinks"] == [book, ours]


def test_a_config_map_of_something_else_is_left_alone() -> None:
    command = [sys.executable, str(ROOT / "manifests" / "configure_dashboard.py")]
    text = json.dumps({"metadata": {"name": "other"}, "data": {"menu": "{}"}})
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no key 'links'" in done.stderr


@pytest.mark.skipif(kustomize() is None, reason="needs kustomize 5 or kubectl 1.27; the files themselves are checked")
def test_the_folder_renders_into_one_namespace() -> None:
    documents = render(UI)
    assert {each["kind"] for each in documents} == {
        "AuthorizationPolicy", "Deployment", "NetworkPolicy", "Role", "RoleBinding", "Service", "ServiceAccount",
        "VirtualService",
    }  # fmt: skip
    assert {each["metadata"]["namespace"] for each in documents} == {"ctlr"}
    (binding,) = [each for each in documents if each["kind"] == "RoleBinding"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "ctlr-ui", "namespace": "ctlr"}]


@pytest.mark.skipif(kustomize() is None, reason="needs kustomize 5 or kubectl 1.27; the files themselves are checked")
def test_the_guides_overlay_puts_it_into_a_profile_below_its_own_path(tmp_path: Path) -> None:
    found = re.search(
        r"```yml\n# my-app/(kustomization.yaml)\n(.+?)```", (ROOT / "docs" / "app.md").read_text(), re.DOTALL
    )
    assert found is not None
    place = os.path.relpath(ROOT / "manifests", tmp_path.resolve())
    (tmp_path / found[1]).write_text(found[2].replace("../manifests", place))
    documents = render(tmp_path)
    assert {each["metadata"]["namespace"] for each in documents} == {"alice"}
    (route,) = [each for each in documents if each["kind"] == "VirtualService"]
    (match,) = route["spec"]["http"][0]["match"]
    assert match == {"uri": {"prefix": "/ctlr/alice/"}}
    assert "--root-path=/ctlr/alice" in container("alice")["args"]
