"""The compiled pipelines: up to date, whole, and loadable by Kubeflow's own tools."""

import json
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from pipelines.__main__ import HERE, PIPELINES, compiled

from ctlr.cluster.kubeflow import pipeline_documents
from ctlr.specs import PlatformSpec, TolerationSpec

TRAINING = {"exec-pretrain", "exec-score", "exec-finetune", "exec-evaluate"}

PLATFORM = PlatformSpec(
    image="registry.example/ctlr-gpu:0.1.0", volume="ages", workspace="/data/work", cpu="4", memory="16Gi",
    shared_memory="8Gi", gpu="nvidia.com/mig-1g.10gb", gpus=2, node_selector={"pool": "a100"},
    tolerations=(TolerationSpec(key="nvidia.com/gpu"),), secrets={"MLFLOW_TRACKING_PASSWORD": "mlflow-user/password"},
    pull_secrets=("registry",), labels={"kueue.x-k8s.io/queue-name": "research"}, parallel=8,
)  # fmt: skip


def documents(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    first, second = yaml.safe_load_all(text)
    return first, second


def executors(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    pipeline, platform = documents(text)
    kubernetes = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline["deploymentSpec"]["executors"], kubernetes


@pytest.mark.parametrize("name", PIPELINES)
def test_a_compiled_pipeline_is_what_the_code_compiles_to(name: str) -> None:
    assert (HERE / f"{name}.yaml").read_text() == compiled(PIPELINES[name]), "out of date: make pipelines"


@pytest.mark.parametrize("name", PIPELINES)
def test_kubeflow_loads_a_compiled_pipeline(name: str) -> None:
    loaded = components.load_component_from_file(str(HERE / f"{name}.yaml"))
    assert loaded.name == f"ctlr-{name}"
    assert "benchmark" in loaded.component_spec.inputs


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("platform", [PlatformSpec(), PLATFORM], ids=["plain", "full"])
def test_both_documents_keep_the_schemas_of_kubeflow(name: str, platform: PlatformSpec) -> None:
    pipeline, placed = documents(pipeline_documents(name, platform))
    json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(placed, pipeline_spec_pb2.PlatformSpec())
    for settings in placed["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        json_format.ParseDict(settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig())


def test_the_default_platform_gives_the_file_that_ships() -> None:
    shipped = (HERE / "benchmark.yaml").read_text().partition("\n")[2]
    assert pipeline_documents("benchmark", PlatformSpec()) == shipped


def test_a_platform_is_written_the_same_each_time() -> None:
    assert pipeline_documents("benchmark", PLATFORM) == pipeline_documents("benchmark", PLATFORM)


def test_only_pods_that_train_ask_for_a_gpu_and_its_nodes() -> None:
    containers, settings = executors(pipeline_documents("benchmark", PLATFORM))
    with_gpu = {name for name, each in containers.items() if "accelerator" in each["container"]["resources"]}
    assert {name.removesuffix("-2") for name in with_gpu} == TRAINING
    assert {name for name, each in settings.items() if "nodeSelector" in each} == with_gpu
    assert {name for name, each in settings.items() if "tolerations" in each} == with_gpu
    resources = containers["exec-finetune"]["container"]["resources"]
    assert resources["accelerator"] == {"resourceType": "nvidia.com/mig-1g.10gb", "resourceCount": "2"}
    assert settings["exec-score"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]


def test_a_pod_that_only_watches_trials_keeps_no_gpu_from_them() -> None:
    for trials, expected in (("katib", False), ("local", True)):
        platform = PLATFORM.model_copy(update={"trials": trials})
        containers, _ = executors(pipeline_documents("benchmark", platform))
        assert ("accelerator" in containers["exec-tune"]["container"]["resources"]) is expected


def test_every_pod_has_the_image_the_volume_and_the_secrets() -> None:
    containers, settings = executors(pipeline_documents("benchmark", PLATFORM))
    assert {each["container"]["image"] for each in containers.values()} == {PLATFORM.image}
    for each in settings.values():
        assert each["pvcMount"][0]["mountPath"] == "/data/work"
        assert each["pvcMount"][0]["pvcNameParameter"] == {"runtimeValue": {"constant": "ages"}}
        assert each["emptyDirMounts"][0]["sizeLimit"] == "8Gi"
        assert each["secretAsEnv"][0]["keyToEnv"] == [{"secretKey": "password", "envVar": "MLFLOW_TRACKING_PASSWORD"}]
        assert each["securityContext"] == {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}
        assert each["podMetadata"] == {"labels": PLATFORM.labels}


def test_every_pod_asks_for_what_it_may_use() -> None:
    containers, _ = executors((HERE / "benchmark.yaml").read_text())
    for each in containers.values():
        resources = each["container"]["resources"]
        assert resources["resourceCpuRequest"] == resources["resourceCpuLimit"] == "2"
        assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"] == "4Gi"


def test_loops_run_as_many_at_once_as_the_platform_allows() -> None:
    pipeline, _ = documents(pipeline_documents("benchmark", PLATFORM))
    loops = [task for task in tasks(pipeline).values() if "parameterIterator" in task]
    assert len(loops) == 7
    assert [loop["iteratorPolicy"] for loop in loops] == [{"parallelismLimit": 8}] * 7


def tasks(pipeline: dict[str, Any]) -> dict[str, Any]:
    """Tasks of the whole pipeline, by component and name."""
    dags = {"root": pipeline["root"], **pipeline["components"]}
    return {
        f"{place}/{name}": task
        for place, each in dags.items()
        for name, task in each.get("dag", {}).get("tasks", {}).items()
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_tasks_that_refuse_bad_input_are_not_retried_and_all_others_are_with_back_off(name: str) -> None:
    pipeline, _ = documents((HERE / f"{name}.yaml").read_text())
    with_pods = {each: spec for each, spec in pipeline["components"].items() if "executorLabel" in spec}
    for place, task in tasks(pipeline).items():
        if task["componentRef"]["name"] not in with_pods:
            continue
        assert not task["cachingOptions"].get("enableCache"), f"{place}: the workspace is the cache"
        if task["componentRef"]["name"] in ("comp-plan", "comp-schedule"):
            assert "retryPolicy" not in task, place
        else:
            policy = {"maxRetryCount": 3, "backoffDuration": "60s", "backoffFactor": 2, "backoffMaxDuration": "900s"}
            assert task["retryPolicy"] == policy, place


@pytest.mark.parametrize("name", PIPELINES)
def test_the_report_is_written_whatever_came_before(name: str) -> None:
    pipeline, _ = documents((HERE / f"{name}.yaml").read_text())
    report = pipeline["root"]["dag"]["tasks"]["report"]
    assert report["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


@pytest.mark.parametrize("name", PIPELINES)
def test_no_loop_stands_where_kubeflow_cannot_run_one(name: str) -> None:
    """Right inside an exit handler (kubeflow/pipelines 12390), or before a task that waits for it (10050)."""
    pipeline, _ = documents((HERE / f"{name}.yaml").read_text())
    for place, task in tasks(pipeline).items():
        assert "parameterIterator" not in task or "exit-handler" not in place
        assert not any(each.startswith("for-loop") for each in task.get("dependentTasks", ()))


def test_a_thousand_studies_need_no_other_pipeline() -> None:
    """Loops run over what tasks name, so that nothing of a benchmark stands in the file."""
    pipeline, _ = documents((HERE / "benchmark.yaml").read_text())
    loops = [task["parameterIterator"]["items"] for task in tasks(pipeline).values() if "parameterIterator" in task]
    assert all("inputParameter" in items for items in loops)
    assert "raw" not in json.dumps(loops)
