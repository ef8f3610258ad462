"""Score a study on its test set."""

from kfp import dsl
from kfp.dsl import ClassificationMetrics, Input, Metrics, Model, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    workspace: str,
    submission: str,
    study: str,
    device: str,
    metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    model: Input[Model] = None,
):
    """Open the test set, the only step that does."""
    from ctlr.cluster.artefacts import log_scores
    from ctlr.cluster.steps import evaluate_study

    log_scores(metrics, confusion, evaluate_study(workspace, submission, study, device=device), workspace)
