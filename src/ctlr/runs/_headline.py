"""The best of a run whose report is written: chosen by validation, told with its test score."""

from __future__ import annotations

import contextlib
import csv
import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Best", "best_reported"]


@dataclass(frozen=True)
class Best:
    """What a report says of a target."""

    target: str
    """`dataset.task`."""
    method: str
    encoder: str
    labelled: str
    """Subjects: training + validation."""
    metric: str
    score: float
    """On the test set."""
    low: float
    high: float

    @property
    def words(self) -> str:
        """In a line."""
        return f"{self.method} {self.metric} {self.score:.4g} ({self.low:.4g} to {self.high:.4g}), n = {self.labelled}"


def best_reported(folder: Path) -> list[Best]:
    """The best of each target, as the files of a report say; none where it has none, or they cannot be read.

    Args:
        folder: `reports/<benchmark>` of a workspace.
    """
    found = []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        scores = _scores(folder)
        for model in json.loads((folder / "models.json").read_bytes()):
            key = (model["target"], model["encoder"], model["method"], str(model["n_train"]))
            row = scores.get(key) or scores.get((key[0], "", *key[2:]))
            if model["best"] and row is not None:
                figures = (float(row[name]) for name in ("mean", "low", "high"))
                words = row.get("labelled") or row["n_train"]
                found.append(Best(model["target"], row["method"], row["encoder"], words, row["metric"], *figures))
    return found


def _scores(folder: Path) -> dict[tuple[str, str, str, str], dict[str, str]]:
    """Rows of the tables of test scores, by target, encoder, method and n."""
    rows = {}
    for path in sorted((folder / "tables").glob("scores*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                rows[f"{row['data']}.{row['target']}", row["encoder"], row["method"], row["n_train"]] = row
    return rows
