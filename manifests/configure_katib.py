"""Bring CTLR's part into the configuration of an installed Katib, whatever else stands in it.

    kubectl -n kubeflow get configmap katib-config -o json |
        python manifests/configure_katib.py | kubectl apply -f -

Entries with the same algorithm are replaced, the others stay. Katib reads them anew for each experiment, and the part
below `init` when its controller starts.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

KEY = "katib-config.yaml"
OURS = Path(__file__).with_name("katib-config.yaml")


def configured(config: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """A KatibConfig with the suggestions and the controller's settings of another one in the place of its own."""
    init = config.get("init", {})
    controller = init.get("controller", {}) | ours["init"]["controller"]
    suggestions = {each["algorithmName"]: each for each in config["runtime"].get("suggestions", [])}
    suggestions |= {each["algorithmName"]: each for each in ours["runtime"]["suggestions"]}
    return config | {
        "init": init | {"controller": controller},
        "runtime": config["runtime"] | {"suggestions": list(suggestions.values())},
    }


def main() -> None:
    """Read a ConfigMap as JSON, write it as JSON."""
    found = json.load(sys.stdin)
    if KEY not in found.get("data", {}):
        sys.exit(f"The ConfigMap has no key {KEY!r}: this is for Katib 0.16 and later.")
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(configured(yaml.load(found["data"][KEY]), yaml.load(OURS)), text)
    metadata = {key: found["metadata"][key] for key in ("name", "namespace", "labels") if key in found["metadata"]}
    kept = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": found["data"] | {KEY: text.getvalue()},
    }
    json.dump(kept, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
