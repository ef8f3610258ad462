"""Finished studies on images that really lie in a workspace, with predictions that a test makes up."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from finished_bench import finished
from numpy.typing import NDArray

from ctlr.data.preprocess import preprocess
from ctlr.data.store import read_table
from ctlr.data.targets import read_targets
from ctlr.methods.scratch import ScratchSpec
from ctlr.methods.simclr import SimCLRSpec
from ctlr.report.finished import Finished
from ctlr.specs import AnyMethod, DatasetSpec, DataTask, EncoderSpec, Study, StudyResult, TaskSpec
from ctlr.training.metrics import classification_scores, regression_scores
from ctlr.workspace import Workspace

__all__ = ["stored_bench"]

METHODS: tuple[AnyMethod, ...] = (ScratchSpec(label="scratch"), SimCLRSpec(label="simclr"))


class _Results:
    def __init__(self, root: Path, results: Sequence[StudyResult]) -> None:
        self.root, self.results = root, results


def stored_bench(
    data: DatasetSpec,
    task: TaskSpec,
    root: Path,
    *,
    predict: Callable[[NDArray[Any], Sequence[str]], NDArray[np.float64]] | None = None,
    privacy: Literal["standard", "strict"] = "standard",
    seeds: Sequence[int] = (0, 1),
) -> Finished:
    """Preprocess a dataset, and have every image tested by two methods.

    Args:
        data: The dataset.
        task: What is learned of it.
        root: Of the workspace.
        predict: From true values and the table's sites to predictions, or probabilities; by default the truth.
        privacy: As the benchmark says it.
        seeds: Of each method.
    """
    workspace = Workspace(root)
    stored = preprocess(data, workspace)
    table = read_table(stored, workspace)
    targets = read_targets(table, task, data.name)
    truth, sites = targets.values, table.cells("site")
    names = workspace.pseudonyms(table.subject.cell(row) or "" for row in range(len(table)))
    k = len(targets.classes)
    right = np.eye(k)[truth] if k else truth
    said = right if predict is None else predict(truth, sites)
    results = []
    for method in METHODS:
        for seed in seeds:
            study = Study(
                target=DataTask(data=data, task=task), method=method, n_train=4, n_reserved=4, seed=seed,
                encoder=EncoderSpec(label="small", name="small_cnn"),
            )  # fmt: skip
            folder = root / "studies" / study.id
            folder.mkdir(parents=True, exist_ok=True)
            scores = classification_scores(truth, said) if k else regression_scores(truth, said, bins=[0.0])
            with (folder / "predictions.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["subject", "split", "y_true", "y_pred", *(f"p_{name}" for name in targets.classes)])
                for side in ("validation", "test"):
                    for name, true, guess in zip(names, truth, said, strict=True):
                        if k:
                            writer.writerow(
                                [name, side, targets.classes[true], targets.classes[int(guess.argmax())], *guess]
                            )
                        else:
                            writer.writerow([name, side, f"{true:.10g}", f"{guess:.10g}"])
            results.append(
                StudyResult(
                    study=study.without_folders(), scores={"validation": scores, "test": scores},
                    path=f"studies/{study.id}", arrays=stored.fingerprint, n_validation=4, seconds={"finetune": 1.0},
                )
            )  # fmt: skip
    found = finished(_Results(root, results), arrays={data.name: stored})
    report = found.config.report.model_copy(update={"privacy": privacy})
    return Finished(**vars(found) | {"config": found.config.model_copy(update={"report": report})})
