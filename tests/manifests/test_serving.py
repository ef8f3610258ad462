"""The two ways in which a cluster serves a model: their flags are the command's, their paths the server's."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pod_policy import Document, containers, faults, kustomize, pods, read, render
from ruamel.yaml import YAML

from ctlr.cli.app import cli
from ctlr.cli.serve import serve

ROOT = Path(__file__).parents[2]
SERVING = ROOT / "manifests" / "serving"


def deployment() -> Document:
    ((_, pod),) = pods(read(SERVING / "server.yaml"))
    return pod


def predictor() -> Document:
    """KServe's predictor is a pod's spec."""
    (service,) = read(SERVING / "kserve" / "inference-service.yaml")
    return {"spec": service["spec"]["predictor"]}


PODS = pytest.mark.parametrize("pod", [deployment(), predictor()], ids=["deployment", "kserve"])


@PODS
def test_the_pod_is_restricted_and_knows_no_account(pod: Document) -> None:
    assert faults(pod) == []
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert all(claim.get("readOnly") for each in pod["spec"]["volumes"] if (claim := each.get("persistentVolumeClaim")))


@PODS
def test_its_arguments_are_options_of_the_command(pod: Document) -> None:
    (container,) = containers(pod)
    options = {name for parameter in serve.params for name in parameter.opts}
    place, *words = container["args"]
    assert place in ("/workspace", "/mnt/models")
    assert {word.partition("=")[0] for word in words} <= options
    assert {"--host=0.0.0.0", "--port=8080"} <= set(words)
    assert CliRunner().invoke(cli, ["serve", "--help"]).exit_code == 0


@PODS
def test_its_probes_are_paths_of_the_server(pod: Document) -> None:
    (container,) = containers(pod)
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    routes = (ROOT / "src" / "ctlr" / "serving" / "http" / "app.py").read_text()
    for probe in probes:
        path = re.sub(r"^/v2/models/[\w-]+/ready$", "{place}/ready", probe["path"])
        assert f'Route("{path}"' in routes or f'Route(f"{path}"' in routes
        assert probe["port"] in ("http", 8080)
    assert container["ports"][0]["containerPort"] == 8080


def service() -> Document:
    (found,) = read(SERVING / "kserve" / "inference-service.yaml")
    return found


def test_what_kserves_webhooks_ask_of_a_predictor_is_kept() -> None:
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", service()["metadata"]["name"])
    (container,) = predictor()["spec"]["containers"]
    assert container["name"] == "kserve-container"  # else the model is fetched for nobody
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["PROTOCOL"] == "v2"
    assert re.fullmatch(r"pvc://ctlr-workspace/studies/STUDY", env["STORAGE_URI"])
    assert f"--name={service()['metadata']['name']}" in container["args"]  # KServe's URLs have the service's name
    assert not [each for each in container["volumeMounts"] if each["mountPath"].startswith("/mnt")]  # KServe's own


KSERVE = os.environ.get("CTLR_TEST_KSERVE_CRD", "")


@pytest.mark.skipif(not KSERVE, reason="needs CTLR_TEST_KSERVE_CRD: config/crd/full/…_inferenceservices.yaml of KServe")
def test_kserves_own_schema_knows_every_field() -> None:
    versions = YAML(typ="safe").load(Path(KSERVE).read_text())["spec"]["versions"]
    (schema,) = [each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == "v1beta1"]
    asked = {key: value for key, value in service().items() if key != "metadata"}
    assert list(unknown(asked, schema, "")) == []
    asked["spec"]["predictor"]["minReplica"] = 1
    asked["spec"]["predictor"]["containers"][0]["args"] = "serve"
    assert sorted(unknown(asked, schema, "")) == [
        ".spec.predictor.containers[0].args: no array", ".spec.predictor.minReplica: unknown",
    ]  # fmt: skip


TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool
}  # fmt: skip


def unknown(value: Any, schema: Document, place: str) -> Iterator[str]:
    """Fields that an API server would prune, and values of another type than it takes."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string"):
        return
    if kind is not None and not isinstance(value, TYPES[kind]):
        yield f"{place}: no {kind}"
    elif kind == "object":
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, each in value.items():
            if name in fields or isinstance(others, dict):
                yield from unknown(each, fields.get(name, others), f"{place}.{name}")
            else:
                yield f"{place}.{name}: unknown"
        yield from (f"{place}.{name}: lacking" for name in schema.get("required", ()) if name not in value)
    elif kind == "array":
        for number, each in enumerate(value):
            yield from unknown(each, schema["items"], f"{place}[{number}]")


def test_the_service_finds_its_pods_and_the_rules_name_them() -> None:
    service, server = read(SERVING / "server.yaml")
    (policy,) = read(SERVING / "network.yaml")
    labels = server["spec"]["template"]["metadata"]["labels"]
    wanted = [service["spec"]["selector"], server["spec"]["selector"], policy["spec"]["podSelector"]]
    for selector in wanted:
        assert selector.get("matchLabels", selector).items() <= labels.items()
    assert "egress" not in policy["spec"]
    literals = YAML(typ="safe").load((SERVING / "kustomization.yaml").read_text())["configMapGenerator"][0]["literals"]
    used = {each["valueFrom"]["configMapKeyRef"]["key"] for each in containers(deployment())[0]["env"]}
    assert {literal.partition("=")[0] for literal in literals} == used


def test_the_image_serves_where_kserve_puts_the_model() -> None:
    text = (ROOT / "images" / "serving.Dockerfile").read_text()
    assert 'ENTRYPOINT ["ctlr", "serve"]\nCMD ["/mnt/models", "--host", "0.0.0.0"]' in text
    assert "EXPOSE 8080" in text


@pytest.mark.skipif(kustomize() is None, reason="needs kustomize 5 or kubectl 1.27; the files themselves are checked")
def test_both_folders_render() -> None:
    assert {each["kind"] for each in render(SERVING)} == {"ConfigMap", "Deployment", "NetworkPolicy", "Service"}
    assert {each["kind"] for each in render(SERVING / "kserve")} == {"InferenceService"}
