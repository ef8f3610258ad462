"""Add the app to the menu of Kubeflow's central dashboard, whatever else stands there.

    kubectl -n kubeflow get configmap centraldashboard-config -o json |
        python manifests/configure_dashboard.py | kubectl apply -f -

The dashboard puts the namespace that is chosen in the place of `{ns}`, and reads the menu anew for each page.
"""

import json
import sys
from typing import Any

LINK = {"type": "item", "link": "/ctlr/{ns}/", "text": "CTLR", "icon": "timeline"}


def linked(links: dict[str, Any]) -> dict[str, Any]:
    """The dashboard's links with ours after Katib's, or at the end where Katib has none."""
    menu = [each for each in links.get("menuLinks", []) if each.get("link") != LINK["link"]]
    katib = [place for place, each in enumerate(menu) if str(each.get("link", "")).startswith("/katib")]
    place = katib[-1] + 1 if katib else len(menu)
    return links | {"menuLinks": [*menu[:place], LINK, *menu[place:]]}


def main() -> None:
    """Read a ConfigMap as JSON, write it as JSON."""
    found = json.load(sys.stdin)
    if "links" not in found.get("data", {}):
        sys.exit("The ConfigMap has no key 'links': this is for `centraldashboard-config` of Kubeflow's dashboard.")
    metadata = {key: found["metadata"][key] for key in ("name", "namespace", "labels") if key in found["metadata"]}
    links = json.dumps(linked(json.loads(found["data"]["links"])), indent=4)
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": found["data"] | {"links": links}}
    json.dump(kept, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
