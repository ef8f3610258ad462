"""Store the datasets' images."""

from kfp import dsl
from kfp.dsl import Dataset, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def preprocess(
    workspace: str,
    submission: str,
    run: str,
    benchmark: str,
    manifests: dict,
    platform: str,
    study: str,
    arrays: Output[Dataset],
):
    """Place the benchmark in the workspace, and turn each dataset's files into one array there."""
    from ctlr.cluster.artefacts import describe
    from ctlr.cluster.workers import preprocess_datasets

    facts = preprocess_datasets(workspace, submission, run, benchmark, manifests, platform=platform, study=study)
    describe(arrays, facts)
