"""A model as one file for other programs: ONNX, or TorchScript.

Softmax, each target's mean and standard deviation, and what columns beside the image become go into the file: what it
gives is what `predict_each` gives. How a file becomes the array that goes in does not; the model's card, which says so,
travels as metadata.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ctlr import __version__
from ctlr.errors import ConfigError, CtlrError, require
from ctlr.serving._model import Model
from ctlr.specs import Answer, InputColumn, ModelCard, also_name
from ctlr.training.checkpoint import TrainedModel
from ctlr.workspace import write_aside

__all__ = ["INPUT", "answer_name", "check_names", "export_onnx", "export_torchscript"]

INPUT = "images"
"""Name of what goes in, (N, C, *S) float32; columns stand beside it under their own names."""

_AGREEMENT = 1e-5
"""By which outputs may differ, in probabilities or in standard deviations of the target."""


def answer_name(card: ModelCard, answer: Answer) -> str:
    """Name of what comes out: `probabilities` (N, K), or `prediction` (N,) in the target's units.

    Those of other targets than the first begin as their columns in `predictions.csv` do, such as `also_sex_`.
    """
    before = "" if answer.target == card.target else f"{also_name(answer.target)}_"
    return before + ("probabilities" if answer.classes else "prediction")


def check_names(model: Model) -> None:
    """Refuse a model of which two tensors had one name.

    Raises:
        ConfigError: A column is called as the image is; names the remedy.
    """
    if INPUT in (column.name for column in model.card.inputs):
        raise ConfigError(
            f"the model reads a column {INPUT!r}, and that is the name of the image. Rename the column in the table "
            "and train again, or use the model's folder: `ctlr predict --table`."
        )


def export_onnx(model: Model, file: Path) -> float:
    """Write an ONNX file, and run it by ONNX Runtime beside the model.

    Args:
        model: On the processor.
        file: Written whole, or not at all.

    Returns:
        Largest difference of the two, in probabilities or in standard deviations of the target.

    Raises:
        ConfigError: The model is no network.
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        CtlrError: The file predicts otherwise.
    """
    network = _network(model, file)
    card = model.card
    for name in ("onnx", "onnxscript", "onnxruntime"):
        require(name, extra="export")
    import onnx
    import onnxruntime

    names, batch = [INPUT, *(column.name for column in card.inputs)], torch.export.Dim("batch")
    beside = {"cells": ({0: batch},) * len(card.inputs)} if card.inputs else {}
    with _quiet():
        program = torch.onnx.export(
            network, tuple(map(torch.from_numpy, _tensors(card, *_example(card, 2)))), dynamo=True, verbose=False,
            input_names=names, output_names=[answer_name(card, answer) for answer in card.answers],
            dynamic_shapes={"images": {0: batch}} | beside,
        )  # fmt: skip
        assert program is not None
        proto = program.model_proto
    onnx.helper.set_model_props(proto, _metadata(card))
    proto.producer_name, proto.producer_version = "ctlr", __version__
    data = proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    difference = _compared(model, lambda tensors: session.run(None, dict(zip(names, tensors, strict=True))), "ONNX")
    write_aside(file, data)
    return difference


def export_torchscript(model: Model, file: Path) -> float:
    """Write a TorchScript file, `torch.jit.load` reads it; as `export_onnx` otherwise."""
    network = _network(model, file)
    with _quiet(), torch.no_grad():
        example = tuple(map(torch.from_numpy, _tensors(model.card, *_example(model.card, 2))))
        traced = torch.jit.trace(network, example)  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer, _extra_files=_metadata(model.card))
        read = torch.jit.load(io.BytesIO(buffer.getvalue()))  # type: ignore[no-untyped-call]

    def run(tensors: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]:
        with torch.inference_mode():
            found = read(*map(torch.from_numpy, tensors))
        return [each.numpy() for each in (found if len(model.card.answers) > 1 else [found])]

    difference = _compared(model, run, "TorchScript")
    write_aside(file, buffer.getvalue())
    return difference


class _Whole(nn.Module):
    """From images and cells to what `predict_each` says, in float32."""

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.encoder, self.head, self.card = model.encoder, model.head, model.card

    def forward(self, images: Tensor, *cells: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, C, *S), and (N,) of each column -> (N, K) or (N,) of each target."""
        features = self.encoder(images)
        columns = [_coded(column, given) for column, given in zip(self.card.inputs, cells, strict=True)]
        outputs = self.head(features, torch.cat(columns, dim=1)) if columns else self.head(features)
        answers = self.card.answers
        parts = torch.split(outputs, [answer.width for answer in answers], dim=1)
        found = tuple(
            part.softmax(1) if answer.classes else part[:, 0] * answer.std + answer.mean
            for part, answer in zip(parts, answers, strict=True)
        )
        return found if len(found) > 1 else found[0]


