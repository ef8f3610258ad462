"""CTLR's part of an installed Katib's configuration."""

import json
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
KATIB = """\
apiVersion: config.kubeflow.org/v1beta1
kind: KatibConfig
init: {controller: {webhookPort: 8443}}
runtime:
  metricsCollectors:
    - {kind: StdOut, image: ghcr.io/kubeflow/katib/file-metrics-collector:v0.19.0}
  suggestions:
    - {algorithmName: tpe, image: ghcr.io/kubeflow/katib/suggestion-hyperopt:v0.19.0}
    - {algorithmName: darts, image: ghcr.io/kubeflow/katib/suggestion-darts:v0.19.0}
"""


def configure(document: dict[str, object]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "manifests" / "configure_katib.py")]
    return subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=False)


def config_map(text: str, key: str = "katib-config.yaml") -> dict[str, object]:
    metadata = {"name": "katib-config", "namespace": "kubeflow", "resourceVersion": "7", "uid": "u"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: text}}


def test_ours_replace_those_of_the_same_name_and_the_rest_stays() -> None:
    made = json.loads(configure(config_map(KATIB)).stdout)
    assert made["metadata"] == {"name": "katib-config", "namespace": "kubeflow"}
    config = YAML(typ="safe").load(made["data"]["katib-config.yaml"])
    images = {each["algorithmName"]: each["image"] for each in config["runtime"]["suggestions"]}
    assert images["tpe"] == images["evolutionary"] == "ctlr/ctlr-suggestion:0.1.0"
    assert images["darts"] == "ghcr.io/kubeflow/katib/suggestion-darts:v0.19.0"
    assert config["init"] == {"controller": {"webhookPort": 8443, "injectSecurityContext": True}}
    assert config["runtime"]["metricsCollectors"][0]["kind"] == "StdOut"


def test_configuring_twice_changes_nothing_more() -> None:
    once = configure(config_map(KATIB)).stdout
    assert configure(json.loads(once)).stdout == once


def test_services_are_restricted_and_say_what_they_need() -> None:
    for each in YAML(typ="safe").load(ROOT / "manifests" / "katib-config.yaml")["runtime"]["suggestions"]:
        assert each["securityContext"] == {
            "runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
        assert {"cpu", "memory"} <= set(each["resources"]["requests"])
        assert "memory" in each["resources"]["limits"]


def test_another_config_map_is_refused() -> None:
    done = configure(config_map("", key="other"))
    assert done.returncode == 1
    assert "no key 'katib-config.yaml'" in done.stderr
