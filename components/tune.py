"""Claim one search after the other until none is left: as Katib Experiments, or in this pod."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def tune(workspace: str, submission: str, run: str):
    """Search, as Katib Experiments or in this pod."""
    from ctlr.cluster.workers import work

    work(workspace, submission, run, "tune")
