"""Using a trained model: which one is the best, and what it says of files.

MLflow loads a recorded model by `_load_pyfunc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.serving._best import best_model, find_model
from ctlr.serving._export import export_onnx, export_torchscript
from ctlr.serving._files import FilePrediction, files_in, predict_each, predict_each_file, predict_files
from ctlr.serving._model import Model
from ctlr.serving._saliency import gradient_map, occlusion_map
from ctlr.training.checkpoint import load_model

__all__ = [
    "FilePrediction",
    "Model",
    "best_model",
    "export_onnx",
    "export_torchscript",
    "files_in",
    "find_model",
    "gradient_map",
    "occlusion_map",
    "predict_each",
    "predict_each_file",
    "predict_files",
]


class _WithColumns:
    """A model that reads columns beside the image, as MLflow hands them over."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, data: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Of `images` (N, C, *S) float32, and (N,) each of the columns, by name."""
        inputs = {name: values.tolist() for name, values in data.items() if name != "images"}
        return self._model.predict(data["images"], inputs=inputs)


def _load_pyfunc(path: str) -> Model | _WithColumns:
    """The model whose `predict` takes (N, C, *S) float32 images, or these with columns; the name is MLflow's."""
    model = load_model(Path(path))
    return _WithColumns(model) if model.card.inputs else model
