"""Pretrain an encoder."""

from kfp import dsl
from kfp.dsl import Metrics, Model, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain(
    workspace: str,
    submission: str,
    pretraining: str,
    device: str,
    encoder: Output[Model],
    metrics: Output[Metrics],
):
    """Train the encoder that several studies begin from."""
    from ctlr.cluster.artefacts import describe, log_numbers
    from ctlr.cluster.steps import pretrain_encoder

    facts = pretrain_encoder(workspace, submission, pretraining, device=device)
    describe(encoder, facts)
    log_numbers(metrics, facts)
