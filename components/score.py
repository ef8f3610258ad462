"""Score a transfer before anything is finetuned."""

from kfp import dsl
from kfp.dsl import Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def score(workspace: str, submission: str, pair: str, device: str, metrics: Output[Metrics]):
    """Foretell what a source is worth to a target."""
    from ctlr.cluster.artefacts import log_numbers
    from ctlr.cluster.steps import score_pair

    log_numbers(metrics, score_pair(workspace, submission, pair, device=device))
