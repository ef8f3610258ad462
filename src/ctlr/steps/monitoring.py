"""What a model's own images were like, kept beside it: what comes in later is compared with that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctlr.data.inputs import cells_of
from ctlr.data.store import ArrayStore
from ctlr.monitoring import FILE, Seen
from ctlr.specs import ModelCard
from ctlr.workspace import write_aside

__all__ = ["write_reference"]

_MOST = 500
"""Images that are looked at, evenly spread: more make the reference hardly sharper, and its file longer."""


def write_reference(
    folder: Path,
    store: ArrayStore,
    rows: Mapping[str, npt.NDArray[np.int64]],
    predictions: Mapping[str, npt.NDArray[np.float64]],
) -> None:
    """Look at training and validation images, one a subject; the test set stays out of it.

    Predictions are those of validation images: on what a network has learned by heart it is too sure.

    Args:
        folder: Of the model, with `model.json`.
        store: Pictures or volumes.
        rows: Side -> rows.
        predictions: Side -> of these rows; without validation where the model has learned from that.
    """
    card = ModelCard.model_validate_json((folder / "model.json").read_bytes())
    seen = Seen(card)
    codes = store.table.subject.codes
    own = np.concatenate([rows[side] for side in ("train", "validation") if side in rows])
    for row in _spread(own[np.unique(codes[own], return_index=True)[1]]):
        seen.add_image(store.read([row])[0])
        seen.add_columns({each.name: cells_of(store.table, each.name, np.array([row]))[0] for each in card.inputs})
    if "validation" in predictions:
        for place in _spread(np.unique(codes[rows["validation"]], return_index=True)[1]):
            seen.add_prediction(np.atleast_1d(predictions["validation"][place]))
    write_aside(folder / FILE, seen.reference().model_dump_json().encode())


def _spread(numbers: npt.NDArray[np.int64]) -> list[int]:
    """At most so many of them, evenly spread."""
    if len(numbers) <= _MOST:
        return [int(number) for number in numbers]
    return [int(number) for number in numbers[np.linspace(0, len(numbers) - 1, _MOST).astype(int)]]
