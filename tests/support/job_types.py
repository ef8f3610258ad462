"""The table behind `ctlr.tuning.manifest.jobs`: what a batch/v1 Job is made of, read off the models of the package
`kubernetes`.

    python tests/support/job_types.py > src/ctlr/tuning/manifest/job_types.json

The file is of kubernetes 34.1, the API (v0.34) that Katib 0.19 is built with.
"""

from __future__ import annotations

import json
import re

from kubernetes import client

__all__ = ["job_types"]

_TYPE = re.compile(r"(?:V\d|Core)\w+")
_MANAGED = {"managedFields", "ownerReferences", "status"}
"""Of the API server, not of a template."""


def job_types() -> dict[str, dict[str, str]]:
    """Types that a Job is made of: name -> field -> type."""
    found: dict[str, dict[str, str]] = {}
    left = ["V1Job"]
    while left:
        name = left.pop()
        if name in found:
            continue
        model = getattr(client.models, name)
        fields = {model.attribute_map[key]: kind for key, kind in model.openapi_types.items()}
        found[name] = {key: kind for key, kind in sorted(fields.items()) if key not in _MANAGED}
        left += [each for kind in found[name].values() for each in _TYPE.findall(kind)]
    return dict(sorted(found.items()))


if __name__ == "__main__":
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(fields)}" for name, fields in job_types().items())
    print(f"{{\n{lines}\n}}")
