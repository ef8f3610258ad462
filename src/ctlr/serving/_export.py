"""A model as one file for other programs: ONNX, or TorchScript.

Softmax, and the target's mean and standard deviation, go into the file: what it gives is what `predict` gives. How a
file becomes the array that goes in does not; the model's card, which says so, travels as metadata.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ctlr import __version__
from ctlr.errors import ConfigError, CtlrError, require
from ctlr.serving._model import Model
from ctlr.specs import ModelCard
from ctlr.training.checkpoint import TrainedModel
from ctlr.workspace import write_aside

__all__ = ["INPUT", "export_onnx", "export_torchscript", "output_name"]

INPUT = "images"
"""Name of what goes in, (N, C, *S) float32."""

_AGREEMENT = 1e-5
"""By which outputs may differ, in probabilities or in standard deviations of the target."""


def output_name(card: ModelCard) -> str:
    """Name of what comes out: `probabilities` (N, K), or `prediction` (N,) in the target's units."""
    return "probabilities" if card.classes else "prediction"


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
    for name in ("onnx", "onnxscript", "onnxruntime"):
        require(name, extra="export")
    import onnx
    import onnxruntime

    with _quiet():
        program = torch.onnx.export(
            network, (_example(model.card, 2),), dynamo=True, verbose=False, input_names=[INPUT],
            output_names=[output_name(model.card)], dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        )  # fmt: skip
        assert program is not None
        proto = program.model_proto
    onnx.helper.set_model_props(proto, _metadata(model.card))
    proto.producer_name, proto.producer_version = "ctlr", __version__
    data = proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    difference = _compared(model, lambda images: session.run(None, {INPUT: images})[0], "ONNX")
    write_aside(file, data)
    return difference


def export_torchscript(model: Model, file: Path) -> float:
    """Write a TorchScript file, `torch.jit.load` reads it; as `export_onnx` otherwise."""
    network = _network(model, file)
    with _quiet(), torch.no_grad():
        traced = torch.jit.trace(network, _example(model.card, 2))  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer, _extra_files=_metadata(model.card))
        read = torch.jit.load(io.BytesIO(buffer.getvalue()))  # type: ignore[no-untyped-call]

    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(read(torch.from_numpy(images)).numpy())

    difference = _compared(model, run, "TorchScript")
    write_aside(file, buffer.getvalue())
    return difference


class _Whole(nn.Module):
    """From images to what `predict` says, in float32."""

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.encoder, self.head = model.encoder, model.head
        self.classes, self.mean, self.std = bool(model.card.classes), model.card.mean, model.card.std

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, *S) -> (N, K) or (N,)."""
        outputs: Tensor = self.head(self.encoder(images))
        return outputs.softmax(1) if self.classes else outputs[:, 0] * self.std + self.mean


def _network(model: Model, file: Path) -> _Whole:
    if not isinstance(model, TrainedModel):
        raise ConfigError(
            "only a network can be exported, and this model is none. Use its folder: `ctlr predict`, `ctlr serve`."
        )
    refuse_columns(model)
    if not file.parent.is_dir():
        raise ConfigError(f"{file.parent} is no folder. Make it first, or name a file elsewhere.")
    return _Whole(model).eval()


def refuse_columns(model: Model) -> None:
    """Refuse a model of more than images in, and one answer out.

    Raises:
        ConfigError: Names what it reads, or answers, beside.
    """
    if model.card.inputs:
        names = ", ".join(repr(column.name) for column in model.card.inputs)
        raise ConfigError(f"the model reads {names} beside the image. Use its folder: `ctlr predict --table`.")
    if len(model.card.answers) > 1:
        names = ", ".join(repr(answer.target) for answer in model.card.answers)
        raise ConfigError(f"the model answers {names}, and one answer goes out. Use its folder: `ctlr predict`.")


def _example(card: ModelCard, n: int) -> Tensor:
    return torch.rand(n, *card.shape, generator=torch.Generator().manual_seed(0))


def _metadata(card: ModelCard) -> dict[str, str]:
    told = {"ctlr.version": __version__, "ctlr.model.json": card.model_dump_json(), "ctlr.target": card.target}
    return told | ({"ctlr.classes": "\n".join(card.classes)} if card.classes else {})


def _compared(model: Model, run: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]], form: str) -> float:
    """Largest difference over batches of other sizes than the one that was traced."""
    unit = 1.0 if model.card.classes else model.card.std
    differences = []
    for n in (1, 3):
        images = _example(model.card, n).numpy()
        found, expected = run(images), model.predict(images, trusted=True)
        differences.append(float(np.abs(found - expected).max()) / unit if found.shape == expected.shape else np.inf)
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
