"""Do what was lost on the way; then list all studies with their scores and models in one table."""

from kfp import dsl
from kfp.dsl import Dataset, Markdown, Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    workspace: str,
    submission: str,
    run: str,
    studies: Output[Dataset],
    scores: Output[Markdown],
    metrics: Output[Metrics],
):
    """List all studies with their scores."""
    from ctlr.cluster.artefacts import log_numbers, log_studies
    from ctlr.cluster.workers import evaluate_benchmark

    facts, results = evaluate_benchmark(workspace, submission, run)
    log_studies(studies, scores, results, workspace)
    log_numbers(metrics, facts)
