"""The older client, kubeflow-katib, creates the same Experiments from the same manifests; in its own environment."""

import os
import subprocess
from pathlib import Path

import pytest
from kube_api import KubeApi, serving
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
PYTHON = os.environ.get("CTLR_KATIB_SDK_PYTHON", "")
FILES = sorted((ROOT / "katib").glob("*.yaml"))
CREATE = """
import sys, yaml
from kubeflow.katib import KatibClient
client = KatibClient(config_file=sys.argv[1], namespace="lab")
for file in sys.argv[2:]:
    document = yaml.safe_load(open(file))
    client.create_experiment(document)
    print(client.get_experiment(document["metadata"]["name"]).spec.max_trial_count)
"""

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="CTLR_KATIB_SDK_PYTHON names no interpreter with kubeflow-katib 0.19.0 (docs/tuning.md)"
)


def test_the_older_client_creates_the_experiments_of_the_manifests(tmp_path: Path) -> None:
    api = KubeApi()
    with serving(api, tmp_path):
        done = subprocess.run(
            [PYTHON, "-c", CREATE, str(tmp_path / "kubeconfig"), *map(str, FILES)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    documents = {file.stem: YAML(typ="safe").load(file.read_text()) for file in FILES}
    created = api.objects["experiments", "lab"]
    assert {name: each["spec"] for name, each in created.items()} == {n: d["spec"] for n, d in documents.items()}
    assert done.stdout.split() == [str(document["spec"]["maxTrialCount"]) for document in documents.values()]
