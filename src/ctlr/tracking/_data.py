"""Datasets as MLflow shows them beside a run: a name, a digest, what they hold; never where they lie."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from ctlr.tracking._port import TrackedData

__all__ = ["data_inputs"]


def data_inputs(mlflow: ModuleType, data: TrackedData) -> list[Any]:
    """A dataset as input of a run: what is learned from, and, of a target, what is tested on.

    MLflow keeps one input for each name and digest of a run, so that test subjects go by a name of their own.

    Args:
        mlflow: The package.
        data: As its images are stored.
    """
    entities = mlflow.entities
    spec = {"type": "tensor", "name": "images", "tensor-spec": {"dtype": "float32", "shape": [-1, *data.image_shape]}}
    uses = {"training": data.name} | ({"evaluation": f"{data.name} (test subjects)"} if data.evaluates else {})
    return [
        entities.DatasetInput(
            entities.Dataset(
                name=name, digest=data.digest, source_type="code",
                source=json.dumps({"tags": {"mlflow.source.name": data.name, "mlflow.source.type": data.kind}}),
                schema=json.dumps({"mlflow_tensorspec": {"features": json.dumps([spec]), "targets": None}}),
                profile=json.dumps({"images": data.images, "subjects": data.subjects}),
            ),
            [entities.InputTag("mlflow.data.context", context)],
        )
        for context, name in uses.items()
    ]  # fmt: skip
