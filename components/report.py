"""Report what is finished, whether or not every task before this one succeeded."""

from kfp import dsl
from kfp.dsl import HTML, Metrics, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report(workspace: str, submission: str, page: Output[HTML], counts: Output[Metrics]):
    """Report what is finished."""
    from ctlr.cluster.artefacts import log_numbers
    from ctlr.cluster.reporting import report_benchmark

    log_numbers(counts, report_benchmark(workspace, submission, page.path))
