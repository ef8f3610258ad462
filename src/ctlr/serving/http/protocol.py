"""Requests and answers of the open inference protocol, version 2, with its extension for binary tensors.

https://github.com/kserve/open-inference-protocol, and Triton's `binary_tensor_data`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.data.inputs import given_cells
from ctlr.errors import DataError
from ctlr.serving._export import INPUT, answer_name
from ctlr.specs import Answer, InputColumn, ModelCard

__all__ = ["HEADER_LENGTH", "Inference", "answered", "metadata", "parsed"]

HEADER_LENGTH = "inference-header-content-length"
"""Header that says how many bytes of a body are JSON; tensors follow."""
_DATATYPES = {"number": "FP64", "category": "BYTES"}
"""Of columns."""


@dataclass(frozen=True)
class Inference:
    """What a client asks.

    Attributes:
        images: (N, C, *S).
        cells: Of each column that the model reads, N each; empty where one is missing.
        id: The client's name of the request; empty without.
        outputs: Names of the tensors that are wanted, and whether each is to be binary.
    """

    images: npt.NDArray[np.float32]
    cells: Mapping[str, Sequence[str]]
    id: str
    outputs: Mapping[str, bool]


def metadata(card: ModelCard, name: str) -> dict[str, Any]:
    """Of a model: what goes in and out, and what it means."""
    first, *others = card.answers
    about: dict[str, Any] = {"target": card.target, "task": card.task} | _classes(first)
    if card.preparation is not None and card.preparation.units:
        about["unit"] = card.preparation.units
    if card.inputs:
        about["columns"] = {column.name: _meaning(column) for column in card.inputs}
    if others:
        about["also"] = {answer_name(card, each): {"target": each.target} | _classes(each) for each in others}
    return {
        "name": name, "versions": ["1"], "platform": "ctlr",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, *card.shape]},
                   *({"name": each.name, "datatype": _DATATYPES[each.kind], "shape": [-1]} for each in card.inputs)],
        "outputs": [{"name": answer_name(card, each), "datatype": "FP64",
                     "shape": [-1, len(each.classes)] if each.classes else [-1]} for each in card.answers],
        "parameters": about,
    }  # fmt: skip


def _classes(answer: Answer) -> dict[str, Any]:
    return {"classes": list(answer.classes)} if answer.classes else {}


def _meaning(column: InputColumn) -> dict[str, Any]:
    if column.kind == "number":
        return {"kind": "number", "missing": "NaN, or null in JSON"}
    return {"kind": "category", "categories": list(column.categories), "missing": "an empty text"}


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
    if not isinstance(asked, dict):
        asked = {}
    given = _named(asked.get("inputs"), card)
    blobs = _Blobs(body[length:])
    tensors = {each["name"]: _values(each, card, blobs) for each in given}
    blobs.end()
    images = np.array(tensors.pop(INPUT), np.float32)  # a copy: torch takes no array that is read-only
    for name, values in tensors.items():
        if len(values) != len(images):
            raise DataError(
                f"`shape` of {name} must be [{len(images)}], a value an image; got [{len(values)}]. Send as many."
            )
    cells = {name: ["" if _is_nan(value) else value for value in values.tolist()] for name, values in tensors.items()}
    name = asked.get("id", "")
    return Inference(
        images, given_cells(card.inputs, cells, len(images)), name if isinstance(name, str) else "",
        _wanted(asked, [answer_name(card, each) for each in card.answers]),
    )  # fmt: skip


def _named(inputs: Any, card: ModelCard) -> list[dict[str, Any]]:
    """The tensors, one of each name that the model reads."""
    wanted = [INPUT, *(column.name for column in card.inputs)]
    whole: list[dict[str, Any]] = []
    if isinstance(inputs, list) and all(isinstance(each, dict) for each in inputs):
        whole = inputs
    found = [each.get("name") for each in whole]
    if sorted(map(str, found)) != sorted(wanted):
        one = f"a list of one tensor, {INPUT!r}" if len(wanted) == 1 else f"tensors {', '.join(map(repr, wanted))}"
        raise DataError(f"`inputs` must be {one}; got {found!r:.200}. Send each once, of any number of images.")
    return whole


class _Blobs:
    """What follows the JSON: the bytes of one tensor after another."""

    def __init__(self, rest: bytes) -> None:
        self._rest, self._taken = rest, 0

    def take(self, size: Any, name: str) -> bytes:
        """The next tensor's."""
        left = len(self._rest) - self._taken
        if type(size) is not int or not 0 <= size <= left:
            raise DataError(
                f"`binary_data_size` of {name} must be the bytes of it that follow the JSON, without `data`; got "
                f"{size!r}, and {left} bytes are left. Correct it, and {HEADER_LENGTH}."
            )
        self._taken += size
        return self._rest[self._taken - size : self._taken]

    def end(self) -> None:
        """Refuse bytes that belong to no tensor."""
        if left := len(self._rest) - self._taken:
            raise DataError(
                f"`binary_data_size` of the tensors must be all bytes that follow the JSON; {left} more follow. "
                f"Correct it, and {HEADER_LENGTH}."
            )


