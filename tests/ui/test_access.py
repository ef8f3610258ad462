"""Behind Kubeflow: who may look at a namespace and who may change something there is Kubernetes' to say.

The API server is a double (tests/support/kube_api.py), held against a real one in tests/e2e/test_app_cluster.py; the
`kubernetes` client and HTTP are real.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from browsing import form_of
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, AsyncClient
from kube_api import KubeApi, Served, serving

from ctlr.errors import ClusterError, ConfigError
from ctlr.events import EventLog, events_path
from ctlr.ui.access import CHANGE, LOOK, Access
from ctlr.ui.options import checked

Client = Callable[..., TestClient]
ANN, BOB = "ann@example.org", "bob@example.org"
KUBEFLOW = {"host": "http://kubeflow.example.org", "hosts": ("*",), "user_header": "kubeflow-userid",
            "namespace": "lab", "prefix": "/ctlr/lab"}  # fmt: skip


@pytest.fixture
def api() -> KubeApi:
    return KubeApi()


@pytest.fixture(autouse=True)
def served(api: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with serving(api, tmp_path) as served:
        yield served


def named(client: Client, user: str, **more: object) -> TestClient:
    return client(headers={"kubeflow-userid": user}, **KUBEFLOW | more)


def test_whoever_may_list_experiments_of_the_namespace_looks_and_nobody_else(client: Client, api: KubeApi) -> None:
    api.users = {(ANN, LOOK)}
    assert named(client, ANN).get("/").status_code == 200
    refused = named(client, BOB).get("/")
    assert refused.status_code == 403
    assert refused.text == (
        "bob@example.org may not look at the namespace lab: list experiments.kubeflow.org is not allowed there. Ask "
        "the namespace's owner to add you as a contributor (kubeflow-view).\n"
    )
    for path in ("/new", "/static/app.js", "/runs/none", "/runs/none/events", "/runs/none/report/report.html"):
        assert named(client, BOB).get(path).status_code == 403


def test_a_viewer_changes_nothing_and_an_editor_does(client: Client, api: KubeApi, tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "data" / "cats"
    api.users = {(ANN, LOOK), (ANN, CHANGE), (BOB, LOOK)}
    for user, status, words in ((BOB, 403, "may not change anything in the namespace lab"), (ANN, 303, "")):
        browser = named(client, user)
        fields = {"form": form_of(browser, "/ctlr/lab/new"), "path": str(folder)}
        folder.mkdir(parents=True, exist_ok=True)
        answer = browser.post("/ctlr/lab/folders", data=fields)
        assert (answer.status_code, words in answer.text) == (status, True)


def test_an_editor_of_one_namespace_is_nobody_in_another(client: Client, api: KubeApi) -> None:
    assert named(client, ANN).get("/").status_code == 403
    assert api.requests == ["create localsubjectaccessreviews"]


def test_while_kubernetes_does_not_answer_nobody_comes_in(
    client: Client, api: KubeApi, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    api.users = {(ANN, LOOK)}
    browser = named(client, ANN)
    api.broken = 1
    assert browser.get("/").status_code == 503
    assert browser.get("/").status_code == 200  # it was not taken for a no
    served.stop()
    caplog.set_level(logging.WARNING, logger="ctlr")
    answer = named(client, ANN).get("/")
    assert answer.status_code == 503
    assert "nobody is let in" in answer.text
    assert served.address not in answer.text
    assert served.address in caplog.text
    assert named(client, ANN).get("/healthz").status_code == 200  # a node would begin the app anew for nothing


def test_the_app_is_well_while_many_wait_for_kubernetes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node would end it, and its runs with it."""
    answered = threading.Event()
    monkeypatch.setattr(Access, "refusal", lambda *asked: answered.wait(60) and None)
    app = ASGITransport(named(client, ANN).app)
    headers = {"kubeflow-userid": ANN}

    async def ask() -> int:
        browser = AsyncClient(transport=app, base_url=str(KUBEFLOW["host"]), headers=headers)
        async with browser, anyio.create_task_group() as waiting:
            for _ in range(60):  # more than there are threads
                waiting.start_soon(browser.get, "/")
            await anyio.sleep(0.5)
            with anyio.move_on_after(10):
                answer = await browser.get("/healthz")
                answered.set()
                return answer.status_code
            answered.set()
        return 0

    assert anyio.run(ask) == 200


