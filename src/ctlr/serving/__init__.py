"""Using a trained model: which one is the best, and what it says of files.

MLflow loads a recorded model by `_load_pyfunc`.
"""

from __future__ import annotations

from pathlib import Path

from ctlr.serving._best import best_model, find_model
from ctlr.serving._export import export_onnx, export_torchscript
from ctlr.serving._files import FilePrediction, files_in, predict_each, predict_files
from ctlr.serving._model import Model
from ctlr.training.checkpoint import load_model

__all__ = [
    "FilePrediction",
    "Model",
    "best_model",
    "export_onnx",
    "export_torchscript",
    "files_in",
    "find_model",
    "predict_each",
    "predict_files",
]


def _load_pyfunc(path: str) -> Model:
    """The model whose `predict` takes (N, C, *S) float32 images; the name is MLflow's."""
    return load_model(Path(path))
