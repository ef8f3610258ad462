"""Pods of a run, from a small API server: tasks, reasons and logs.

Names, annotations and lines are those that Kubeflow Pipelines 2.17 with Argo 4.0.5 wrote on 27 November 2026.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp_api import KfpServer, kfp_server
from kube_api import KubeApi, serving
from terminal import call

from ctlr.cluster.pods import own_lines, pod_tasks

RUN = "0b1f"

LOG = """\
time=2026-11-27T06:33:33.906Z level=INFO msg="capturing logs" argo=true
I1127 06:33:34.014295      17 main.go:67] Setting log level to: '1'
[KFP Executor 2026-11-27 06:33:34,283 INFO]: Looking for component `plan` in --component_module_path `/tmp/x.py`
[KFP Executor 2026-11-27 06:33:34,284 INFO]: Got executor_input:
{
    "inputs": {
        "parameterValues": {"workspace": "/workspace"}
    }
}
[KFP Executor 2026-11-27 06:33:35,414 INFO]: {NAME} has worked
[KFP Executor 2026-11-27 06:33:35,415 INFO]: Wrote executor output file to /minio/x.
I1127 06:33:35.611990      17 launcher_v2.go:1230] ExecutorOutput: {
  "parameterValues": {}
}
time=2026-11-27T06:33:35.907Z level=INFO msg="sub-process exited" argo=true error=<nil>
"""


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    api = KubeApi()
    with serving(api, tmp_path):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield api


def pod(
    api: KubeApi,
    node: str,
    second: int,
    phase: str = "Succeeded",
    run: str = RUN,
    state: dict[str, Any] | None = None,
    template: str = "container-impl",
    **status: Any,
) -> str:
    """A pod of a node of the workflow, e.g. `train-1.executor`, that came at a second."""
    stamp, name = f"2026-11-20T10:00:{second:02d}Z", f"ctlr-benchmark-x-system-{template}-{second}"
    path = "(0).".join(["ctlr-benchmark-x", "root", "exit-handler-1", *node.split(".")]) + "(0)"
    metadata = {
        "name": name, "labels": {"pipeline/runid": run}, "creationTimestamp": stamp,
        "annotations": {"workflows.argoproj.io/node-name": path},
    }  # fmt: skip
    containers = [{"name": "main", "image": "ctlr/ctlr-cpu:0.1.0"}, {"name": "wait", "image": "argoexec"}]
    if state is not None:
        status["containerStatuses"] = [{"name": "wait", "state": {}}, {"name": "main", "state": state}]
    document = {"metadata": metadata, "spec": {"containers": containers}, "status": {"phase": phase, **status}}
    api.put("pods", "lab", document)
    api.logs[name, "main"] = LOG.replace("{NAME}", node)
    return name


def test_pods_that_work_are_shown_in_their_order_by_their_task(api: KubeApi, tmp_path: Path) -> None:
    pod(api, "train-1.executor", 9)
    pod(api, "plan-driver", 1)
    pod(api, "plan.executor", 2)
    pod(api, "other.executor", 3, run="ffff")
    done = call("logs", RUN, "--namespace", "lab", folder=tmp_path)
    assert done.code == 0, done.err
    assert [line for line in done.out.splitlines() if line] == [
        "==> plan (succeeded, pod ctlr-benchmark-x-system-container-impl-2)", "06:33:35 plan.executor has worked",
        "==> train-1 (succeeded, pod ctlr-benchmark-x-system-container-impl-9)", "06:33:35 train-1.executor has worked",
    ]  # fmt: skip


def test_the_last_lines_are_the_last_of_ours(api: KubeApi, tmp_path: Path) -> None:
    pod(api, "plan.executor", 2)
    done = call("logs", RUN, "--namespace", "lab", "--lines", "1", folder=tmp_path)
    assert done.out.splitlines()[-1] == "06:33:35 plan.executor has worked"


def test_what_python_prints_when_it_dies_is_ours_and_a_pod_without_a_word_of_ours_is_shown_whole() -> None:
    died = (
        LOG + "Traceback (most recent call last):\n  File x\nModuleNotFoundError: kfp\nI1127 06:33:36.1  17 x.go:1] end"
    )
    assert own_lines(died)[-3:] == ["Traceback (most recent call last):", "  File x", "ModuleNotFoundError: kfp"]
    theirs = "I1127 06:33:34.014295      17 main.go:67] cannot reach the cache"
    assert own_lines(theirs) == [theirs]


def test_a_pod_that_has_not_started_has_no_log_yet(api: KubeApi, tmp_path: Path) -> None:
    pod(api, "plan.executor", 2, phase="Pending")
    assert call("logs", RUN, "--namespace", "lab", folder=tmp_path).out.strip() == (
        "==> plan (pending, pod ctlr-benchmark-x-system-container-impl-2)"
    )


def test_tasks_go_by_their_names_and_say_why_they_do_not_go_on(api: KubeApi) -> None:
    pod(api, "preprocess-driver", 1)
    ended = {"terminated": {"exitCode": 0, "startedAt": "2026-11-20T10:00:03Z", "finishedAt": "2026-11-20T10:01:03Z"}}
    pod(api, "preprocess.executor", 2, state=ended)
    lost = {"terminated": {"exitCode": 143}}
    pod(api, "train-1.executor", 3, phase="Failed", state=lost)
    image = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    pod(api, "train-1.executor", 4, phase="Pending", state=image)
    full = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}
    pod(api, "train-2.executor", 5, phase="Pending", conditions=[full])
    pod(api, "evaluate-driver", 6, phase="Running")
    tasks = {task.name: task for task in pod_tasks(RUN, namespace="lab")}
    assert {name: task.state for name, task in tasks.items()} == {
        "preprocess": "SUCCEEDED", "train-1": "PENDING", "train-2": "PENDING", "evaluate": "RUNNING",
    }  # fmt: skip
    began, ended_at = tasks["preprocess"].began, tasks["preprocess"].ended
    assert began is not None
    assert ended_at is not None
    assert (ended_at - began).total_seconds() == 60
    assert tasks["preprocess"].reason == ""
    assert "the image ctlr/ctlr-cpu:0.1.0 cannot be had (ImagePullBackOff)" in tasks["train-1"].reason
    assert "no node takes it: 0/3 nodes are available: 3 Insufficient cpu." in tasks["train-2"].reason


def test_a_task_that_failed_says_the_last_thing_that_it_said(api: KubeApi) -> None:
    name = pod(api, "preprocess.executor", 1, phase="Failed", state={"terminated": {"exitCode": 1}})
    api.logs[name, "main"] = (
        "[KFP Executor 2026-11-27 13:33:29,283 INFO]: preprocess clinic started\n"
        "Traceback (most recent call last):\n"
        '  File "<frozen runpy>", line 198, in _run_module_as_main\n'
        "ctlr.errors.DataError: The dataset's `root` must be a folder; 'nowhere' is none. Correct the path.\n"
        "I1127 13:33:30.611990      17 launcher_v2.go:1230] failed to execute component\n"
    )
    (task,) = pod_tasks(RUN, namespace="lab")
    told = "The dataset's `root` must be a folder; 'nowhere' is none. Correct the path."
    assert task.reason == f"exit code 1: {told}"
    api.forbidden.add(("get", "pods/log"))
    (task,) = pod_tasks(RUN, namespace="lab")
    assert task.reason == "exit code 1"


@pytest.mark.parametrize("ended", [False, True])
def test_a_task_whose_pod_was_deleted_is_not_forgotten(api: KubeApi, ended: bool) -> None:
    pod(api, "root-driver", 1, template="dag-driver")
    pod(api, "preprocess-driver", 2, template="container-driver")
    pod(api, "preprocess.executor", 3)
    pod(api, "train-1-driver", 4, template="container-driver")
    preprocess, train = pod_tasks(RUN, namespace="lab", ended=ended)
    assert (preprocess.name, preprocess.state) == ("preprocess", "SUCCEEDED")
    assert (train.name, train.state) == ("train-1", "FAILED" if ended else "PENDING")
    assert train.reason.startswith("its pod was taken away (drained, preempted or deleted)" if ended else "")


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with kfp_server() as server:
        yield server


def run_of(server: KfpServer) -> None:
    task = {"display_name": "executor", "state": "RUNNING", "child_tasks": []}
    server.runs[RUN] = {
        "run_id": RUN,
        "display_name": "tiny",
        "state": "RUNNING",
        "run_details": {"task_details": [task]},
    }


def test_the_status_of_a_run_names_its_tasks_and_a_reason(api: KubeApi, server: KfpServer, tmp_path: Path) -> None:
    run_of(server)
    pod(api, "train-1.executor", 3, phase="Failed", state={"terminated": {"exitCode": 1}})
    done = call("status", RUN, "--host", server.host, "--namespace", "lab", folder=tmp_path)
    assert done.code == 0, done.err
    assert "train-1" in done.out
    assert "train-1: exit code 1" in done.err


def test_the_status_of_a_run_whose_pods_are_gone_or_hidden_is_the_servers(
    api: KubeApi, server: KfpServer, tmp_path: Path
) -> None:
    run_of(server)
    words = ("status", RUN, "--host", server.host, "--namespace", "lab", "-o", "json")
    done = call(*words, folder=tmp_path)
    assert [task["name"] for task in json.loads(done.out)["tasks"]] == ["executor"]
    api.forbidden.add(("list", "pods"))
    done = call(*words, folder=tmp_path)
    assert [task["name"] for task in json.loads(done.out)["tasks"]] == ["executor"]
    assert "Only Kubeflow Pipelines says how tasks fare, without reasons" in done.err
    assert "may not list pods" in done.err


def test_who_may_not_read_events_still_sees_tasks(api: KubeApi, server: KfpServer, tmp_path: Path) -> None:
    run_of(server)
    pod(api, "train-1.executor", 3, phase="Failed", state={"terminated": {"exitCode": 1}})
    api.forbidden.add(("list", "events"))
    done = call("status", RUN, "--host", server.host, "--namespace", "lab", folder=tmp_path)
    assert done.code == 0
    assert "train-1: exit code 1" in done.err


@pytest.mark.parametrize(("verb", "resource"), [("list", "pods"), ("get", "pods/log")])
def test_a_right_that_logs_lack_is_named(api: KubeApi, tmp_path: Path, verb: str, resource: str) -> None:
    pod(api, "train-1.executor", 3, phase="Running", state={"running": {}})
    api.forbidden.add((verb, resource))
    done = call("logs", RUN, "--namespace", "lab", folder=tmp_path)
    assert done.code == 4
    assert f"may not {verb} {resource}" in done.err
    assert f"Add the verb '{verb}' for '{resource}'" in done.err


def test_a_run_without_pods_is_told_with_what_may_be_the_reason(api: KubeApi, tmp_path: Path) -> None:
    done = call("logs", RUN, "--namespace", "lab", folder=tmp_path)
    assert done.code == 4
    assert f"no pods of run {RUN!r} in namespace 'lab'" in done.err


def test_a_cluster_that_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(KubeApi(), tmp_path) as served:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    done = call("logs", RUN, "--namespace", "lab", folder=tmp_path)
    assert done.code == 4
    assert served.address in done.err


def test_without_any_configuration_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = call("logs", RUN, folder=tmp_path)
    assert done.code == 4
    assert "Set KUBECONFIG" in done.err
