"""A single study of a benchmark: one transfer by one method."""

from components.plan import plan
from components.report import report
from components.schedule import schedule
from kfp import dsl

from pipelines.stages import evaluate_all, once, patient, preprocess_all, pretrain_all, train_all


@dsl.pipeline(name="ctlr-transfer")
def transfer_pipeline(
    benchmark: str,
    study: str,
    workspace: str = "/workspace",
    device: str = "cpu",
    workers: int = 2,
):
    """Preprocess, pretrain where the method does, finetune, evaluate, report.

    Args:
        benchmark: `BenchmarkConfig` as JSON; one that is not tuned.
        study: Id of the study, as `ctlr plan -o json` lists it.
        workspace: Where the volume is mounted.
        device: cpu or cuda.
        workers: Processes of preprocessing.
    """
    last = patient(report(workspace=workspace, benchmark=benchmark, manifests={}))
    with dsl.ExitHandler(last, name="Transfer"):
        laid = once(plan(workspace=workspace, benchmark=benchmark, manifests={}))
        run = laid.outputs["submission"]
        stored = preprocess_all(workspace=workspace, submission=run, datasets=laid.outputs["datasets"], workers=workers)
        left = once(schedule(workspace=workspace, submission=run, study=study)).after(stored)
        ready = pretrain_all(
            workspace=workspace, submission=run, pretrainings=left.outputs["pretrainings"], device=device
        )
        train_all(workspace=workspace, submission=run, studies=left.outputs["studies"], device=device).after(ready)
        evaluate_all(workspace=workspace, submission=run, floors=left.outputs["floors"], device=device).after(ready)
