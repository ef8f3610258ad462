"""What a model says of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.data.inputs import given_cells
from ctlr.data.kinds.image_names import is_picture, visible
from ctlr.data.preparation import prepare_files
from ctlr.errors import DataError
from ctlr.serving._model import Model
from ctlr.specs import Answer, ModelCard, Preparation, images_of
from ctlr.training.checkpoint import load_model

__all__ = [
    "FilePrediction",
    "files_in",
    "predict_each",
    "predict_each_file",
    "predict_files",
    "predicted",
    "preparation_for",
    "prepared_file",
    "worded",
]

AT_ONCE = 64
"""Images that are held in memory, and predicted in the groups in which `evaluate` predicts them."""

_VOLUMES = (".nii", ".nii.gz")
_NO_IMAGES = ("mask", "dseg", "probseg")
"""Suffixes of BIDS for volumes that mark something in another one."""


def predict_files(
    model: Model | Path | str,
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
    model: Model | Path | str,
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
    loaded = load_model(Path(model), device) if isinstance(model, Path | str) else model
    preparation = preparation_for(loaded, Path(model).name if isinstance(model, Path | str) else "")
    paths = [Path(file) for file in files]
    beside = None if masks is None else [None if mask is None else Path(mask) for mask in masks]
    columns = given_cells(loaded.card.inputs, inputs, len(paths))  # before files are read, which takes long
    found = [
        loaded.predict_each(
            prepare_files(paths[part], preparation, beside and beside[part]),
            inputs={name: cells[part] for name, cells in columns.items()}, trusted=True,
        )
        for part in (slice(i, i + AT_ONCE) for i in range(0, max(1, len(paths)), AT_ONCE))
    ]  # fmt: skip
    return {target: np.concatenate([each[target] for each in found]) for target in found[0]}


def preparation_for(model: Model, name: str = "") -> Preparation:
    """What files go through before a model.

    Args:
        model: That is to predict from files.
        name: Of its folder, for messages.

    Raises:
        DataError: It predicts from arrays alone, or does not say how its images were prepared.
    """
    preparation = model.card.preparation
    if preparation is None and model.card.ndim < 2:
        shape = ", ".join(map(str, model.card.shape))
        raise DataError(
            f"a model of {images_of(model.card.ndim)} predicts from arrays, not from files: give an array "
            f"(N, {shape}) of float32, prepared as the benchmark's were, to `load_model(...).predict`."
        )
    if preparation is None:
        raise DataError(
            f"{name}{'/' * bool(name)}model.json does not say how files are prepared: an older CTLR wrote it. Run its "
            "benchmark again (remove the model's folders below studies/ and finetuned/ first), or prepare the images "
            "yourself and give arrays to `load_model(...).predict`."
        )
    return preparation


def files_in(places: Iterable[Path], preparation: Preparation) -> list[Path]:
    """The files that are meant: those that are named, and of folders those of the model's kind, sorted.

    Masks and segmentations that lie beside volumes are not images, and hidden files are passed over.

    Raises:
        DataError: A folder has no such file.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        inside = [file for file in sorted(place.rglob("*")) if _fits(file.relative_to(place), preparation)]
        if not inside:
            wanted = "NIfTI volumes (.nii, .nii.gz)" if preparation.kind == "volume" else "pictures"
            raise DataError(f"{place}: the model predicts from {wanted}; the folder has none. Name another folder.")
        found += inside
    return found


def _fits(file: Path, preparation: Preparation) -> bool:
    if not all(visible(part) for part in file.parts):
        return False
    if preparation.kind == "picture":
        return is_picture(file.name)
    stem = file.name.partition(".")[0]
    return file.name.endswith(_VOLUMES) and stem.rpartition("_")[2] not in _NO_IMAGES


@dataclass(frozen=True)
class FilePrediction:
    """What a model says of one file.

    Attributes:
        file: As it was named.
        values: (1,) in the target's units, or (K,) probabilities; None where the file does not fit.
        image: (C, *S) as the model saw it; None likewise.
        reason: Why it does not fit: the rule, the value and the remedy.
        also: Of the model's other targets, by their names.
    """

    file: Path
    values: npt.NDArray[np.float64] | None
    image: npt.NDArray[np.float32] | None
    reason: str = ""
    also: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


def worded(found: FilePrediction, card: ModelCard) -> dict[str, Any]:
    """A prediction for programs, with every digit: `prediction` with `unit`, or the class with `probabilities`.

    Those of other targets stand under `also`.

    Args:
        found: With values.
        card: Of the model.
    """
    first, *others = card.answers
    assert found.values is not None
    told = _worded(found.values, first)
    if first.classes == () and card.preparation is not None and card.preparation.units:
        told["unit"] = card.preparation.units
    return told | ({"also": {each.target: _worded(found.also[each.target], each) for each in others}} if others else {})


def _worded(values: npt.NDArray[np.float64], answer: Answer) -> dict[str, Any]:
    if not answer.classes:
        return {"prediction": float(values[0])}
    shares = dict(zip(answer.classes, values.tolist(), strict=True))
    return {"prediction": answer.classes[int(values.argmax())], "probabilities": shares}


def predicted(found: FilePrediction, values: Mapping[str, npt.NDArray[np.float64]]) -> FilePrediction:
    """The same file with what a model says of it: a value or shares of each target, the first one's first."""
    first, *others = values
    also = {target: np.atleast_1d(values[target]) for target in others}
    return replace(found, values=np.atleast_1d(values[first]), also=also)


def predict_each(
    model: Model, files: Sequence[Path], *, inputs: Mapping[str, Sequence[Any]] | None = None
) -> Iterator[FilePrediction]:
    """Predict files one by one, in their order: one that does not fit costs no other.

    Args:
        model: Of volumes or pictures.
        files: Of its kind. Masks are those that BIDS names put beside them.
        inputs: What the model reads beside the images, as of `predict_each_file`.

    Raises:
        DataError: A column of `inputs` is missing.
    """
    preparation, columns = preparation_for(model), given_cells(model.card.inputs, inputs, len(files))
    for start in range(0, len(files), AT_ONCE):
        group = [prepared_file(file, preparation) for file in files[start : start + AT_ONCE]]
        fitting = [place for place, each in enumerate(group) if each.image is not None]
        if fitting:
            cells = {name: [values[start + place] for place in fitting] for name, values in columns.items()}
            images = np.stack([each.image for each in group if each.image is not None])
            found = model.predict_each(images, inputs=cells, trusted=True)
            for row, place in enumerate(fitting):
                group[place] = predicted(group[place], {target: values[row] for target, values in found.items()})
        yield from group


def prepared_file(file: Path, preparation: Preparation) -> FilePrediction:
    """A file's image, or why it does not fit; without a prediction."""
    try:
        return FilePrediction(file, None, prepare_files([file], preparation)[0])
    except DataError as error:
        return FilePrediction(file, None, None, str(error).removeprefix(f"{file}: "))
