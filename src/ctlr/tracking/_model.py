"""A trained model as an MLflow model: safetensors and JSON, a signature, an example, no pickles."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ctlr import __version__
from ctlr.specs import InputColumn
from ctlr.tracking._port import TrackedModel

__all__ = ["save_mlflow_model"]


def save_mlflow_model(mlflow: ModuleType, model: TrackedModel, folder: Path, *, model_id: str, run_id: str) -> None:
    """Write an MLflow model.

    MLflow loads it by `ctlr.serving`, so no code is stored, and no object. Requirements are given: finding them out
    takes MLflow ten seconds a model.

    Args:
        mlflow: The package.
        model: Weights, card and shapes.
        folder: Empty; gets `weights/` and `model/`, the latter to be kept.
        model_id: Of the logged model that it becomes.
        run_id: Of the run that it comes from.
    """
    weights = folder / "weights"
    weights.mkdir()
    for name in ("model.safetensors", "model.json"):
        (weights / name).symlink_to((model.folder / name).absolute())
    mlflow.pyfunc.save_model(
        path=str(folder / "model"),
        loader_module="ctlr.serving",
        data_path=str(weights),
        mlflow_model=mlflow.models.Model(model_id=model_id, run_id=run_id),
        signature=_signature(mlflow, model),
        input_example=_example(model),
        metadata=_metadata(model),
        pip_requirements=_requirements(),
    )


def _signature(mlflow: ModuleType, model: TrackedModel) -> Any:
    types = mlflow.types
    outputs = (-1, model.n_classes) if model.n_classes else (-1,)
    name = "images" if model.inputs else None  # a schema of several parts has a name for each
    images = types.TensorSpec(np.dtype("float32"), (-1, *model.image_shape), name)
    columns = [types.TensorSpec(_cell_type(column), (-1,), column.name) for column in model.inputs]
    return mlflow.models.ModelSignature(
        inputs=types.Schema([images, *columns]),
        outputs=types.Schema([types.TensorSpec(np.dtype("float64"), outputs)]),
    )


def _cell_type(column: InputColumn) -> np.dtype[Any]:
    return np.dtype("float64" if column.kind == "number" else "str")


def _metadata(model: TrackedModel) -> dict[str, Any] | None:
    """What a signature cannot say: how a file becomes the array that goes in."""
    if model.preparation is None:
        return None
    return {
        "preparation": model.preparation.model_dump(mode="json"),
        "files": f"ctlr.serving.predict_files(folder, files{', inputs=…' if model.inputs else ''})",
    }


def _example(model: TrackedModel) -> Any:
    """A bright box on black, (1, C, *S), as preparation leaves it: what an image looks like, and nobody's image.

    Of points, which have no sides, the origin.
    """
    image = np.zeros((1, *model.image_shape), np.float32)
    if box := tuple(slice(side // 4, -(side // 4) or None) for side in model.image_shape[1:]):
        image[slice(None), slice(None), *box] = 1.0
    prepared = model.preparation
    if prepared is not None and prepared.preprocess.normalise == "zscore":
        image = (image - image.mean()) / image.std()
        image = np.clip(image, prepared.low, prepared.high)
    elif prepared is not None:
        image = image * np.float32(prepared.high - prepared.low) + np.float32(prepared.low)
    if not model.inputs:
        return image
    cells = {column.name: column.mean if column.kind == "number" else column.categories[0] for column in model.inputs}
    return {"images": image} | {name: np.array([cell]) for name, cell in cells.items()}


def _requirements() -> list[str]:
    """Pinned; a build's local part (`+cpu`) is left out, since no index has it."""
    pinned = {name: version(name).partition("+")[0] for name in ("torch", "numpy", "safetensors", "pydantic")}
    return [f"ctlr=={__version__}", *(f"{name}=={number}" for name, number in pinned.items())]
