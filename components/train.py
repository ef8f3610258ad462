"""Claim pretrainings, finetunings and scores of transfers, whichever is ready, until none is left."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(workspace: str, submission: str, run: str):
    """Do what is left of the plan."""
    from ctlr.cluster.workers import work

    work(workspace, submission, run, "train")
