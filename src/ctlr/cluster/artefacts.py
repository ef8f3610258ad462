"""What a task's artefacts say, for the lineage and the pages of Kubeflow Pipelines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ctlr.report.numbers.predictions import read_predictions
from ctlr.specs import StudyResult

__all__ = ["Artefact", "ConfusionArtefact", "MetricsArtefact", "confusion_counts", "describe", "log_numbers",
           "log_scores", "tabulate"]  # fmt: skip


class Artefact(Protocol):
    """An output of a task: a file, and what is known about it."""

    path: str
    metadata: dict[str, Any]


class MetricsArtefact(Protocol):
    """Numbers by name."""

    metadata: dict[str, Any]

    def log_metric(self, metric: str, value: float) -> None:
        """Note a number."""


class ConfusionArtefact(Protocol):
    """A matrix of true (rows) against predicted classes."""

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Note the matrix."""


def describe(artefact: Artefact, facts: Mapping[str, Any]) -> None:
    """Put facts into an artefact's metadata and, as JSON, into its file: the result itself stays in the workspace."""
    _note(artefact, facts, json.dumps(dict(facts), indent=1))


def tabulate(artefact: Artefact, facts: Mapping[str, Any]) -> None:
    """Put facts into an artefact's metadata and, as a table of Markdown, into its file."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    _note(artefact, facts, f"| | |\n|---|---|\n{rows}")


def _note(artefact: Artefact, facts: Mapping[str, Any], text: str) -> None:
    artefact.metadata.update(facts)
    Path(artefact.path).write_text(text)


def log_numbers(metrics: MetricsArtefact, facts: Mapping[str, Any]) -> None:
    """Log the numbers among facts; words go into the metadata beside them."""
    for name, value in facts.items():
        if isinstance(value, int | float):
            metrics.log_metric(name, value)
        elif isinstance(value, str):
            metrics.metadata[name] = value


def log_scores(metrics: MetricsArtefact, confusion: ConfusionArtefact, result: StudyResult, workspace: str) -> None:
    """Log a study's scores by split and, of a classification, the test set's confusion matrix."""
    scores = {f"{split}_{name}": value for split, each in result.scores.items() for name, value in each.items()}
    words = {"study": result.study.id, "status": result.status, "workspace": workspace, "path": result.path}
    log_numbers(metrics, words | ({"reason": result.reason} if result.reason else {}) | scores)
    if result.status == "ok" and result.study.target.task.kind == "classification":
        confusion.log_confusion_matrix(*confusion_counts(Path(workspace) / result.path / "predictions.csv"))


def confusion_counts(file: Path) -> tuple[list[str], list[list[int]]]:
    """Classes, and how many test images of each class (rows) were taken for each (columns).

    Raises:
        DataError: The file is missing or damaged.
    """
    found = read_predictions(file, "classification")["test"]
    counts = [[0] * len(found.classes) for _ in found.classes]
    for truth, guess in zip(found.codes, found.prediction.astype(int), strict=True):
        counts[truth][guess] += 1
    return list(found.classes), counts
