"""Search a method's options."""

from kfp import dsl
from kfp.dsl import Markdown, Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def tune(
    workspace: str,
    submission: str,
    searches: str,
    trials: str,
    device: str,
    workers: int,
    found: Output[Markdown],
    metrics: Output[Metrics],
):
    """Run the searches that share a pretraining, as Katib Experiments or in this pod."""
    from ctlr.cluster.artefacts import log_numbers, tabulate
    from ctlr.cluster.tuning import tune_searches

    facts = tune_searches(workspace, submission, searches, place=trials, device=device, workers=workers)
    tabulate(found, facts)
    log_numbers(metrics, facts)
