"""Search a method's options."""

from kfp import dsl
from kfp.dsl import Markdown, Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def tune(
    workspace: str,
    submission: str,
    searches: str,
    platform: str,
    found: Output[Markdown],
    metrics: Output[Metrics],
):
    """Run the searches that share a pretraining, as Katib Experiments or in this pod."""
    from ctlr.cluster.artefacts import log_numbers, tabulate
    from ctlr.cluster.tuning import tune_searches
    from ctlr.specs import PlatformSpec

    facts = tune_searches(workspace, submission, searches, platform=PlatformSpec.model_validate_json(platform))
    tabulate(found, facts)
    log_numbers(metrics, facts)
