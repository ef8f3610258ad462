"""How MLflow loads a recorded model: `mlflow.pyfunc.load_model(...)` calls `_load_pyfunc`."""

from __future__ import annotations

from pathlib import Path

from ctlr.training.checkpoint import TrainedModel, load_model

__all__: list[str] = []


def _load_pyfunc(path: str) -> TrainedModel:
    """The model whose `predict` takes (N, C, *S) float32 images; the name is MLflow's."""
    return load_model(Path(path))
