"""Which model of a workspace is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ctlr.errors import ConfigError, WorkspaceError

__all__ = ["best_model", "find_model"]


def best_model(
    workspace: Path | str, benchmark: str, *, source: str = "", target: str = "", encoder: str = "", method: str = ""
) -> Path:
    """Folder of the model that a benchmark's report calls the best.

    The report's `models.json` is read: of each transfer the method with the best validation score at the largest size,
    and of its seeds the best by validation, as the model card says.

    Args:
        workspace: The workspace, or a copy of its `studies` and `reports`.
        benchmark: Name.
        source: `dataset.task`, where several transfers have one target.
        target: `dataset.task`, where the benchmark has several.
        encoder: Its key in the file, where there are several.
        method: Take the best model of this method instead.

    Raises:
        ConfigError: There is no such report or model, or several fit; names what there is.
        WorkspaceError: The record or the model cannot be read.
    """
    record = Path(workspace) / "reports" / benchmark / "models.json"
    if not record.exists():
        raise ConfigError(f"{record} does not exist. Write the report with `ctlr report --workspace {workspace}`.")
    try:
        models: list[dict[str, Any]] = json.loads(record.read_text())
        asked = {"source": source, "target": target, "encoder": encoder, "method": method}
        fitting = [
            model
            for model in models
            if all(model[key] == value for key, value in asked.items() if value) and (method or model["best"])
        ]
        told = [_told(model) for model in (fitting or models)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{record} cannot be read. Remove it and run `ctlr report` again.") from error
    if len(fitting) != 1:
        raise ConfigError(
            f"`source`, `target`, `encoder` and `method` must name one model of {benchmark}; {len(fitting)} fit. "
            f"There are: {'; '.join(told) or 'none'}."
        )
    (best,) = fitting
    folder = Path(workspace) / str(best["path"])
    if not (folder / "model.json").exists():
        raise ConfigError(f"{_told(best)}: {best['path']} holds no network. Name another `method`, or run again.")
    return folder


def _told(model: dict[str, Any]) -> str:
    source = f", source {model['source']}" if model["source"] else ""
    return f"method {model['method']}, target {model['target']}{source}, encoder {model['encoder']}"


def find_model(place: Path | str, *, benchmark: str = "", **which: str) -> Path:
    """Folder of a model: the folder itself, or of a workspace the best model of a benchmark.

    Args:
        place: A folder with `model.json`, or a workspace.
        benchmark: Name; may be left out where the workspace has one report.
        which: `source`, `target`, `encoder` and `method` as for `best_model`.

    Raises:
        ConfigError: There is neither, or several models fit; names what there is.
    """
    folder = Path(place)
    asked = {name: value for name, value in {"benchmark": benchmark, **which}.items() if value}
    if (folder / "model.json").exists():
        if asked:
            raise ConfigError(
                f"{folder} is one model; {', '.join(f'`{name}`' for name in asked)} choose among those of a "
                "workspace. Leave them out, or name the workspace."
            )
        return folder
    reports = sorted(file.parent.name for file in (folder / "reports").glob("*/models.json"))
    if not reports:
        raise ConfigError(
            f"{folder} must be a model's folder (with model.json) or a workspace with a report; it is neither. "
            f"Name another, or write the report with `ctlr report --workspace {folder}`."
        )
    if not benchmark and len(reports) > 1:
        raise ConfigError(f"{folder} has reports of {', '.join(reports)}. Name one of them: `--benchmark NAME`.")
    return best_model(folder, benchmark or reports[0], **which)
