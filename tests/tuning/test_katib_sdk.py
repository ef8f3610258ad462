"""The older client, kubeflow-katib, creates the same Experiments from the same manifests; in its own environment."""

import os
import subprocess
from pathlib import Path

import pytest
from kube_api import KubeApi, serving
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("CTLR_KATIB_SDK_PYTHON", "")
CREATE = """
import sys, yaml
from kubeflow.katib import KatibClient
client = KatibClient(config_file=sys.argv[2], namespace="lab")
client.create_experiment(yaml.safe_load(open(sys.argv[1])))
print(client.get_experiment(sys.argv[3]).spec.max_trial_count)
"""

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="CTLR_KATIB_SDK_PYTHON names no interpreter with kubeflow-katib 0.19.0 (docs/tuning.md)"
)


@pytest.mark.parametrize("name", ["supervised-tpe", "scratch-grid", "vat-hyperband", "supervised-joint"])
def test_the_older_client_creates_the_experiment_of_a_manifest(name: str, tmp_path: Path) -> None:
    file, api = ROOT / "katib" / f"{name}.yaml", KubeApi()
    document = YAML(typ="safe").load(file.read_text())
    with serving(api, tmp_path):
        done = subprocess.run(
            [PYTHON, "-c", CREATE, str(file), str(tmp_path / "kubeconfig"), name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert api.objects["experiments", "lab"][name]["spec"] == document["spec"]
    assert done.stdout.splitlines()[-1] == str(document["spec"]["maxTrialCount"])
