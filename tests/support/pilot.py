"""A benchmark whose studies are finished in a workspace, with errors that vary by known amounts."""

import zlib
from pathlib import Path

import numpy as np
from stored_units import store_units

from ctlr.config import load
from ctlr.plan import make_plan
from ctlr.specs import Study, StudyResult
from ctlr.workspace import write_aside

BENCHMARK = """\
name: small
datasets: {cohort: {kind: cohort, subjects: 300}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers: [{source: {data: cohort, task: sex}, target: {data: cohort, task: age}}]
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}, simclr: {}}
sample_sizes: [20, 50]
seeds: [0, 1, 2]
split: {test: 60}
"""
ERROR = {"scratch": 12.0, "supervised": 11.0, "simclr": 11.8, "mean": 15.0}


def finish(study: Study, root: Path) -> None:
    """Leave what a finished study leaves: errors of 60 subjects that vary with the subject, the seed, and both."""
    path = f"studies/{study.identity()}"
    rng = np.random.default_rng(zlib.crc32(f"{study.method.label} {study.n_train} {study.seed}".encode()))
    people = np.random.default_rng(3)
    age, hard = people.uniform(20, 80, 60), people.normal(size=60)
    error = ERROR.get(study.method.label, 14.0) + rng.normal(scale=0.8) + 3 * hard + rng.normal(scale=2, size=60)
    lines = [f"s{i},test,{a:.6g},{a + e:.6g}" for i, (a, e) in enumerate(zip(age, np.abs(error), strict=True))]
    result = StudyResult(study=study.without_folders(), path=path, arrays="a", scores={"test": {"mae": 1.0}})
    (root / path).mkdir(parents=True)
    (root / path / "predictions.csv").write_text("\n".join(["subject,split,y_true,y_pred", *lines]) + "\n")
    write_aside(root / path / "result.json", result.model_dump_json().encode())


def pilot_folder(folder: Path) -> Path:
    """A benchmark, a workspace `whole` that holds all of it, and one `pilot` that holds n = 20 at other seeds."""
    (folder / "small.yaml").write_text(BENCHMARK)
    for workspace in ("whole", "pilot"):
        store_units(folder / workspace, "a", {"age": "years"})
    for study in make_plan(load(folder / "small.yaml")).studies:
        finish(study, folder / "whole")
    (folder / "cut.yaml").write_text(BENCHMARK.replace("[20, 50]", "[20]").replace("[0, 1, 2]", "[7, 8, 9, 10]"))
    for study in make_plan(load(folder / "cut.yaml")).studies:
        finish(study, folder / "pilot")
    return folder
