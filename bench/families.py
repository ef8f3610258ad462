"""Families by features on 700 pictures of clothes: validation accuracy and CPU seconds of a trial, at default options.

    python bench/families.py [SEEDS]

prints the table of docs/methods-and-encoders.md, in some minutes for 3 seeds on one core. Fashion-MNIST is Debian's
package dataset-fashion-mnist. Features are computed by the first trial that asks for them; its seconds are told apart.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ctlr.config import load
from ctlr.data.preprocess import preprocess
from ctlr.plan import make_plan
from ctlr.specs import StoredArrays, Study
from ctlr.steps.trial import run_trial
from ctlr.tuning.request import TrialJob
from ctlr.workspace import Workspace

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "automl.yaml"
FEATURES: dict[str, dict[str, str]] = {
    "pixels": {}, "pixels, 50 components": {"features.components": "50"},
    "regions": {"features.kind": "regions"}, "histogram": {"features.kind": "histogram"},
    "hog": {"features.kind": "hog"}, "hog, 50 components": {"features.kind": "hog", "features.components": "50"},
    "lbp": {"features.kind": "lbp"}, "lbp, 50 components": {"features.kind": "lbp", "features.components": "50"},
}  # fmt: skip


def main(seeds: int) -> None:
    """Print the table."""
    sides = ["sample_sizes=[700]", "split={validation: 0.4}", f"seeds={list(range(seeds))}"]
    config = load(BENCHMARK, ["tuning=null", "baselines=[]", *sides])
    plan = make_plan(config)
    studies = {(study.method.label, study.seed): study for study in plan.studies if study.method.shallow}
    labels = list(dict.fromkeys(label for label, _ in studies))
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        arrays = {data.name: preprocess(data, workspace) for data in plan.datasets}
        _tried(studies[labels[0], 0], {}, arrays, workspace)  # loads what is needed
        print("| Features | computed in | " + " | ".join(f"`{label}`" for label in labels) + " |")
        print("|---|---:|" + "---:|" * len(labels))
        for name, options in FEATURES.items():
            began = time.process_time()
            _tried(studies["naive_bayes", 0], options, arrays, workspace)
            first = time.process_time() - began
            _, again = _tried(studies["naive_bayes", 0], options, arrays, workspace)
            cells = []
            for label in labels:
                tried = [_tried(studies[label, seed], options, arrays, workspace) for seed in range(seeds)]
                accuracy, seconds = (statistics.mean(each) for each in zip(*tried, strict=True))
                cells.append(f"{accuracy:.3f}, {seconds:.2g} s")
            print(f"| {name} | {max(0.0, first - again):.2g} s | " + " | ".join(cells) + " |", flush=True)


def _tried(
    study: Study, options: Mapping[str, str], arrays: Mapping[str, StoredArrays], workspace: Workspace
) -> tuple[float, float]:
    """Accuracy on validation subjects, and seconds of the trial."""
    job = TrialJob(study=study, assignments=dict(options))
    began = time.process_time()
    result = run_trial(job, arrays, workspace, report=lambda _: None)
    return result.value, time.process_time() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
