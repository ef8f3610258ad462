"""A whole benchmark, whichever it is: stages of workers that claim what is ready in the workspace.

How many tasks there are depends on the platform, not on the studies: `ctlr.cluster.platform.placed` gives each stage as
many workers as it can use, and takes out the stages that a benchmark does not have. The workspace is the cache, of
which Kubeflow's own knows nothing, so that one is off.
"""

from components.evaluate import evaluate
from components.plan import plan
from components.preprocess import preprocess
from components.pretrain import pretrain
from components.report import report
from components.train import train
from components.tune import tune
from kfp import dsl

RETRIES = 3


def patient(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """A task that begins again when its pod was lost: after 1, 2 and 4 minutes.

    The last duration is counted from the first attempt's start, and ends what runs then; a week is for ever.
    """
    return task.set_caching_options(False).set_retry(RETRIES, "60s", 2.0, "604800s")


def once(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """A task that refuses bad input, which no retry mends."""
    return task.set_caching_options(False)


@dsl.pipeline(name="ctlr-benchmark")
def benchmark_pipeline(
    submission: str,
    benchmark: str,
    manifests: dict = {},  # noqa: B006 (Kubeflow Pipelines reads the default)
    workspace: str = "/workspace",
    platform: str = "{}",
    study: str = "",
):
    """Preprocess, plan, tune, train, evaluate; and report, whatever came before.

    Args:
        submission: Name of the benchmark's folder below `submissions/` of the workspace; a submission of the same
            benchmark by the same name goes on with it.
        benchmark: `BenchmarkConfig` as JSON.
        manifests: Katib manifests of a tuned benchmark and files of its plug-ins, by the names that it uses.
        workspace: Where the volume is mounted.
        platform: `PlatformSpec` as JSON: what pods have, and where trials of a tuned benchmark run.
        study: Id of the only study that is wanted, as `ctlr plan -o json` lists it; empty for all of them.
    """
    # Whatever a task is given stands several times in the workflow's status, so that each gets as little as it can.
    sent = {"workspace": workspace, "submission": submission}
    place = sent | {"run": dsl.PIPELINE_JOB_ID_PLACEHOLDER}
    last = patient(report(**sent))
    with dsl.ExitHandler(last, name="Benchmark"):
        stored = patient(preprocess(**place, benchmark=benchmark, manifests=manifests, platform=platform, study=study))
        laid = once(plan(**place)).after(stored)
        first = patient(pretrain(**place)).after(laid)
        tuned = patient(tune(**place)).after(first)
        trained = patient(train(**place)).after(tuned)
        once(evaluate(**place)).after(trained)
