"""Requests and answers of the open inference protocol, version 2, with its extension for binary tensors.

https://github.com/kserve/open-inference-protocol, and Triton's `binary_tensor_data`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.errors import DataError
from ctlr.serving._export import INPUT, output_name
from ctlr.specs import ModelCard

__all__ = ["HEADER_LENGTH", "Inference", "answered", "metadata", "parsed"]

HEADER_LENGTH = "inference-header-content-length"
"""Header that says how many bytes of a body are JSON; tensors follow."""


@dataclass(frozen=True)
class Inference:
    """What a client asks.

    Attributes:
        images: (N, C, *S).
        id: The client's name of the request; empty without.
        binary: Whether the answer's tensor is to be binary.
    """

    images: npt.NDArray[np.float32]
    id: str
    binary: bool


def metadata(card: ModelCard, name: str) -> dict[str, Any]:
    """Of a model: what goes in and out, and what it means."""
    about: dict[str, Any] = {"target": card.target, "task": card.task}
    if card.classes:
        about["classes"] = list(card.classes)
    if card.preparation is not None and card.preparation.units:
        about["unit"] = card.preparation.units
    return {
        "name": name, "versions": ["1"], "platform": "ctlr",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, *card.shape]}],
        "outputs": [{"name": output_name(card), "datatype": "FP64",
                     "shape": [-1, len(card.classes)] if card.classes else [-1]}],
        "parameters": about,
    }  # fmt: skip


def parsed(body: bytes, header_length: str | None, card: ModelCard) -> Inference:
    """Read a request.

    Raises:
        DataError: It breaks the protocol, or does not fit the model; says the rule, the value and the remedy.
    """
    length = len(body)
    if header_length is not None:
        if not header_length.isascii() or not header_length.isdigit() or int(header_length) > len(body):
            raise DataError(
                f"the header {HEADER_LENGTH} must be the bytes of JSON, at most the body's {len(body)}; got "
                f"{header_length!r}. Correct it, or leave it out where tensors are JSON."
            )
        length = int(header_length)
    try:
        asked = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise DataError(
            "the body must be JSON with `inputs`, as https://github.com/kserve/open-inference-protocol has it; it "
            "cannot be read. Correct it, or send a file to /v1/predict."
        ) from error
    inputs = asked.get("inputs") if isinstance(asked, dict) else None
    if not (isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)):
        raise DataError(f"`inputs` must be a list of one tensor, {INPUT!r}. Send one, of any number of images.")
    images = _tensor(inputs[0], body[length:], card)
    name = asked.get("id", "")
    return Inference(images, name if isinstance(name, str) else "", _wants_binary(asked, output_name(card)))


def _tensor(given: dict[str, Any], rest: bytes, card: ModelCard) -> npt.NDArray[np.float32]:
    if given.get("name") != INPUT:
        raise DataError(f"the tensor's `name` must be {INPUT!r}; got {given.get('name')!r}. Rename it.")
    if given.get("datatype") != "FP32":
        raise DataError(f"`datatype` of {INPUT} must be FP32; got {given.get('datatype')!r}. Convert the tensor.")
    shape = given.get("shape")
    wanted = ", ".join(map(str, card.shape))
    if not (
        isinstance(shape, list)
        and all(type(side) is int and side > 0 for side in shape)
        and tuple(shape[1:]) == card.shape
    ):
        raise DataError(
            f"`shape` of {INPUT} must be [N, {wanted}]; got {shape!r}. Prepare images as the model's were, or send "
            "files to /v1/predict."
        )
    parameters = given.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        values = _numbers(given.get("data"))
    else:
        if type(size) is not int or size != len(rest) or "data" in given or size % 4:
            raise DataError(
                f"`binary_data_size` of {INPUT} must be the bytes of FP32 that follow the JSON, without `data`; got "
                f"{size!r}, and {len(rest)} bytes follow. Correct it, and {HEADER_LENGTH}."
            )
        values = np.frombuffer(rest, "<f4")
    if values.size != math.prod(shape):
        raise DataError(
            f"`data` of {INPUT} must have the {math.prod(shape)} numbers of its `shape`; it has {values.size}. "
            "Correct one of them."
        )
    return np.array(values.reshape(shape), np.float32)  # a copy: torch takes no array that is read-only


def _numbers(data: Any) -> npt.NDArray[Any]:
    if isinstance(data, list):
        try:
            values = np.asarray(data)
        except ValueError:  # lists of several lengths
            values = np.empty(0, object)
        if values.dtype.kind in "iuf":
            return values
    raise DataError(
        f"`data` of {INPUT} must be a list of numbers, flat or nested as `shape` says; it is not. Send numbers, or "
        "binary data."
    )


def _wants_binary(asked: dict[str, Any], name: str) -> bool:
    parameters = asked.get("parameters")
    binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    outputs = asked.get("outputs")
    if outputs is None:
        return binary
    if not (isinstance(outputs, list) and all(isinstance(each, dict) and each.get("name") == name for each in outputs)):
        raise DataError(f"`outputs` may name {name!r} alone. Correct it, or leave it out.")
    for each in outputs:
        own = each.get("parameters")
        binary = own.get("binary_data", binary) is True if isinstance(own, dict) else binary
    return binary


def answered(
    values: npt.NDArray[np.float64], asked: Inference, card: ModelCard, name: str
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an answer.

    Args:
        values: (N,) or (N, K).
        asked: What they answer.
        card: Of the model.
        name: Of the model.
    """
    output: dict[str, Any] = {"name": output_name(card), "datatype": "FP64", "shape": list(values.shape)}
    told: dict[str, Any] = {"model_name": name, "model_version": "1", "outputs": [output]}
    if asked.id:
        told["id"] = asked.id
    if not asked.binary:
        output["data"] = values.ravel().tolist()
        return json.dumps(told).encode(), {"content-type": "application/json"}
    raw = values.astype("<f8").tobytes()
    output["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps(told).encode()
    return head + raw, {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
