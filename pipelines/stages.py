"""Loops over what a task named, each a pipeline of its own.

A stage is one node for what comes after it: Kubeflow Pipelines lets no task wait for a loop, and no loop stand right
inside an exit handler (kubeflow/pipelines issues 10050 and 12390), but a nested pipeline may do both.

The workspace is the cache: what it holds is not scheduled at all. Kubeflow's own cache knows nothing of what lies
there, so it is off.
"""

from components.evaluate import evaluate
from components.finetune import finetune
from components.preprocess import preprocess
from components.pretrain import pretrain
from components.score import score
from components.tune import tune
from kfp import dsl

RETRIES = 3


def patient(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """A task that goes on when its pod was preempted: after 1, 2 and 4 minutes."""
    return task.set_caching_options(False).set_retry(RETRIES, "60s", 2.0, "900s")


def once(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """A task that refuses bad input, which no retry mends."""
    return task.set_caching_options(False)


@dsl.pipeline(name="preprocess-datasets")
def preprocess_all(workspace: str, submission: str, datasets: list, workers: int):
    """Store each dataset's images."""
    with dsl.ParallelFor(datasets) as dataset:
        patient(preprocess(workspace=workspace, submission=submission, dataset=dataset, workers=workers))


@dsl.pipeline(name="tune-searches")
def tune_all(workspace: str, submission: str, searches: list, platform: str):
    """Search each method's options."""
    with dsl.ParallelFor(searches) as group:
        patient(tune(workspace=workspace, submission=submission, searches=group, platform=platform))


@dsl.pipeline(name="pretrain-encoders")
def pretrain_all(workspace: str, submission: str, pretrainings: list, device: str):
    """Train each distinct encoder that studies begin from."""
    with dsl.ParallelFor(pretrainings) as name:
        patient(pretrain(workspace=workspace, submission=submission, pretraining=name, device=device))


@dsl.pipeline(name="score-transfers")
def score_all(workspace: str, submission: str, pairs: list, device: str):
    """Foretell what each source is worth."""
    with dsl.ParallelFor(pairs) as pair:
        patient(score(workspace=workspace, submission=submission, pair=pair, device=device))


@dsl.pipeline(name="train-studies")
def train_all(workspace: str, submission: str, studies: list, device: str):
    """Finetune each study, then score it on its test set."""
    with dsl.ParallelFor(studies) as study:
        tuned = patient(finetune(workspace=workspace, submission=submission, study=study, device=device))
        patient(
            evaluate(workspace=workspace, submission=submission, study=study, device=device,
                     model=tuned.outputs["model"])
        )  # fmt: skip


@dsl.pipeline(name="evaluate-floors")
def evaluate_all(workspace: str, submission: str, floors: list, device: str):
    """Score mean predictors and baselines, which train no network of their own."""
    with dsl.ParallelFor(floors) as study:
        patient(evaluate(workspace=workspace, submission=submission, study=study, device=device))