def test_where_the_account_may_not_ask_nobody_comes_in(client: Client, api: KubeApi) -> None:
    api.users, api.forbidden = {(ANN, LOOK)}, {("create", "localsubjectaccessreviews")}
    assert named(client, ANN).get("/").status_code == 503


def test_an_answer_holds_for_some_seconds_and_is_then_asked_for_anew() -> None:
    asked = []

    def allows(user: str, verb: str) -> bool:
        asked.append((user, verb))
        return len(asked) == 1

    access = Access(allows, "lab", seconds=0.2)
    assert [access.refusal(ANN, LOOK) for _ in range(3)] == [None] * 3
    assert asked == [(ANN, LOOK)]
    time.sleep(0.25)
    assert (access.refusal(ANN, LOOK) or ())[0] == 403
    assert (access.refusal(ANN, CHANGE) or ())[0] == 403
    assert asked == [(ANN, LOOK), (ANN, LOOK), (ANN, CHANGE)]


def test_names_without_end_fill_no_memory() -> None:
    access = Access(lambda user, verb: True, "lab")
    for number in range(1500):
        access.refusal(f"user-{number}", LOOK)
    assert len(access._known) <= 1000
    assert (access.refusal("u" * 10_000, LOOK) or ())[0] == 403


def test_a_fault_is_no_answer_that_is_kept() -> None:
    answers = iter([ClusterError("away"), True])

    def allows(user: str, verb: str) -> bool:
        answer = next(answers)
        if isinstance(answer, ClusterError):
            raise answer
        return answer

    access = Access(allows, "lab")
    assert (access.refusal(ANN, LOOK) or ())[0] == 503
    assert access.refusal(ANN, LOOK) is None


def test_a_page_that_stays_open_is_told_no_more_soon_after_its_rights_have_gone(
    client: Client, api: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctlr.ui.server._STREAM_SECONDS", 0.1)
    monkeypatch.setattr(Access, "_answer", lambda access, user, verb: access._allows(user, verb))
    api.users = {(ANN, LOOK)}
    browser = named(client, ANN)
    log = EventLog(events_path(tmp_path / "workspace", "tiny"))
    log.write("step.taken", step="preprocess")
    log.close()
    told = browser.get("/ctlr/lab/runs/tiny/events").text
    assert (told.count("id: 1\n"), told.count("event: again")) == (1, 1)  # it ends, and the page asks anew
    api.users = set()
    assert browser.get("/ctlr/lab/runs/tiny/events?after=1").status_code == 403


def test_a_second_name_in_the_header_is_the_browsers_own_and_none_counts(client: Client, api: KubeApi) -> None:
    api.users = {(ANN, LOOK)}
    browser = client(**KUBEFLOW)
    for names in ([], [""], [BOB, ANN], [ANN, BOB], [ANN, ANN]):
        answer = browser.get("/", headers=[("kubeflow-userid", name) for name in names])
        assert answer.status_code == 401, names
    assert browser.get("/", headers=[("kubeflow-userid", ANN)]).status_code == 200


def test_without_being_told_so_the_header_opens_nothing(client: Client, api: KubeApi) -> None:
    api.users = {(ANN, LOOK)}
    headers = {"kubeflow-userid": ANN}
    assert client(headers=headers, token="a-token-of-many-letters", namespace="lab").get("/").status_code == 401


def test_a_list_of_users_and_the_namespace_both_have_to_let_one_in(client: Client, api: KubeApi) -> None:
    api.users = {(ANN, LOOK), (BOB, LOOK)}
    assert named(client, ANN, users=(ANN,)).get("/").status_code == 200
    assert named(client, BOB, users=(ANN,)).get("/").status_code == 403


def test_kubeflows_dashboard_may_show_the_app_in_its_frame_and_nobody_elses_page(client: Client, api: KubeApi) -> None:
    api.users = {(ANN, LOOK)}
    policy = named(client, ANN).get("/").headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy
    assert "frame-ancestors 'none'" in client().get("/").headers["content-security-policy"]


def test_a_namespace_is_a_name_of_kubernetes(tmp_path: Path) -> None:
    for name in ("Lab", "a/b", "-a", "a" * 64):
        with pytest.raises(ConfigError, match="--namespace"):
            checked(tmp_path, namespace=name)
