"""Train what the benchmark asks for."""

from kfp import dsl
from kfp.dsl import Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(workspace: str, submission: str, run: str, did: Output[Metrics]):
    """Claim pretrainings, finetunings and scores of transfers, whichever is ready, until none is left."""
    from ctlr.cluster.artefacts import log_numbers
    from ctlr.cluster.workers import work

    log_numbers(did, work(workspace, submission, run, "train"))
