"""Learn a study's target."""

from kfp import dsl
from kfp.dsl import Metrics, Model, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def finetune(workspace: str, submission: str, study: str, device: str, model: Output[Model], metrics: Output[Metrics]):
    """Train on the labelled target subjects of a study."""
    from ctlr.cluster.artefacts import describe, log_numbers
    from ctlr.cluster.steps import finetune_study

    facts = finetune_study(workspace, submission, study, device=device)
    describe(model, facts)
    log_numbers(metrics, facts)
