"""Pretrain the encoders that searches start from."""

from kfp import dsl
from kfp.dsl import Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain(workspace: str, submission: str, run: str, did: Output[Metrics]):
    """Claim one pretraining after the other until none is left."""
    from ctlr.cluster.artefacts import log_numbers
    from ctlr.cluster.workers import work

    log_numbers(did, work(workspace, submission, run, "pretrain"))
