"""The client against a server that answers as Kubeflow Pipelines does."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kfp_api import BEGAN, KfpServer, kfp_server
from terminal import call, ctlr
from tiny_bench import TINY

from ctlr.cluster.kubeflow import Kubeflow, RunState
from ctlr.cluster.request import request_of
from ctlr.cluster.submission import unpacked
from ctlr.config import load
from ctlr.errors import ClusterError
from ctlr.specs import PlatformSpec

GPU = ("--set", "platform.gpu=nvidia.com/gpu", "--set", "platform.image=registry/ctlr-gpu:1")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpServer]:
    monkeypatch.setenv("HOME", str(tmp_path))  # the client keeps settings there
    with kfp_server() as state:
        yield state


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def submit(server: KfpServer, file: Path, *words: str) -> str:
    done = call("submit", str(file), "--host", server.host, "-o", "json", *words, folder=file.parent)
    assert done.code == 0, done.err
    return str(json.loads(done.out)["run"])


def test_a_submitted_run_holds_the_pipeline_its_arguments_and_its_platform(server: KfpServer, file: Path) -> None:
    run = server.runs[submit(server, file, *GPU, "--experiment", "ages")]
    assert run["display_name"] == "tiny"
    assert run["experiment_id"] == server.experiments["ages"]["experiment_id"]
    config = load(file)
    parameters = run["runtime_config"]["parameters"]
    benchmark, _, platform, _ = unpacked(parameters["sent"])
    assert json.loads(benchmark) == config.model_dump(mode="json", exclude={"platform"})
    assert json.loads(platform)["gpu"] == "nvidia.com/gpu"
    assert parameters["submission"].startswith("tiny-")
    spec = run["pipeline_spec"]
    executors = spec["pipeline_spec"]["deploymentSpec"]["executors"]
    assert executors["exec-train"]["container"]["image"] == "registry/ctlr-gpu:1"
    assert executors["exec-train"]["container"]["resources"]["accelerator"]["resourceType"] == "nvidia.com/gpu"
    placed = spec["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert placed["exec-train"]["pvcMount"][0]["mountPath"] == "/workspace"


def test_runs_of_one_experiment_share_it(server: KfpServer, file: Path) -> None:
    first, second = submit(server, file), submit(server, file)
    assert first != second
    assert len(server.experiments) == 1


def test_a_session_is_taken_along(server: KfpServer, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTLR_KFP_COOKIES", "authservice_session=abc")
    monkeypatch.setenv("CTLR_KFP_TOKEN", "xyz")
    submit(server, file)
    assert server.headers["cookie"] == "authservice_session=abc"
    assert server.headers["authorization"] == "Bearer xyz"


def test_a_run_is_watched_to_its_end(server: KfpServer, file: Path) -> None:
    client = Kubeflow(server.host)
    run = client.submit(request_of(load(file)), PlatformSpec(), name="tiny", experiment="ctlr")
    server.states = ["PENDING", "RUNNING", "RUNNING", "FAILED"]
    seen: list[RunState] = []
    ended = client.wait(run, seen.append, poll_seconds=0)
    assert [state.state for state in seen] == ["PENDING", "RUNNING", "FAILED"]
    assert ended.finished


@pytest.mark.parametrize(("state", "code"), [("SUCCEEDED", 0), ("FAILED", 1), ("CANCELED", 1)])
def test_waiting_ends_with_what_became_of_the_run(server: KfpServer, file: Path, state: str, code: int) -> None:
    server.states = [state]
    done = call("submit", str(file), "--host", server.host, "--wait", folder=file.parent)
    assert done.code == code
    assert f"tiny (run-0): {state.lower()}" in done.out


def test_the_status_lists_tasks_that_work_and_why_one_failed(server: KfpServer, file: Path) -> None:
    run = submit(server, file)
    server.runs[run]["run_details"] = {
        "task_details": [
            {"display_name": "for-loop-1", "state": "RUNNING", "child_tasks": [{"pod_name": "x"}]},
            {"display_name": "evaluate-driver", "state": "SUCCEEDED", "start_time": BEGAN, "end_time": BEGAN},
            {"display_name": "evaluate", "state": "FAILED", "start_time": "2026-11-20T10:01:00Z",
             "end_time": "2026-11-20T10:02:30Z", "error": {"message": "OOMKilled"}},
            {"display_name": "plan", "state": "SUCCEEDED", "start_time": BEGAN, "end_time": BEGAN},
        ]
    }  # fmt: skip
    done = call("status", run, "--host", server.host, folder=file.parent)
    assert "1 succeeded, 1 failed" in done.out
    assert "1.5" in done.out
    assert "evaluate: OOMKilled" in done.err
    found = json.loads(call("status", run, "--host", server.host, "-o", "json", folder=file.parent).out)
    assert [task["name"] for task in found["tasks"]] == ["plan", "evaluate"]


def test_a_run_can_be_cancelled(server: KfpServer, file: Path) -> None:
    run = submit(server, file)
    assert call("cancel", run, "--host", server.host, folder=file.parent).code == 0
    assert server.runs[run]["state"] == "CANCELED"


def test_a_run_that_does_not_exist_is_named(server: KfpServer, tmp_path: Path) -> None:
    done = call("status", "run-77", "--host", server.host, folder=tmp_path)
    assert done.code == 4
    assert "knows no run 'run-77'" in done.err


@pytest.mark.parametrize(
    ("version", "code"), [("2.5.0", 4), ("2.15.2", 4), ("2.16.0", 0), ("3.0.0", 0), ("unknown", 0)]
)
def test_a_server_that_is_too_old_is_refused_before_anything_is_sent(
    server: KfpServer, file: Path, version: str, code: int
) -> None:
    server.version = version
    done = call("submit", str(file), "--host", server.host, folder=file.parent)
    assert done.code == code
    assert bool(server.runs) == (code == 0)
    if code:
        assert f"is {version}. CTLR needs 2.16 or newer" in done.err


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_says_how_to_sign_in(server: KfpServer, file: Path, status: int) -> None:
    server.refuse = status
    done = call("submit", str(file), "--host", server.host, folder=file.parent)
    assert done.code == 4
    assert f"{server.host} refuses ({status}" in done.err
    assert "CTLR_KFP_TOKEN" in done.err


@pytest.mark.parametrize("answer", [b"<html>Log in</html>", b"null", b"[1]"])
def test_a_page_to_log_in_is_no_kubeflow(answer: bytes, file: Path) -> None:
    with answering(answer) as host:
        done = call("submit", str(file), "--host", host, folder=file.parent)
    assert done.code == 4
    assert f"Error: {host} answers, but not as Kubeflow Pipelines does" in done.err
    assert "CTLR_KFP_COOKIES" in done.err


def test_a_session_opens_the_health_check_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTLR_KFP_COOKIES", "authservice_session=s3cret")
    with answering(b"<html>Log in</html>", unless_cookie="authservice_session=s3cret") as host:
        assert Kubeflow(host, cookies="authservice_session=s3cret").host == host


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_health_check_is_told_at_once(status: int, file: Path) -> None:
    began = time.monotonic()
    with answering(b"", status=status) as host:
        done = call("status", "x", "--host", host, folder=file.parent)
    assert done.code == 4
    assert f"Error: Kubeflow Pipelines at {host} refuses ({status}" in done.err
    assert "Traceback" not in done.err
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("http://ann:s3cret@127.0.0.1:9", "must hold no user or password"),
        ("http://127.0.0.1:9/?token=s3cret", "must end with its path"),
        ("http://127.0.0.1:9/#s3cret", "must end with its path"),
        ("http://127.0.0.1:port", "must be an http or https address"),
        ("ftp://127.0.0.1", "must be an http or https address"),
        ("http://[::1", "must be an http or https address"),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_without_it(host: str, says: str, file: Path) -> None:
    done = call("status", "x", "--host", host, folder=file.parent)
    assert done.code == 4
    assert says in done.err
    assert "s3cret" not in done.err


@contextlib.contextmanager
def answering(body: bytes, *, status: int = 200, unless_cookie: str = "") -> Iterator[str]:
    """A server that answers everything alike, but for those with a session, whom it tells of Kubeflow's health."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = unless_cookie and self.headers.get("Cookie") == unless_cookie
            said = b'{"tag_name": "2.17.0", "multi_user": false}' if known else body
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_where_nobody_answers_is_named_with_the_way_to_open_one(file: Path) -> None:
    done = call("submit", str(file), "--host", "http://127.0.0.1:9", folder=file.parent)
    assert done.code == 4
    assert "http://127.0.0.1:9 cannot be reached" in done.err
    assert "kubectl port-forward --namespace kubeflow service/ml-pipeline 8888:8888" in done.err


