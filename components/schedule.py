"""Name what is left to train."""

from typing import NamedTuple

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def schedule(workspace: str, submission: str, study: str = "") -> NamedTuple(
    "Left", [("pretrainings", list), ("scores", list), ("studies", list), ("floors", list)]
):
    """Draw every split, refuse leaks, and leave out what the workspace holds already."""
    from ctlr.cluster.steps import schedule_training

    left = schedule_training(workspace, submission, study=study)
    return left["pretrainings"], left["scores"], left["studies"], left["floors"]
