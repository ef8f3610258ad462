"""Place the benchmark in the workspace, turn its datasets into arrays, and refuse what cannot be run."""

from kfp import dsl
from kfp.dsl import Dataset, Output

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def preprocess(workspace: str, submission: str, run: str, sent: str, arrays: Output[Dataset]):
    """Store and check the data."""
    from ctlr.cluster.artefacts import describe
    from ctlr.cluster.workers import preprocess_datasets

    describe(arrays, preprocess_datasets(workspace, submission, run, sent))
