"""Search methods' options."""

from kfp import dsl
from kfp.dsl import Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def tune(workspace: str, submission: str, run: str, did: Output[Metrics]):
    """Claim one search after the other until none is left: as Katib Experiments, or in this pod."""
    from ctlr.cluster.artefacts import log_numbers
    from ctlr.cluster.workers import work

    log_numbers(did, work(workspace, submission, run, "tune"))
