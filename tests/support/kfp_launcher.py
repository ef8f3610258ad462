"""What Kubeflow Pipelines' launcher does with a compiled component: its command, with the inputs of one execution.

Left out: the driver, the metadata store, the object store. Artefacts are files of the pod's own scratch.
"""

import json
from pathlib import Path
from typing import Any

import yaml

__all__ = ["launched", "outputs_of"]

_COMPILED = Path(__file__).parents[2] / "pipelines" / "benchmark.yaml"
_OUTPUT = "/tmp/outputs/executor_output.json"


def launched(component: str, **parameters: Any) -> list[str]:
    """Words that execute a component of the compiled pipeline, and print its outputs as their last line.

    Args:
        component: Its name, e.g. tune.
        **parameters: Its inputs.
    """
    pipeline = next(yaml.safe_load_all(_COMPILED.read_text()))
    container = pipeline["deploymentSpec"]["executors"][f"exec-{component}"]["container"]
    outputs = pipeline["components"][f"comp-{component}"].get("outputDefinitions", {})
    execution = {
        "inputs": {"parameterValues": parameters, "artifacts": {}},
        "outputs": {
            "parameters": {name: {"outputFile": f"/tmp/outputs/{name}"} for name in outputs.get("parameters", {})},
            "artifacts": {
                name: {"artifacts": [_artefact(name, each)]} for name, each in outputs.get("artifacts", {}).items()
            },
            "outputFile": _OUTPUT,
        },
    }
    args = [json.dumps(execution) if word == "{{$}}" else word for word in container["args"]]
    return ["sh", "-c", f'"$@" && cat {_OUTPUT}', "launcher", *container["command"], *args]


def _artefact(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "type": definition["artifactType"], "uri": f"/tmp/outputs/{name}", "metadata": {}}


def outputs_of(log: str) -> dict[str, Any]:
    """Output parameters, and the metadata of output artefacts, by name."""
    found = json.loads(log.splitlines()[-1])
    artefacts = {name: each["artifacts"][0]["metadata"] for name, each in found.get("artifacts", {}).items()}
    return found.get("parameterValues", {}) | artefacts
