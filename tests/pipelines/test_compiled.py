"""The compiled pipeline: up to date, whole, and loadable by Kubeflow's own tools."""

import json
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from pipelines.__main__ import FILES, compiled

from ctlr.cluster.kubeflow import pipeline_documents
from ctlr.cluster.platform import Workers
from ctlr.specs import PlatformSpec, TolerationSpec

TRAINING = {"exec-pretrain", "exec-train", "exec-evaluate"}
ALL = Workers(pretrain=1, tune=2, train=3)

PLATFORM = PlatformSpec(
    image="registry.example/ctlr-gpu:0.1.0", volume="ages", workspace="/data/work", cpu="4", memory="16Gi",
    shared_memory="8Gi", gpu="nvidia.com/mig-1g.10gb", gpus=2, node_selector={"pool": "a100"},
    tolerations=(TolerationSpec(key="nvidia.com/gpu"),), secrets={"MLFLOW_TRACKING_PASSWORD": "mlflow-user/password"},
    pull_secrets=("registry",), labels={"kueue.x-k8s.io/queue-name": "research"},
)  # fmt: skip


def documents(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = yaml.safe_load_all(text)
    return first, second


def executors(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    pipeline, platform = documents(text)
    kubernetes = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline["deploymentSpec"]["executors"], kubernetes


def test_the_compiled_pipeline_is_what_the_code_compiles_to() -> None:
    for file in FILES:
        assert file.read_text() == compiled(), f"{file} is out of date: make pipelines"


def test_kubeflow_loads_the_compiled_pipeline() -> None:
    loaded = components.load_component_from_file(str(FILES[0]))
    assert loaded.name == "ctlr-benchmark"
    assert set(loaded.component_spec.inputs) == {"submission", "sent", "workspace"}


@pytest.mark.parametrize("workers", [ALL, Workers(pretrain=0, tune=0, train=1)])
@pytest.mark.parametrize("platform", [PlatformSpec(), PLATFORM], ids=["plain", "full"])
def test_both_documents_keep_the_schemas_of_kubeflow(platform: PlatformSpec, workers: Workers) -> None:
    pipeline, placed = documents(pipeline_documents(platform, workers))
    json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(placed, pipeline_spec_pb2.PlatformSpec())
    for settings in placed["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        json_format.ParseDict(settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig())


def test_the_default_platform_gives_the_file_that_ships() -> None:
    shipped = FILES[0].read_text().partition("\n")[2]
    assert pipeline_documents(PlatformSpec(), Workers(pretrain=1, tune=1, train=2)) == shipped


def test_a_platform_is_written_the_same_each_time() -> None:
    assert pipeline_documents(PLATFORM, ALL) == pipeline_documents(PLATFORM, ALL)


def test_only_pods_that_train_ask_for_a_gpu_and_its_nodes() -> None:
    containers, settings = executors(pipeline_documents(PLATFORM, ALL))
    with_gpu = {name for name, each in containers.items() if "accelerator" in each["container"]["resources"]}
    assert with_gpu == TRAINING
    assert {name for name, each in settings.items() if "nodeSelector" in each} == with_gpu
    assert {name for name, each in settings.items() if "tolerations" in each} == with_gpu
    resources = containers["exec-train"]["container"]["resources"]
    assert resources["accelerator"] == {"resourceType": "nvidia.com/mig-1g.10gb", "resourceCount": "2"}
    assert settings["exec-train"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]


def test_a_pod_that_only_watches_trials_keeps_no_gpu_from_them() -> None:
    for trials, expected in (("katib", False), ("local", True)):
        platform = PLATFORM.model_copy(update={"trials": trials})
        containers, _ = executors(pipeline_documents(platform, ALL))
        resources = containers["exec-tune"]["container"]["resources"]
        assert ("accelerator" in resources) is expected
        assert resources["resourceCpuRequest"] == ("4" if expected else "250m")
        assert resources["resourceMemoryLimit"] == ("16Gi" if expected else "1Gi")


def test_every_pod_has_the_image_the_volume_and_the_secrets() -> None:
    containers, settings = executors(pipeline_documents(PLATFORM, ALL))
    assert {each["container"]["image"] for each in containers.values()} == {PLATFORM.image}
    for each in settings.values():
        assert each["pvcMount"][0]["mountPath"] == "/data/work"
        assert each["pvcMount"][0]["pvcNameParameter"] == {"runtimeValue": {"constant": "ages"}}
        assert each["emptyDirMounts"][0]["sizeLimit"] == "8Gi"
        assert each["secretAsEnv"][0]["keyToEnv"] == [{"secretKey": "password", "envVar": "MLFLOW_TRACKING_PASSWORD"}]
        assert each["securityContext"] == {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}
        assert each["podMetadata"] == {"labels": PLATFORM.labels}


def test_every_pod_asks_for_what_it_may_use() -> None:
    containers, _ = executors(FILES[0].read_text())
    for name, each in containers.items():
        resources = each["container"]["resources"]
        if name == "exec-tune":
            continue
        assert resources["resourceCpuRequest"] == resources["resourceCpuLimit"] == "2"
        assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"] == "4Gi"


def tasks(pipeline: dict[str, Any]) -> dict[str, Any]:
    """Tasks of the whole pipeline that have pods, by name."""
    dags = {"root": pipeline["root"], **pipeline["components"]}
    with_pods = {name for name, each in pipeline["components"].items() if "executorLabel" in each}
    return {
        name: task
        for each in dags.values()
        for name, task in each.get("dag", {}).get("tasks", {}).items()
        if task["componentRef"]["name"] in with_pods
    }


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_stage_has_as_many_tasks_as_workers_and_what_follows_waits_for_all(count: int) -> None:
    pipeline, _ = documents(pipeline_documents(PLATFORM, Workers(pretrain=1, tune=count, train=count)))
    found = tasks(pipeline)
    tune, train = (
        [stage] if count == 1 else sorted(f"{stage}-{number}" for number in range(1, count + 1))
        for stage in ("tune", "train")
    )
    assert set(found) == {"preprocess", "pretrain", *tune, *train, "evaluate", "report"}
    assert found["pretrain"]["dependentTasks"] == ["preprocess"]
    for name in tune:
        assert found[name]["dependentTasks"] == ["pretrain"]
    for name in train:
        assert found[name]["dependentTasks"] == tune
        assert found[name]["taskInfo"] == {"name": name}
    assert found["evaluate"]["dependentTasks"] == train


def test_a_stage_that_a_benchmark_does_not_have_is_not_there() -> None:
    pipeline, settings = documents(pipeline_documents(PLATFORM, Workers(pretrain=0, tune=0, train=2)))
    found = tasks(pipeline)
    assert set(found) == {"preprocess", "train-1", "train-2", "evaluate", "report"}
    assert found["train-1"]["dependentTasks"] == ["preprocess"]
    assert "tune" not in json.dumps(
        [pipeline["components"], pipeline["deploymentSpec"]["executors"].keys()], default=list
    )
    assert "exec-tune" not in settings["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_tasks_that_refuse_bad_input_are_not_retried_and_all_others_are_with_back_off() -> None:
    pipeline, _ = documents(FILES[0].read_text())
    for name, task in tasks(pipeline).items():
        assert not task["cachingOptions"].get("enableCache"), f"{name}: the workspace is the cache"
        if name in ("preprocess", "evaluate"):
            assert "retryPolicy" not in task, name
        else:
            policy = {"maxRetryCount": 3, "backoffDuration": "60s", "backoffFactor": 2, "backoffMaxDuration": "604800s"}
            assert task["retryPolicy"] == policy, name


def test_no_task_but_the_report_begins_whatever_came_before() -> None:
    """Argo has one exit hook a task: of several such tasks Kubeflow Pipelines 2.17 runs one."""
    pipeline, _ = documents(FILES[0].read_text())
    found = {name: task["triggerPolicy"] for name, task in tasks(pipeline).items() if "triggerPolicy" in task}
    assert found == {"report": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}


def test_there_are_no_loops() -> None:
    """Each would take pods of its own, give its tasks no names, and stay open for ever where it is empty."""
    assert "parameterIterator" not in FILES[0].read_text()
