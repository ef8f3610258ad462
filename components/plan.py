"""Check a benchmark and its data."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def plan(workspace: str, submission: str, run: str):
    """Refuse what cannot be run, before anything that is retried."""
    from ctlr.cluster.workers import plan_benchmark

    plan_benchmark(workspace, submission, run)
