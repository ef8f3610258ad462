"""Using a trained model: which one is the best, and what it says of files.

MLflow loads a recorded model by `_load_pyfunc`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ctlr.data.inputs import given_cells
from ctlr.data.preparation import prepare_files
from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.shallow.model import SavedFamily
from ctlr.specs import images_of
from ctlr.training.checkpoint import TrainedModel, load_model

__all__ = ["best_model", "predict_each_file", "predict_files"]

_AT_ONCE = 64
"""Files that are held in memory."""


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


def predict_files(
    model: TrainedModel | SavedFamily | Path | str,
    files: Sequence[Path | str],
    *,
    masks: Sequence[Path | str | None] | None = None,
    inputs: Mapping[str, Sequence[Any]] | None = None,
    device: str = "cpu",
) -> npt.NDArray[np.float64]:
    """Predict the target of files, the first one where the model answers several; arguments and errors as of
    `predict_each_file`.

    Returns:
        (N,) values in the target's units (`card.preparation.units`), or (N, K) probabilities in the order of
        `card.classes`.
    """
    return next(iter(predict_each_file(model, files, masks=masks, inputs=inputs, device=device).values()))


def predict_each_file(
    model: TrainedModel | SavedFamily | Path | str,
    files: Sequence[Path | str],
    *,
    masks: Sequence[Path | str | None] | None = None,
    inputs: Mapping[str, Sequence[Any]] | None = None,
    device: str = "cpu",
) -> dict[str, npt.NDArray[np.float64]]:
    """Predict every target of NIfTI volumes or pictures, prepared as the model's training images were.

    Args:
        model: A folder with `model.json` and `model.safetensors`, or what was loaded from it.
        files: Of the kind that the model was trained on.
        masks: Of the brain, one a file; by default those that BIDS names put beside the files.
        inputs: What the model reads beside the images (`card.inputs`), by the column's name: a value a file, None where
            it is unknown.
        device: cpu or cuda, for a folder.

    Returns:
        By target, in the order of `card.answers`: (N,) values in its units, or (N, K) probabilities in the order of its
        classes.

    Raises:
        DataError: A file does not fit the model; names it, the rule, the value and the remedy. A column of `inputs` is
            missing. Or the model does not say how its images were prepared.
        WorkspaceError: The folder holds no model.
    """
    loaded = load_model(Path(model), torch.device(device)) if isinstance(model, Path | str) else model
    preparation = loaded.card.preparation
    if preparation is None and loaded.card.ndim < 2:
        shape = ", ".join(map(str, loaded.card.shape))
        raise DataError(
            f"a model of {images_of(loaded.card.ndim)} predicts from arrays, not from files: give an array "
            f"(N, {shape}) of float32, prepared as the benchmark's were, to `load_model(...).predict`."
        )
    if preparation is None:
        name = f"{Path(model).name}/model.json" if isinstance(model, Path | str) else "model.json"
        raise DataError(
            f"{name} does not say how files are prepared: an older CTLR wrote it. Run its benchmark again (remove the "
            "model's folders below studies/ and finetuned/ first), or prepare the images yourself and give arrays to "
            "`load_model(...).predict`."
        )
    paths = [Path(file) for file in files]
    beside = None if masks is None else [None if mask is None else Path(mask) for mask in masks]
    columns = given_cells(loaded.card.inputs, inputs, len(paths))  # before files are read, which takes long
    found = [
        _each(
            loaded, prepare_files(paths[part], preparation, beside and beside[part]),
            {name: cells[part] for name, cells in columns.items()},
        )
        for part in (slice(i, i + _AT_ONCE) for i in range(0, max(1, len(paths)), _AT_ONCE))
    ]  # fmt: skip
    return {target: np.concatenate([each[target] for each in found]) for target in found[0]}


def _each(
    model: TrainedModel | SavedFamily, images: npt.NDArray[np.float32], inputs: Mapping[str, Sequence[Any]]
) -> dict[str, npt.NDArray[np.float64]]:
    if isinstance(model, TrainedModel):
        return model.predict_each(images, inputs=inputs, trusted=True)
    return {model.card.target: model.predict(images, trusted=True)}


class _WithColumns:
    """A model that reads columns beside the image, as MLflow hands them over."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def predict(self, data: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Of `images` (N, C, *S) float32, and (N,) each of the columns, by name."""
        inputs = {name: values.tolist() for name, values in data.items() if name != "images"}
        return self._model.predict(data["images"], inputs=inputs)


def _load_pyfunc(path: str) -> TrainedModel | SavedFamily | _WithColumns:
    """The model whose `predict` takes (N, C, *S) float32 images, or these with columns; the name is MLflow's."""
    model = load_model(Path(path))
    return _WithColumns(model) if isinstance(model, TrainedModel) and model.card.inputs else model
