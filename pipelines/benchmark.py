"""A whole benchmark, whichever it is: stages of workers that claim what is ready in the workspace.

How many tasks there are depends on the platform, not on the studies: `ctlr.cluster.platform.placed` gives each stage as
many workers as it can use, and takes out the stages that a benchmark does not have. The workspace is the cache, of
which Kubeflow's own knows nothing, so that one is off.
"""

from components.evaluate import evaluate
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
    """A task that refuses bad input, which no retry mends; the cluster's defaults may begin a lost pod again."""
    return task.set_caching_options(False)


@dsl.pipeline(name="ctlr-benchmark")
def benchmark_pipeline(submission: str, sent: str, workspace: str = "/workspace"):
    """Preprocess, tune, train, evaluate; and report, whatever came before.

    Args:
        submission: Name of the benchmark's folder below `submissions/` of the workspace; a submission of the same
            benchmark by the same name goes on with it.
        sent: What `ctlr submit` sends, packed: the benchmark, its Katib manifests and plug-ins, its platform, and the
            only study that is wanted.
        workspace: Where the volume is mounted.
    """
    # Whatever a task is given stands several times in the workflow's status, so that each gets as little as it can.
    told = {"workspace": workspace, "submission": submission}
    place = told | {"run": dsl.PIPELINE_JOB_ID_PLACEHOLDER}
    last = patient(report(**told))
    with dsl.ExitHandler(last, name="Benchmark"):
        stored = once(preprocess(**place, sent=sent))
        first = patient(pretrain(**place)).after(stored)
        tuned = patient(tune(**place)).after(first)
        trained = patient(train(**place)).after(tuned)
        once(evaluate(**place)).after(trained)
