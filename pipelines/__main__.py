"""Compile the pipelines: `python -m pipelines` writes pipelines/*.yaml anew."""

from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from kfp import compiler
from kfp.dsl.base_component import BaseComponent

from ctlr.cluster.platform import placed
from ctlr.specs import PlatformSpec
from pipelines.benchmark import benchmark_pipeline
from pipelines.transfer import transfer_pipeline

HERE = Path(__file__).parent
PIPELINES = {"benchmark": benchmark_pipeline, "transfer": transfer_pipeline}


def compiled(pipeline: BaseComponent) -> str:
    """A pipeline's file, with the platform that a benchmark has which says nothing of it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(file))
        document = yaml.safe_load(file.read_text())
    documents = placed(document, PlatformSpec())
    return "# Compiled; do not edit: make pipelines.\n" + yaml.safe_dump_all(documents, width=120)


if __name__ == "__main__":
    for name, pipeline in PIPELINES.items():
        (HERE / f"{name}.yaml").write_text(compiled(pipeline))
