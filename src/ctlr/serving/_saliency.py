"""Where in an image a model looks: what its answer depends on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ctlr.data.inputs import encoded, given_cells
from ctlr.errors import DataError
from ctlr.methods.base import predict_outputs
from ctlr.serving._model import Model
from ctlr.training.checkpoint import TrainedModel

__all__ = ["gradient_map", "occlusion_map"]

_NOISY = 24
_NOISE = 0.1
"""Standard deviation of the noise, as a share of the image's range."""
_WINDOWS = {2: 6, 3: 5}
"""Sides of an image -> windows that fit beside one another along an axis."""
_AT_ONCE = 32

Inputs = Mapping[str, Sequence[Any]]


def gradient_map(
    model: Model, image: npt.NDArray[np.float32], *, inputs: Inputs | None = None
) -> npt.NDArray[np.float64]:
    """How much a small change of each place would change the answer, smoothed over noise (Smilkov et al. 2017).

    Args:
        model: A network of pictures or volumes.
        image: (C, *S) as the model sees it.
        inputs: What the model reads beside it, one value each.

    Returns:
        (*S) in [0, 1]: the largest absolute gradient of the channels, averaged over noisy copies; of the output of the
        predicted class, or of the value. All 0 where nothing would change it.

    Raises:
        DataError: The model is no network, or a column of `inputs` is missing.
    """
    if not isinstance(model, TrainedModel):
        raise DataError("the input's gradient needs a network; this model is none. Ask for occlusion.")
    cells = given_cells(model.card.inputs, inputs, 1)
    columns = torch.from_numpy(encoded(model.card.inputs, cells)) if model.card.inputs else None
    model.encoder.eval()
    model.head.eval()
    first = torch.from_numpy(np.ascontiguousarray(image))[None]
    span = float(image.max() - image.min())
    rng = torch.Generator().manual_seed(0)
    width = model.card.answers[0].width
    with torch.no_grad():
        code = int(predict_outputs(model.encoder, model.head, first, columns=columns)[0, :width].argmax())
    total = torch.zeros(image.shape[1:], dtype=torch.double)
    for _ in range(_NOISY):  # one by one, as a volume's activations are large
        noisy = (first + _NOISE * span * torch.randn(first.shape, generator=rng)).requires_grad_()
        with torch.enable_grad():
            output = predict_outputs(model.encoder, model.head, noisy, columns=columns)[0, code]
            (gradient,) = torch.autograd.grad(output, noisy)
        total += gradient[0].abs().amax(0).double()
    return _scaled(total.numpy())


def occlusion_map(
    model: Model, image: npt.NDArray[np.float32], *, inputs: Inputs | None = None
) -> npt.NDArray[np.float64]:
    """How much the answer changes where a window of the image is covered by its mean (Zeiler & Fergus 2014).

    Args:
        model: Of pictures or volumes, with a network or without.
        image: (C, *S) as the model sees it.
        inputs: What the model reads beside it, one value each.

    Returns:
        (*S) in [0, 1]: what the predicted class's probability loses, or how far a value moves, as the mean over the
        windows that cover a place; windows of pictures overlap by half. All 0 where nothing changes it.

    Raises:
        DataError: A column of `inputs` is missing.
    """
    sides = image.shape[1:]
    windows = list(itertools.product(*(_starts(side, len(sides)) for side in sides)))
    mean = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    plain = _answers(model, image[None], inputs)[0]
    code = int(plain.argmax())
    change, covered = np.zeros(sides), np.zeros(sides)
    for start in range(0, len(windows), _AT_ONCE):
        part = windows[start : start + _AT_ONCE]
        images = np.repeat(image[None], len(part), axis=0)
        for one, window in zip(images, part, strict=True):
            one[(slice(None), *window)] = mean
        for window, answer in zip(part, _answers(model, images, inputs), strict=True):
            lost = float(plain[code] - answer[code])
            change[window] += max(lost, 0.0) if model.card.classes else abs(lost)
            covered[window] += 1
    return _scaled(change / np.maximum(covered, 1))


def _starts(side: int, ndim: int) -> list[slice]:
    """Windows along an axis."""
    width = max(1, math.ceil(side / _WINDOWS.get(ndim, 5)))
    step = max(1, width // 2) if ndim == 2 else width
    return [slice(start, min(side, start + width)) for start in range(0, max(1, side - width + step), step)]


def _answers(model: Model, images: npt.NDArray[np.float32], inputs: Inputs | None) -> npt.NDArray[np.float64]:
    """(N, K) of the first target."""
    beside = {name: list(values) * len(images) for name, values in (inputs or {}).items()}
    found = model.predict(images, inputs=beside, trusted=True)
    return np.asarray(found).reshape(len(images), -1)


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The largest one brought to 1."""
    largest = float(values.max())
    return values / largest if largest > 0 else np.zeros_like(values)
