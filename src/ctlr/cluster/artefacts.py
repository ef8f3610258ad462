"""What a task's artefacts say, for the lineage and the pages of Kubeflow Pipelines."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ctlr.report.numbers.predictions import read_predictions
from ctlr.specs import StudyResult

__all__ = ["Artefact", "MetricsArtefact", "confusion_counts", "describe", "log_numbers", "log_studies"]


class Artefact(Protocol):
    """An output of a task: a file, and what is known about it."""

    path: str
    metadata: dict[str, Any]


class MetricsArtefact(Protocol):
    """Numbers by name."""

    metadata: dict[str, Any]

    def log_metric(self, metric: str, value: float) -> None:
        """Note a number."""


def describe(artefact: Artefact, facts: Mapping[str, Any]) -> None:
    """Put facts into an artefact's metadata and, as JSON, into its file: the result itself stays in the workspace."""
    artefact.metadata.update(facts)
    Path(artefact.path).write_text(json.dumps(dict(facts), indent=1))


def log_numbers(metrics: MetricsArtefact, facts: Mapping[str, Any]) -> None:
    """Log the numbers among facts; words go into the metadata beside them."""
    for name, value in facts.items():
        if isinstance(value, int | float):
            metrics.log_metric(name, value)
        elif isinstance(value, str):
            metrics.metadata[name] = value


def log_studies(table: Artefact, text: Artefact, results: Sequence[StudyResult], workspace: str) -> None:
    """Write all studies into one table (CSV), and their scores into a text (Markdown).

    The table has a row a study: its factors, whether it failed and why, each score by split, seconds, and where its
    predictions and its model lie in the workspace. The text has means over seeds, and the confusion matrices of
    classifications, added up over seeds.
    """
    rows = [result.record() | {"path": result.path} for result in results]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with Path(table.path).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    failed = sum(result.status == "failed" for result in results)
    table.metadata.update({"studies": len(results), "failed": failed, "workspace": workspace})
    Path(text.path).write_text(_means(results) + _matrices(results, Path(workspace)))


def _means(results: Sequence[StudyResult]) -> str:
    """One row a method, size and metric of the test set."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for result in results:
        for name, value in result.scores.get("test", {}).items():
            found.setdefault((result.study.method.label, result.study.n_train, name), []).append(value)
    rows = [f"| {label} | {n} | {name} | {sum(v) / len(v):.4g} | {len(v)} |" for (label, n, name), v in found.items()]
    return "\n".join(["| method | n | metric | mean on the test set | studies |", "|---|---|---|---|---|", *rows, ""])


def _matrices(results: Sequence[StudyResult], root: Path) -> str:
    """Confusion matrices by method and size."""
    found: dict[tuple[str, int, tuple[str, ...]], list[list[int]]] = {}
    for result in results:
        if result.status == "ok" and result.study.target.task.kind == "classification":
            classes, counts = confusion_counts(root / result.path / "predictions.csv")
            key = (result.study.method.label, result.study.n_train, tuple(classes))
            before = found.get(key, [[0] * len(counts) for _ in counts])
            found[key] = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(before, counts, strict=True)]
    text = ""
    for (label, n, names), counts in found.items():
        text += f"\n{label}, n = {n}: true classes in rows, predicted ones in columns\n\n"
        text += f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
        text += "".join(f"| {name} | {' | '.join(map(str, row))} |\n" for name, row in zip(names, counts, strict=True))
    return text


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
