"""Compile the pipeline: `python -m pipelines` writes pipelines/benchmark.yaml, and the wheel's copy, anew."""

from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from kfp import compiler

from ctlr.cluster.platform import Workers, placed
from ctlr.specs import PlatformSpec
from pipelines.benchmark import benchmark_pipeline

HERE = Path(__file__).parent
FILES = (HERE / "benchmark.yaml", HERE.parent / "src" / "ctlr" / "cluster" / "compiled" / "benchmark.yaml")


def compiled() -> str:
    """The pipeline's file, with every stage, and the platform that a benchmark has which says nothing of it."""
    platform = PlatformSpec()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(benchmark_pipeline, str(file))
        document = yaml.safe_load(file.read_text())
    documents = placed(document, platform, Workers(pretrain=1, tune=1, train=platform.workers))
    return "# Compiled; do not edit: make pipelines.\n" + yaml.safe_dump_all(documents, width=120)


if __name__ == "__main__":
    for path in FILES:
        path.write_text(compiled())
