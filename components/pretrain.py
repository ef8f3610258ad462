"""Claim one pretraining that searches start from after the other, until none is left."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain(workspace: str, submission: str, run: str):
    """Pretrain what searches start from."""
    from ctlr.cluster.workers import work

    work(workspace, submission, run, "pretrain")