def test_a_server_lost_on_the_way_is_asked_again_and_then_given_up(server: KfpServer, file: Path) -> None:
    client = Kubeflow(server.host)
    run = client.submit(request_of(load(file)), PlatformSpec(), name="tiny", experiment="ctlr")
    server.states = ["RUNNING"]

    def lose(state: RunState) -> None:
        server.refuse = 503

    with pytest.raises(ClusterError, match="503"):
        client.wait(run, lose, poll_seconds=0)


def test_a_compiled_pipeline_can_be_uploaded_as_it_is(server: KfpServer) -> None:
    import warnings

    import kfp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client = kfp.Client(host=server.host)
    file = Path(__file__).parents[2] / "pipelines" / "benchmark.yaml"
    client.upload_pipeline(str(file), pipeline_name="ctlr-benchmark")
    assert b"ctlr-benchmark" in server.uploads[0]


@pytest.mark.parametrize("command", [("submit", "tiny.yaml"), ("status", "run-1")])
def test_without_a_cluster_nobody_is_asked(command: tuple[str, ...], file: Path, tmp_path: Path) -> None:
    assert file.name == "tiny.yaml"
    done = ctlr(*command, folder=file.parent, environment={"KUBECONFIG": str(tmp_path / "none")})
    assert done.code == 4
    assert "Error: No usable kubeconfig: " in done.err
    assert "Name Kubeflow Pipelines' address by --host, or a configuration of kubectl's by KUBECONFIG." in done.err
    assert len(done.err.splitlines()) == 1


def test_a_cluster_that_does_not_answer_is_told_in_words(file: Path, tmp_path: Path) -> None:
    config = {
        "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [{"name": "u", "user": {}}],
    }  # fmt: skip
    (tmp_path / "config").write_text(json.dumps(config))
    done = ctlr("status", "run-1", folder=file.parent, environment={"KUBECONFIG": str(tmp_path / "config")})
    assert done.code == 4
    assert "Kubeflow Pipelines at the cluster's address cannot be reached: Connection refused. If" in done.err
    assert "ConnectionPool" not in done.err
