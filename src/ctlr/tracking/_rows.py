"""What of a study is recorded: pure functions from results to parameters, metrics, tags and files."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ctlr.specs import Study, StudyResult, fingerprint

__all__ = ["Params", "Point", "epoch_points", "final_points", "made_from", "study_params", "study_tags", "write_files"]

Params = Mapping[str, str | int | float | bool]


class Point(NamedTuple):
    """A value of a metric at a step."""

    key: str
    value: float
    step: int


def study_params(study: Study) -> dict[str, str | int | float | bool]:
    """A study's factors, and every option of its method and encoder under a dotted name."""
    source = study.source
    params: dict[str, str | int | float | bool] = {
        "method": study.method.label,
        "encoder": study.encoder.label,
        "target": f"{study.target.data.name}.{study.target.task.name}",
        "source": f"{source.data.name}.{source.task.name}" if source else "none",
        "n_train": study.n_train,
        "seed": study.seed,
    }
    params |= _flat("encoder", study.encoder.model_dump(mode="json", exclude={"label"}))
    return params | _flat("method", study.method.model_dump(mode="json", exclude={"label"}))


def _flat(prefix: str, value: object) -> dict[str, str | int | float | bool]:
    if isinstance(value, dict):
        return {name: leaf for key, item in value.items() for name, leaf in _flat(f"{prefix}.{key}", item).items()}
    return {prefix: value if isinstance(value, str | int | float | bool) else str(value).lower()}


def final_points(result: StudyResult) -> Iterator[Point]:
    """`test_mae` and the like, `seconds_finetune` and the like, and counts."""
    for split, scores in result.scores.items():
        for metric, value in scores.items():
            yield Point(f"{split}_{metric}", value, 0)
    for metric, value in result.pretrain_scores.items():
        yield Point(f"pretrain_{metric}", value, 0)
    for step, seconds in result.seconds.items():
        yield Point(f"seconds_{step}", seconds, 0)
    for count in ("epochs", "best_epoch", "parameters"):
        yield Point(count, float(getattr(result, count)), 0)


def epoch_points(history: Path) -> Iterator[Point]:
    """Every number of `history.csv` as `epoch/<column>` at its epoch; nothing where there is no such file.

    The prefix keeps the curve of a score apart from the final score of the same name.
    """
    if not history.is_file():
        return
    with history.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            step = int(float(row.pop("epoch", number)))
            for column, text in row.items():
                try:
                    value = float(text)
                except ValueError:  # an empty cell: not measured in this epoch
                    continue
                if math.isfinite(value):
                    yield Point(f"epoch/{column}", value, step)


def study_tags(result: StudyResult) -> dict[str, str]:
    """What a study is found by, and what it was made from."""
    tags = {
        "ctlr.study": result.study.id,
        "ctlr.made_from": made_from(result),
        "ctlr.arrays": result.arrays,
        "ctlr.split": result.split,
        "ctlr.pretraining": result.pretraining,
        "ctlr.device": result.device,
        "ctlr.reason": result.reason,
        "mlflow.source.git.commit": result.environment.get("git_commit", ""),
    }
    return {key: value for key, value in tags.items() if value}


def made_from(result: StudyResult) -> str:
    """Equal where a study's record would be: data that have changed give the same study other scores."""
    scores = json.dumps(result.scores, sort_keys=True)
    return fingerprint(result.arrays, result.split, result.pretraining, result.path, scores)


def write_files(result: StudyResult, folder: Path, out: Path) -> None:
    """Gather a study's files: predictions, history, the study with all options, package versions."""
    for name in ("predictions.csv", "history.csv"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    study = result.study.model_dump(mode="json")
    for end in (study["target"], study["source"]):
        if end is not None and "root" in end["data"]:
            end["data"]["root"] = end["data"]["name"]
    (out / "study.json").write_text(json.dumps(study, indent=1))
    (out / "environment.json").write_text(json.dumps(result.environment, indent=1, sort_keys=True))
