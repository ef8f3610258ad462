"""The best of a run whose report is written: chosen by validation, told with its test score."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """The best of each target by validation, over all sources; none where files of the report lack, or are damaged.

    Args:
        folder: `reports/<benchmark>` of a workspace.
    """
    found: dict[str, tuple[float, Best]] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        scores = _scores(folder)
        for model in json.loads((folder / "models.json").read_bytes()):
            target = model["target"]
            row = _row(scores, model)
            if not model["best"] or row is None:
                continue
            figures = (float(row[name]) for name in ("mean", "low", "high"))
            words = row.get("labelled") or row["n_train"]
            best = Best(target, row["method"], row["encoder"], words, row["metric"], *figures)
            validation = model.get("validation")
            sign = 1 if model["direction"] == "max" else -1
            rank = -math.inf if validation is None else sign * float(validation)
            if target not in found or rank > found[target][0]:
                found[target] = (rank, best)
    return [best for _, best in found.values()]


def _row(scores: Sequence[dict[str, str]], model: Mapping[str, Any]) -> dict[str, str] | None:
    """The test scores of a model: of its own source, where it has one."""
    for row in scores:
        if (
            f"{row['data']}.{row['target']}" == model["target"]
            and (row["method"], row["n_train"]) == (model["method"], str(model["n_train"]))
            and row["encoder"] in ("", model["encoder"])
            and model.get("source", "") in ("", row["source"])
        ):
            return row
    return None


def _scores(folder: Path) -> list[dict[str, str]]:
    """Rows of the tables of test scores."""
    rows: list[dict[str, str]] = []
    for path in sorted((folder / "tables").glob("scores*.csv")):
        with path.open(newline="") as file:
            rows += csv.DictReader(file)
    return rows
