"""The app in front of a real API server, with the account that manifests/ui gives it.

    KUBECONFIG=... pytest -m cluster tests/e2e/test_app_cluster.py

Any cluster will do that its user administers; Kubeflow need not be there: its gateway's part, the header, is played,
and so are Katib's controllers where there are none (tests/support/katib_double.py). CTLR_TEST_TRIAL_IMAGE as of
tests/e2e/test_katib_cluster.py.
"""

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import form_of
from fastapi.testclient import TestClient
from katib_crds import katib_there
from katib_lab import manifest
from pod_policy import read
from real_cluster import apply, kubectl, waited

from ctlr.tuning.katib import run_on_katib
from ctlr.tuning.manifest import parse_experiment
from ctlr.ui.options import checked
from ctlr.ui.server import create_app

ROOT = Path(__file__).parents[2]
UI = ROOT / "manifests" / "ui"
IMAGE = os.environ.get("CTLR_TEST_TRIAL_IMAGE", "busybox:1.36.1")
VIEWER, EDITOR, STRANGER = "ann@example.org", "bob@example.org", "cy@example.org"
VERBS = {VIEWER: ["get", "list", "watch"], EDITOR: ["get", "list", "watch", "create", "delete"]}

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not (Path(os.environ.get("KUBECONFIG", "/none")).is_file() and shutil.which("kubectl")),
        reason="no cluster: KUBECONFIG names no file, or there is no kubectl",
    ),
]


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace with the app's account, and a viewer and an editor of it."""
    from kubernetes import config

    config.load_kube_config(os.environ["KUBECONFIG"])
    katib_there()
    name = f"ctlr-app-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "katib.kubeflow.org/metrics-collector-injection=enabled")
    documents = read(UI / "account.yaml")
    for each in documents:
        each["metadata"]["namespace"] = name
        for subject in each.get("subjects", []):
            subject["namespace"] = name
    for user, verbs in VERBS.items():
        label = user.partition("@")[0]
        rule = {"apiGroups": ["kubeflow.org"], "resources": ["experiments"], "verbs": verbs}
        api, metadata = "rbac.authorization.k8s.io", {"name": label, "namespace": name}
        documents.append({"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]})
        documents.append({
            "apiVersion": f"{api}/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": label},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        })  # fmt: skip
    apply(documents)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def account(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The app's account is the one that KUBECONFIG names."""
    from kubernetes import client

    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": None}}
    made = client.CoreV1Api().create_namespaced_service_account_token(
        "ctlr-ui", namespace, request, _preload_content=False
    )
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
    config["users"] = [{"name": "ctlr-ui", "user": {"token": json.loads(made.data)["status"]["token"]}}]
    config["contexts"][0]["context"] |= {"user": "ctlr-ui", "namespace": namespace}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return f"system:serviceaccount:{namespace}:ctlr-ui"


def browser(user: str, namespace: str, workspace: Path) -> TestClient:
    options = checked(workspace, hosts=("*",), user_header="kubeflow-userid", namespace=namespace)
    headers = {"kubeflow-userid": user}
    return TestClient(
        create_app(options), base_url="http://kubeflow.example.org", headers=headers, follow_redirects=False
    )


def test_kubernetes_says_who_looks_and_who_changes_something(namespace: str, account: str, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    (workspace / "data" / "cats").mkdir(parents=True)
    waited(lambda: browser(VIEWER, namespace, workspace).get("/").status_code == 200, seconds=30)  # the Role spreads
    for user, seen, changed in ((VIEWER, 200, 403), (EDITOR, 200, 303), (STRANGER, 403, 403)):
        asking = browser(user, namespace, workspace)
        answer = asking.get("/")
        assert answer.status_code == seen, answer.text
        fields = {"form": form_of(asking) if seen == 200 else "", "path": str(workspace / "data" / "cats")}
        assert asking.post("/folders", data=fields).status_code == changed


def test_the_account_may_ask_of_its_own_namespace_alone(namespace: str, account: str, tmp_path: Path) -> None:
    assert browser(EDITOR, "default", tmp_path / "workspace").get("/").status_code == 503
    for verb, resource, allowed in (
        ("list", "experiments.kubeflow.org", "yes"),
        ("create", "experiments.kubeflow.org", "no"),
        ("delete", "pods", "no"),
        ("get", "secrets", "no"),
        ("create", "subjectaccessreviews.authorization.k8s.io", "no"),
    ):
        asked = ("auth", "can-i", verb, resource, "--namespace", namespace)
        assert kubectl(*asked, check=False).stdout.strip() == allowed, (verb, resource)


def test_a_real_server_takes_the_manifests(namespace: str) -> None:
    documents = [each for name in ("server", "network") for each in read(UI / f"{name}.yaml")]
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    done = kubectl("apply", "--dry-run=server", "--namespace", namespace, "-f", "-", stdin=items)
    assert "Warning" not in done.stderr
    assert done.stdout.count("(server dry run)") == len(documents)


@pytest.fixture(scope="module")
def searched(namespace: str) -> int:
    """A search whose greater half of trials failed; how many."""
    from katib_double import KatibDouble
    from kubernetes import client

    x = "${trialParameters.x}"
    script = f"( case {x} in (0.[0-4]*) echo loss={x}; sleep 2;; (*) echo too large; sleep 2; exit 3;; esac )"
    container = {
        "image": IMAGE, "command": ["sh", "-c", script],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }  # fmt: skip
    document = manifest(container=container, maxTrialCount=4, maxFailedTrialCount=4, parallelTrialCount=2)
    job = document["spec"]["trialTemplate"]["trialSpec"]["spec"]
    job["backoffLimit"] = 0
    job["template"]["metadata"] = {"annotations": {"sidecar.istio.io/inject": "false"}}
    waited(lambda: kubectl("-n", namespace, "get", "serviceaccount", "default", check=False).returncode == 0)
    with contextlib.nullcontext() if katib_there() else KatibDouble(client.ApiClient(), namespace, period=0.2):
        outcome = run_on_katib(parse_experiment(document), namespace=namespace, timeout=180)
    failed = sum(trial.status == "Failed" for trial in outcome.trials)
    assert 0 < failed < len(outcome.trials)
    return failed


def test_a_search_is_shown_with_its_failures_by_the_apps_own_rights(
    namespace: str, searched: int, account: str, tmp_path: Path
) -> None:
    asking = browser(VIEWER, namespace, tmp_path / "workspace")
    assert 'href="/searches/square"' in asking.get("/").text
    page = asking.get("/searches/square").text
    assert 'class="badge finished" id="life"' in page
    rows = re.search(r'<table class="trials">.*?</table>', page, re.DOTALL)
    assert rows is not None
    assert rows[0].count("exit code 3: too large") == searched
    assert rows[0].count("<td>Succeeded</td>") == 4 - searched
    assert f'href="/_/katib/experiment/{namespace}/square?ns={namespace}"' in page
