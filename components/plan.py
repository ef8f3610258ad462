"""Check a benchmark and lay it out."""

from typing import NamedTuple

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def plan(workspace: str, benchmark: str, manifests: dict) -> NamedTuple(
    "Laid", [("submission", str), ("datasets", list), ("searches", list), ("pretrainings", list)]
):
    """Refuse bad input before anything that is retried; name the datasets and the searches."""
    from ctlr.cluster.steps import plan_benchmark

    submission, names = plan_benchmark(workspace, benchmark, manifests)
    return submission, names["datasets"], names["searches"], names["pretrainings"]