def _coded(column: InputColumn, cells: Tensor) -> Tensor:
    """(N, width) numbers of (N,) cells, as `ctlr.data.inputs.encoded` makes them of texts."""
    if column.kind == "category":
        return (cells[:, None] == torch.arange(column.width)).float()
    missing = cells.isnan()
    number = (cells - column.mean) / column.std if column.std else torch.zeros_like(cells)
    number = torch.where(missing, torch.zeros_like(cells), number).float()
    return torch.stack([number, missing.float()] if column.flagged else [number], dim=1)


def _network(model: Model, file: Path) -> _Whole:
    if not isinstance(model, TrainedModel):
        raise ConfigError(
            "only a network can be exported, and this model is none. Use its folder: `ctlr predict`, `ctlr serve`."
        )
    check_names(model)
    if not file.parent.is_dir():
        raise ConfigError(f"{file.parent} is no folder. Make it first, or name a file elsewhere.")
    return _Whole(model).eval()


def _example(card: ModelCard, n: int) -> tuple[npt.NDArray[np.float32], dict[str, list[str]]]:
    """N images, and cells of the columns beside them: a missing one, then each category, or numbers about the mean."""
    images = torch.rand(n, *card.shape, generator=torch.Generator().manual_seed(0)).numpy()
    cells = {}
    for column in card.inputs:
        met = ["", *column.categories]
        if column.kind == "number":
            met = ["", f"{column.mean + column.std:.15g}", f"{column.mean - column.std / 3:.15g}"]
        cells[column.name] = [met[place % len(met)] for place in range(n)]
    return images, cells


def _tensors(
    card: ModelCard, images: npt.NDArray[np.float32], cells: Mapping[str, Sequence[str]]
) -> tuple[npt.NDArray[Any], ...]:
    """What goes into a file: images, and (N,) float64 of a column of numbers, NaN where one is missing, or (N,) int64
    of a category's place among the card's, -1 where it is none of them."""
    columns = []
    for column in card.inputs:
        if column.kind == "number":
            columns.append(np.array([float(cell or "nan") for cell in cells[column.name]]))
        else:
            place = {category: code for code, category in enumerate(column.categories)}
            columns.append(np.array([place.get(cell, -1) for cell in cells[column.name]], np.int64))
    return images, *columns


def _metadata(card: ModelCard) -> dict[str, str]:
    told = {"ctlr.version": __version__, "ctlr.model.json": card.model_dump_json(), "ctlr.target": card.target}
    return told | ({"ctlr.classes": "\n".join(card.classes)} if card.classes else {})


def _compared(
    model: Model, run: Callable[[Sequence[npt.NDArray[Any]]], Sequence[npt.NDArray[Any]]], form: str
) -> float:
    """Largest difference over batches of other sizes than the one that was traced."""
    differences = []
    for n in (1, 3):
        images, cells = _example(model.card, n)
        found, expected = (
            run(_tensors(model.card, images, cells)),
            model.predict_each(images, inputs=cells, trusted=True),
        )
        for answer, values in zip(model.card.answers, found, strict=True):
            known, unit = expected[answer.target], 1.0 if answer.classes else answer.std
            differences.append(float(np.abs(values - known).max()) / unit if values.shape == known.shape else np.inf)
    if not max(differences) <= _AGREEMENT:
        raise CtlrError(
            f"the {form} file must predict what the model predicts, to {_AGREEMENT:g}; it differs by "
            f"{max(differences):.2g} and was not written. Use the model's folder instead."
        )
    return max(differences)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters tell their own developers."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
