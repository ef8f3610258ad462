"""Weights that others have published, from files that their user has; nothing is downloaded."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ctlr.encoders.base import Encoder
from ctlr.errors import ConfigError

__all__ = ["file_weights", "load_published", "read_published"]

_SHOWN = 3


def file_weights(encoder: Encoder, file: Path, sha256: str, option: str) -> dict[str, Tensor]:
    """A file's weights under an encoder's names; what the file lacks or has besides is told.

    Args:
        encoder: That takes them; it is changed.
        file: Of weights.
        sha256: That the file must have.
        option: Of the benchmark that names the file, for messages.

    Raises:
        ConfigError: It is another file than it was, or holds another network.
    """
    found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
    if found != sha256:
        told = f"must be the file with the sha256 {sha256}; {file.name} is {found}"
        raise ConfigError(f"`{option}` {told}. Name that file, or mend `sha256`.")
    load_published(encoder, read_published(file))
    return encoder.state_dict()


def read_published(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.safetensors` file, or of a `state_dict` that torch saved (`.pth`, `.pt`).

    The latter may lie under the key `state_dict` of a larger mapping. Tensors and plain values alone are unpickled
    (`weights_only`), so that a file cannot run code.

    Raises:
        ConfigError: The file is of neither kind, or holds no tensors.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of how others have pickled: what it cannot read is an error
            found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except _REFUSED as error:
        raise ConfigError(
            f"no weights can be read ({type(error).__name__}). Give a `state_dict` that torch saved, or safetensors.",
            place=str(path),
        ) from error
    found = found.get("state_dict", found) if isinstance(found, dict) else None
    named = found.items() if isinstance(found, dict) else ()
    tensors = {name: tensor for name, tensor in named if isinstance(name, str) and _is_plain(tensor)}
    if not tensors:
        raise ConfigError("the file holds no tensors by name. Give a `state_dict`.", place=str(path))
    return tensors


_REFUSED = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, pickle.UnpicklingError,
            SafetensorError)  # fmt: skip
"""What files that are damaged, or something else, end in."""


def _is_plain(value: object) -> bool:
    """Whether it is a tensor of numbers that an encoder can take: neither sparse nor quantised, complex or empty."""
    return (
        isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
        and not value.is_quantized and not value.is_complex()
    )  # fmt: skip


@torch.no_grad()
def load_published(encoder: Encoder, tensors: Mapping[str, Tensor]) -> list[str]:
    """Give an encoder published weights and batch-norm statistics; those of the classifier are left out.

    A first convolution for colours is made one for grey by the sum over its channels, as timm does
    (`adapt_input_conv`): convolutions are linear, so it gives what the original gives for a grey picture written as
    red, green and blue.

    Args:
        encoder: Changed in place, unless an error is raised.
        tensors: By the names that the publisher gave them; a prefix `module.` (of `DataParallel`) is dropped.

    Returns:
        Names of the tensors that have no place in the encoder, in the publisher's order.

    Raises:
        ConfigError: There are no published weights for such an encoder; tensors are missing, or of another shape.
    """
    own = encoder.state_dict()
    if set(tensors) == set(own):  # an encoder that CTLR has trained
        _check_shapes(encoder, tensors, {name: name for name in own})
        encoder.load_state_dict(tensors)
        return []
    if not encoder.published:
        raise ConfigError(
            "no published weights fit such an encoder. Take one whose line in the guide says whose weights it loads, "
            "with batch norm and in the dimensions of those."
        )
    given = {encoder.published_today(name.removeprefix("module.")): name for name in tensors}
    wanted = {name: _published_name(encoder, name) for name in own}
    # Files older than PyTorch 0.4.1 do not count the batches; no encoder uses the count.
    wanted = {own: name for own, name in wanted.items() if name in given or not own.endswith(".num_batches_tracked")}
    missing = [name for name in wanted.values() if name not in given]
    if missing:
        raise ConfigError(f"{_some(missing)} missing among the weights. Are they another network's?")
    first = next(iter(wanted))
    weights = {own: tensors[given[name]] for own, name in wanted.items()}
    weights[first] = _fit_colours(weights[first], channels=encoder.state_dict()[first].shape[1])
    _check_shapes(encoder, weights, wanted)
    encoder.load_state_dict(weights, strict=False)
    used = set(wanted.values())
    return [name for today, name in given.items() if today not in used]


def _published_name(encoder: Encoder, own: str) -> str:
    """Of one of the encoder's tensors."""
    part, _, tensor = own.rpartition(".")
    return f"{encoder.published[part]}.{tensor}"


def _fit_colours(weight: Tensor, channels: int) -> Tensor:
    """(O, 3, *K) -> (O, 1, *K) where the encoder takes one channel; others as they are."""
    return weight.sum(1, keepdim=True) if channels == 1 and weight.shape[1:2] == (3,) else weight


def _check_shapes(encoder: Encoder, weights: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    own = encoder.state_dict()
    unlike = [name for name, tensor in weights.items() if tensor.shape != own[name].shape]
    if unlike:
        name = unlike[0]
        given, needed = list(weights[name].shape), list(own[name].shape)
        raise ConfigError(
            f"{_some([names[name] for name in unlike])} of another shape than the encoder's: "
            f"{names[name]} has {given}, the encoder {needed}. "
            "Are they another network's, or of other channels or `width`?"
        )


def _some(names: list[str]) -> str:
    """`a, b, c and 5 more are`."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more} {'is' if len(names) == 1 else 'are'}"
