"""What a model's own images were like, and what has come in since; numbers alone, in no order, of nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctlr import __version__
from ctlr.data.tsv import is_missing, number
from ctlr.errors import DataError, WorkspaceError
from ctlr.monitoring._features import image_features
from ctlr.specs import ModelCard
from ctlr.specs._value import Value

__all__ = ["FILE", "Reference", "Seen", "read_reference"]

FILE = "monitoring.json"
"""In a model's folder."""


class Reference(Value):
    """Distributions that what comes in is compared with."""

    ctlr: str
    """Version that wrote this."""
    images: int
    """Training and validation images, one a subject."""
    features: Mapping[str, tuple[float, ...]]
    """Name -> values, sorted: which belong to one image cannot be told."""
    predictions: tuple[float, ...] = ()
    """Of validation images, sorted: values, or the largest probabilities."""
    classes: Mapping[str, int] = {}
    """How many validation images were predicted to be of each class."""


class Seen:
    """Images that were looked at.

    Attributes:
        images: How many.
        features: Name -> their values.
        predictions: Values, or the largest probabilities.
        classes: Predicted class -> how often.
    """

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.images = 0
        self.features: dict[str, list[float]] = {}
        self.predictions: list[float] = []
        self.classes = dict.fromkeys(card.classes, 0)

    def add_image(self, image: npt.NDArray[np.float32]) -> None:
        """Note one image (C, *S)."""
        self.images += 1
        for name, value in image_features(image).items():
            self.features.setdefault(name, []).append(value)

    def add_columns(self, cells: Mapping[str, str]) -> None:
        """Note what a model reads beside one image.

        Args:
            cells: By the column's name. A number is a feature `column age`; each category is one too, of which
                `column site = north` is 1 where the cell is it. `column age unknown` is 1 where the cell is missing, or
                a category that training had not.
        """
        for column in self.card.inputs:
            name, cell = f"column {column.name}", cells[column.name]
            unknown = is_missing(cell)
            if column.kind == "category":
                unknown = cell not in column.categories
                for category in column.categories:
                    self.features.setdefault(f"{name} = {category}", []).append(float(cell == category))
            elif not unknown:
                self.features.setdefault(name, []).append(number(cell))
            self.features.setdefault(f"{name} unknown", []).append(float(unknown))

    def add_prediction(self, values: npt.NDArray[np.float64]) -> None:
        """Note what was predicted: (1,) or (K,)."""
        self.predictions.append(float(values.max()))
        if self.card.classes:
            self.classes[self.card.classes[int(values.argmax())]] += 1

    def reference(self) -> Reference:
        """As it is kept beside a model, to six digits."""
        return Reference(
            ctlr=__version__,
            images=self.images,
            features={name: _kept(values) for name, values in self.features.items()},
            predictions=_kept(self.predictions),
            classes=self.classes,
        )


def _kept(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(float(f"{value:.6g}") for value in values))


def read_reference(folder: Path) -> Reference:
    """Of a model's folder.

    Raises:
        DataError: It has none: an older CTLR wrote it, or it predicts points or signals.
        WorkspaceError: It cannot be read.
    """
    file = folder / FILE
    if not file.exists():
        raise DataError(
            f"{folder.name}/{FILE} does not exist: an older CTLR wrote the model, or it was trained on points or "
            "signals, which are not monitored. Run its benchmark again (remove the model's folder first)."
        )
    try:
        return Reference.model_validate_json(file.read_text())
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{folder.name}/{FILE} cannot be read. Remove the folder and run again.") from error
