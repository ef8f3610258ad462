"""Weights and training states on disk: safetensors with JSON beside the tensors, never pickles."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ctlr.data.inputs import encoded, given_cells
from ctlr.data.preparation import check_images
from ctlr.encoders import build_encoder, build_head, fused_head
from ctlr.encoders.base import Encoder
from ctlr.errors import ConfigError, WorkspaceError
from ctlr.methods.base import predict_outputs
from ctlr.specs import Answer, EncoderSpec, ModelCard
from ctlr.workspace import write_aside

if TYPE_CHECKING:
    from ctlr.shallow.model import SavedFamily

__all__ = [
    "TrainedModel",
    "check_encoder",
    "encoder_record",
    "load_model",
    "read_tensors",
    "save_model",
    "write_tensors",
]


_CHECKSUM = "crc32"
"""Key of the tensors' checksum, beside the JSON object that was given; older files have none."""


@dataclass(frozen=True)
class TrainedModel:
    """Encoder and head, ready to predict in float32 on the device that they lie on."""

    card: ModelCard
    encoder: Encoder
    head: nn.Module

    def predict(
        self,
        images: npt.NDArray[np.float32],
        batch_size: int = 32,
        *,
        inputs: Mapping[str, Sequence[Any]] | None = None,
        trusted: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Predict the target of preprocessed images, the first one where the model answers several; arguments and
        errors as of `predict_each`.

        Returns:
            (N,) values in the target's units, or (N, K) probabilities in the order of `card.classes`.
        """
        return self.predict_each(images, batch_size, inputs=inputs, trusted=trusted)[self.card.target]

    def predict_each(
        self,
        images: npt.NDArray[np.float32],
        batch_size: int = 32,
        *,
        inputs: Mapping[str, Sequence[Any]] | None = None,
        trusted: bool = False,
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Predict every target of preprocessed images; for files see `ctlr.serving.predict_files`.

        Args:
            images: (N, C, *S) float32.
            batch_size: Images at a time; does not change the numbers' meaning.
            inputs: What the model reads beside the images, `card.inputs`, by the column's name: N values each, None
                where one is unknown.
            trusted: They come from the preprocessing that `card.preparation` tells of: values are not looked at.

        Returns:
            By target, in the order of `card.answers`: (N,) values in its units, or (N, K) probabilities in the order of
            its classes.

        Raises:
            DataError: An image has another shape, or values that the model's preprocessing does not give; or a column
                of `inputs` is missing.
        """
        if not trusted:
            images = np.ascontiguousarray(images, np.float32)
            check_images(images, self.card.shape, self.card.preparation)
        cells = given_cells(self.card.inputs, inputs, len(images))
        columns = torch.from_numpy(encoded(self.card.inputs, cells)) if self.card.inputs else None
        self.encoder.eval()
        self.head.eval()
        device = next(self.head.parameters()).device
        with torch.inference_mode():
            outputs = [
                predict_outputs(
                    self.encoder, self.head, torch.from_numpy(images[part]).to(device),
                    columns=None if columns is None else columns[part].to(device),
                ).cpu()
                for part in (slice(i, i + batch_size) for i in range(0, len(images), batch_size))
            ]  # fmt: skip
        stacked = torch.cat(outputs).double() if outputs else torch.empty(0, self.card.outputs, dtype=torch.double)
        answers = self.card.answers
        parts = torch.split(stacked, [answer.width for answer in answers], dim=1)
        return {answer.target: _restored(part, answer) for part, answer in zip(parts, answers, strict=True)}


def _restored(outputs: Tensor, answer: Answer) -> npt.NDArray[np.float64]:
    """Values in the target's units, or probabilities."""
    if answer.classes:
        return np.asarray(outputs.softmax(1).numpy())
    return np.asarray(outputs[:, 0].numpy() * answer.std + answer.mean)


def save_model(folder: Path, model: TrainedModel) -> str:
    """Write `model.safetensors` and `model.json` into a folder.

    Returns:
        SHA-256 of the weights' file.
    """
    tensors = {f"encoder.{name}": tensor for name, tensor in model.encoder.state_dict().items()}
    tensors |= {f"head.{name}": tensor for name, tensor in model.head.state_dict().items()}
    write_aside(folder / "model.json", model.card.model_dump_json(indent=1).encode())
    return write_tensors(folder / "model.safetensors", tensors, {})


def load_model(folder: Path, device: torch.device | str = "cpu") -> TrainedModel | SavedFamily:
    """Read a folder's model: what `save_model` wrote, or a model without a network, which uses no device.

    Raises:
        WorkspaceError: A file is missing or damaged, or the weights do not fit the card.
    """
    try:
        card = ModelCard.model_validate_json((folder / "model.json").read_text())
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{folder.name}/model.json cannot be read. Remove the folder and run again.") from error
    if card.encoder is None or card.method is not None:
        from ctlr.shallow.model import load_family  # networks do without SciPy
        from ctlr.training.frozen import Frozen

        return load_family(folder, card, Frozen.from_arrays if card.encoder is not None else None)
    tensors, _ = read_tensors(folder / "model.safetensors")
    encoder = build_encoder(card.encoder, channels=card.channels, ndim=card.ndim, seed=0)
    head: nn.Module
    if card.inputs:
        count = sum(column.width for column in card.inputs)
        head = fused_head(encoder.width, count, card.fusion_width, card.outputs, dropout=0.0, seed=0)
    else:
        head = build_head(encoder.width, card.outputs, dropout=0.0, seed=0)
    try:
        nn.ModuleDict({"encoder": encoder, "head": head}).load_state_dict(tensors)
    except RuntimeError as error:
        raise WorkspaceError(f"{folder.name}: the weights do not fit model.json: {error}") from error
    return TrainedModel(card, encoder.to(device), head.to(device))


def encoder_record(spec: EncoderSpec) -> dict[str, Any]:
    """What stands beside weights: whose they are."""
    return {"encoder": spec.model_dump(mode="json", exclude={"label"})}


def check_encoder(meta: Mapping[str, Any], spec: EncoderSpec, path: Path) -> None:
    """Refuse the weights of another encoder.

    Args:
        meta: That stood beside the weights; without a record there is nothing to check.
        spec: Of the encoder that is to take them.
        path: Of the weights.

    Raises:
        ConfigError: Names both.
    """
    wanted, found = encoder_record(spec)["encoder"], meta.get("encoder", encoder_record(spec)["encoder"])
    if found != wanted:
        told = [f"{e['name']} ({', '.join(_worded(e))})" for e in (found, wanted)]
        raise ConfigError(
            f"{path.parent.name}/{path.name} holds weights of {told[0]}, and the study's encoder is {told[1]}. "
            "Name the same encoder, or begin from another folder."
        )


def _worded(encoder: Mapping[str, Any]) -> Iterator[str]:
    """`norm batch`, `width 1` and so on."""
    for name, value in encoder.items():
        if name not in ("name", "plugin"):
            yield f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> str:
    """Write tensors and a JSON object into one safetensors file, whole or not at all.

    Returns:
        SHA-256 of the file.
    """
    # safetensors knows no strides: channels-last weights are stored in the plain order.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = save_tensors(plain, {"meta": json.dumps({**meta, _CHECKSUM: _checksum(plain)})})
    write_aside(path, data)
    return hashlib.sha256(data).hexdigest()


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises:
        WorkspaceError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {}).get("meta", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if meta.pop(_CHECKSUM, found := _checksum(tensors)) != found:
            raise ValueError("other numbers than were written")
        return tensors, meta
    except (OSError, SafetensorError, ValueError) as error:
        raise WorkspaceError(
            f"{path.parent.name}/{path.name} is missing or damaged. Remove that folder and run again."
        ) from error


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """Of all numbers: a bit that the disk has flipped gives another network, which nothing else would tell."""
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, checksum)
    return checksum
