"""A whole benchmark, whichever it is: loops run over what its tasks name."""

from components.plan import plan
from components.report import report
from components.schedule import schedule
from kfp import dsl

from pipelines.stages import (
    evaluate_all,
    once,
    patient,
    preprocess_all,
    pretrain_all,
    score_all,
    train_all,
    tune_all,
)


@dsl.pipeline(name="ctlr-benchmark")
def benchmark_pipeline(
    benchmark: str,
    manifests: dict = {},  # noqa: B006 (Kubeflow Pipelines reads the default)
    workspace: str = "/workspace",
    device: str = "cpu",
    workers: int = 2,
    platform: str = "{}",
):
    """Plan, preprocess, tune, pretrain, score, finetune, evaluate; and report, whatever came before.

    Args:
        benchmark: `BenchmarkConfig` as JSON.
        manifests: Katib manifests of a tuned benchmark, by the names that it uses.
        workspace: Where the volume is mounted.
        device: cpu or cuda.
        workers: Processes of preprocessing.
        platform: `PlatformSpec` as JSON: where trials of a tuned benchmark run.
    """
    last = patient(report(workspace=workspace, benchmark=benchmark, manifests=manifests))
    with dsl.ExitHandler(last, name="Benchmark"):
        laid = once(plan(workspace=workspace, benchmark=benchmark, manifests=manifests))
        run = laid.outputs["submission"]
        stored = preprocess_all(workspace=workspace, submission=run, datasets=laid.outputs["datasets"], workers=workers)
        given = pretrain_all(
            workspace=workspace, submission=run, pretrainings=laid.outputs["pretrainings"], device=device
        ).after(stored)
        tuned = tune_all(
            workspace=workspace, submission=run, searches=laid.outputs["searches"], platform=platform
        ).after(given)
        left = once(schedule(workspace=workspace, submission=run)).after(tuned)
        ready = pretrain_all(
            workspace=workspace, submission=run, pretrainings=left.outputs["pretrainings"], device=device
        )
        score_all(workspace=workspace, submission=run, pairs=left.outputs["scores"], device=device).after(ready)
        train_all(workspace=workspace, submission=run, studies=left.outputs["studies"], device=device).after(ready)
        evaluate_all(workspace=workspace, submission=run, floors=left.outputs["floors"], device=device).after(ready)