def _values(given: dict[str, Any], card: ModelCard, blobs: _Blobs) -> npt.NDArray[Any]:
    """Numbers, or texts, of a tensor, in its shape."""
    name = given["name"]
    column = next((each for each in card.inputs if each.name == name), None)
    datatype = "FP32" if column is None else _DATATYPES[column.kind]
    if given.get("datatype") != datatype:
        raise DataError(f"`datatype` of {name} must be {datatype}; got {given.get('datatype')!r}. Convert the tensor.")
    shape, rest = given.get("shape"), card.shape if column is None else ()
    if not (
        isinstance(shape, list)
        and all(type(side) is int and side > 0 for side in shape)
        and len(shape) == 1 + len(rest)
        and tuple(shape[1:]) == rest
    ):
        remedy = (
            "Prepare images as the model's were, or send files to /v1/predict." if column is None else "Flatten it."
        )
        raise DataError(f"`shape` of {name} must be [{', '.join(map(str, ('N', *rest)))}]; got {shape!r}. {remedy}")
    parameters = given.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        values = _listed(given.get("data"), name, datatype)
    elif "data" in given:
        raise DataError(f"{name} must have `data` or `binary_data_size`; it has both. Leave one out.")
    else:
        values = _from_bytes(blobs.take(size, name), name, datatype)
    if values.size != math.prod(shape):
        raise DataError(
            f"`data` of {name} must have the {math.prod(shape)} {'texts' if datatype == 'BYTES' else 'numbers'} of its "
            f"`shape`; it has {values.size}. Correct one of them."
        )
    return values.reshape(shape)


def _from_bytes(data: bytes, name: str, datatype: str) -> npt.NDArray[Any]:
    if datatype != "BYTES":
        width = 4 if datatype == "FP32" else 8
        if len(data) % width:
            raise DataError(
                f"`binary_data_size` of {name} must be a multiple of {width}, the bytes of {datatype}; got "
                f"{len(data)}. Correct it."
            )
        return np.frombuffer(data, f"<f{width}")
    texts, start = [], 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "little")
        if end > len(data):
            raise DataError(
                f"texts of {name} must each follow their length, four bytes with the least significant first; the last "
                "one is cut off. Correct it."
            )
        texts.append(data[start + 4 : end])
        start = end
    return _texts(texts, name)


def _listed(data: Any, name: str, datatype: str) -> npt.NDArray[Any]:
    if datatype == "BYTES":
        return _texts(data if isinstance(data, list) else [data], name)
    if isinstance(data, list):
        if datatype == "FP64":
            data = [math.nan if value is None else value for value in data]
        try:
            values = np.asarray(data)
        except ValueError:  # lists of several lengths
            values = np.empty(0, object)
        if values.dtype.kind in "iuf":
            return values
    raise DataError(
        f"`data` of {name} must be a list of numbers, flat or nested as `shape` says; it is not. Send numbers, or "
        "binary data."
    )


def _texts(found: Sequence[Any], name: str) -> npt.NDArray[Any]:
    """Texts of a column of categories; an object each, as they differ in length."""
    try:
        texts = ["" if each is None else each.decode() if isinstance(each, bytes) else each for each in found]
    except UnicodeDecodeError as error:
        raise DataError(f"texts of {name} must be UTF-8; one is not. Encode it so.") from error
    if wrong := [each for each in texts if not isinstance(each, str)]:
        raise DataError(f"`data` of {name} must be a list of texts; it has {wrong[0]!r:.80}. Put it in quotes.")
    return np.array(texts, object)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _wanted(asked: dict[str, Any], names: Sequence[str]) -> dict[str, bool]:
    """Outputs that the client names, by default all; and whether each is to be binary."""
    parameters = asked.get("parameters")
    binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    outputs = asked.get("outputs")
    if outputs is None:
        return dict.fromkeys(names, binary)
    if not (
        isinstance(outputs, list) and all(isinstance(each, dict) and each.get("name") in names for each in outputs)
    ):
        alone = f"{names[0]!r} alone" if len(names) == 1 else ", ".join(map(repr, names))
        raise DataError(f"`outputs` may name {alone}. Correct it, or leave it out.")
    found = {}
    for each in outputs:
        own = each.get("parameters")
        found[each["name"]] = own.get("binary_data", binary) is True if isinstance(own, dict) else binary
    return found or dict.fromkeys(names, binary)


def answered(
    values: Mapping[str, npt.NDArray[np.float64]], asked: Inference, card: ModelCard, name: str
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an answer.

    Args:
        values: Of each target, (N,) or (N, K).
        asked: What they answer.
        card: Of the model.
        name: Of the model.
    """
    by_name = {answer_name(card, each): values[each.target] for each in card.answers}
    outputs, blobs = [], []
    for output, binary in asked.outputs.items():
        found = by_name[output]
        told: dict[str, Any] = {"name": output, "datatype": "FP64", "shape": list(found.shape)}
        if binary:
            blobs.append(found.astype("<f8").tobytes())
            told["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            told["data"] = found.ravel().tolist()
        outputs.append(told)
    whole: dict[str, Any] = {"model_name": name, "model_version": "1", "outputs": outputs}
    if asked.id:
        whole["id"] = asked.id
    head = json.dumps(whole).encode()
    if not blobs:
        return head, {"content-type": "application/json"}
    return b"".join([head, *blobs]), {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
