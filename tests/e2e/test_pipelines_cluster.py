"""Benchmarks on the real Kubeflow Pipelines, submitted as a user does.

CTLR_TEST_PIPELINES is the server's address, CTLR_TEST_PIPELINES_NAMESPACE (default: kubeflow) where its runs start;
CTLR's manifests have to be there (the claim ctlr-workspace, the account and Role), and its images on the nodes.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from clinic import CLINIC, write_clinic
from real_cluster import get, kubectl, scores_there, waited
from terminal import Finished, ctlr
from tiny_bench import TINY

HOST = os.environ.get("CTLR_TEST_PIPELINES", "")
NAMESPACE = os.environ.get("CTLR_TEST_PIPELINES_NAMESPACE", "kubeflow")
WORKERS = 2

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not (HOST and os.environ.get("KUBECONFIG") and shutil.which("kubectl")),
        reason="needs Kubeflow Pipelines (CTLR_TEST_PIPELINES), a cluster (KUBECONFIG) and kubectl",
    ),
]


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """One that the workspace does not know yet: its cohort's seed is drawn."""
    name = f"e2e-{uuid.uuid4().hex[:6]}"
    text = TINY.replace("name: tiny", f"name: {name}").replace("seed: 3", f"seed: {uuid.uuid4().int % 10**6}")
    file = tmp_path / f"{name}.yaml"
    file.write_text(text + f"platform: {{workers: {WORKERS}, cpu: 400m, memory: 1500Mi}}\n")
    return file


def submit(file: Path, *words: str) -> Finished:
    return ctlr("submit", file.name, "--host", HOST, *words, folder=file.parent)


def submitted(file: Path, *words: str) -> str:
    """The id of a run that has begun."""
    done = submit(file, *words)
    assert done.code == 0, done.err
    return done.err.rsplit("ctlr status ", 1)[1].split()[0]


def status(run: str) -> dict[str, Any]:
    done = ctlr("status", run, "--host", HOST, "-o", "json", folder=Path.cwd())
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def workflow_of(run: str) -> dict[str, Any]:
    (found,) = get("-n", NAMESPACE, "workflows", "-l", f"pipeline/runid={run}")["items"]
    return dict(found)


def pods_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    label = f"workflows.argoproj.io/workflow={workflow['metadata']['name']}"
    return list(get("-n", NAMESPACE, "pods", "-l", label)["items"])


def scores_here(folder: Path) -> dict[str, float]:
    results = {
        path.parent.name: json.loads(path.read_text()) for path in folder.glob("workspace/studies/*/result.json")
    }
    return {name: result["scores"]["test"]["mae"] for name, result in results.items()}


def test_a_benchmark_ends_with_a_laptops_scores_and_the_pods_that_were_foretold(benchmark: Path) -> None:
    foretold = json.loads(submit(benchmark, "--dry-run", "-o", "json").out)["total"]
    run = submitted(benchmark)
    waited(lambda: status(run)["state"] not in ("PENDING", "RUNNING"), seconds=600)
    ended = status(run)
    assert ended["state"] == "SUCCEEDED", ended
    assert {task["name"] for task in ended["tasks"]} == {"preprocess", "train-1", "train-2", "evaluate", "report"}
    workflow = workflow_of(run)
    assert len(pods_of(workflow)) == foretold <= 10 + 4 * WORKERS
    assert len(json.dumps(workflow["status"], separators=(",", ":"))) < 210_000

    laptop = ctlr("run", benchmark.name, "--workers=1", folder=benchmark.parent)
    assert laptop.code == 0, laptop.err
    here, there = scores_here(benchmark.parent), scores_there(NAMESPACE)
    assert len(here) == 10
    assert {study: there[study] for study in here} == pytest.approx(here, rel=1e-3)  # processors round differently

    again = submit(benchmark, "--wait")
    assert again.code == 0, again.err
    assert {study: scores_there(NAMESPACE)[study] for study in here} == {study: there[study] for study in here}


def test_what_a_lost_worker_was_at_is_done_by_the_others_and_the_next_run_succeeds(benchmark: Path) -> None:
    run = submitted(benchmark, "--set", "training.finetune.epochs=20")

    def at_work() -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in pods_of(workflow_of(run))
            if "train-1" in pod["metadata"]["annotations"].get("workflows.argoproj.io/node-name", "")
            and pod["status"]["phase"] == "Running"
        ]

    (pod,) = waited(at_work)
    kubectl("-n", NAMESPACE, "delete", "pod", pod)
    waited(lambda: status(run)["state"] not in ("PENDING", "RUNNING"), seconds=600)
    # Whether the run itself counts as failed is up to the cluster's settings for retries.
    again = submit(benchmark, "--wait", "--set", "training.finetune.epochs=20")
    assert again.code == 0, again.err
    laptop = ctlr("run", benchmark.name, "--workers=1", "--set", "training.finetune.epochs=20", folder=benchmark.parent)
    assert laptop.code == 0, laptop.err
    here, there = scores_here(benchmark.parent), scores_there(NAMESPACE)
    assert {study: there[study] for study in here} == pytest.approx(here, rel=1e-3)


def test_data_that_are_not_on_the_volume_end_the_run_at_once(tmp_path: Path) -> None:
    write_clinic(tmp_path / "clinic")
    platform = "platform: {cpu: 400m, memory: 1500Mi, roots: {clinic: data/nowhere}}\n"
    (tmp_path / "clinic.yaml").write_text(CLINIC + platform)
    done = submit(tmp_path / "clinic.yaml", "--wait")
    assert done.code == 1, done.err
    assert "preprocess: exit code 1: The dataset's `root` must be a folder; 'nowhere' is none." in done.err
    assert "train-1" not in done.out


def test_an_image_that_is_not_there_is_named_and_the_run_can_be_cancelled(benchmark: Path) -> None:
    run = submitted(benchmark, "--set", "platform.image=registry.invalid/ctlr:none")

    def reasons() -> str:
        return " ".join(task["reason"] for task in status(run)["tasks"])

    assert "registry.invalid/ctlr:none" in waited(reasons)
    cancelled = ctlr("cancel", run, "--host", HOST, folder=Path.cwd())
    assert cancelled.code == 0, cancelled.err
    waited(lambda: status(run)["state"] not in ("PENDING", "RUNNING"))
