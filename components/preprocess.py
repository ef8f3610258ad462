"""Store a dataset's images."""

from kfp import dsl
from kfp.dsl import Dataset, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def preprocess(workspace: str, submission: str, dataset: str, workers: int, arrays: Output[Dataset]):
    """Turn a dataset's files into one array in the workspace."""
    from ctlr.cluster.artefacts import describe
    from ctlr.cluster.steps import preprocess_dataset

    describe(arrays, preprocess_dataset(workspace, submission, dataset, workers=workers))
