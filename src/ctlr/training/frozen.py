"""Features of a frozen encoder, for models without a network of their own: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from ctlr.encoders import build_encoder
from ctlr.encoders.base import Encoder
from ctlr.specs import EncoderSpec, ModelCard, Study, fingerprint

__all__ = ["Frozen"]

BLOCK = 8
"""Images that pass at a time, a last block filled up: an image's features do not depend on the others."""


class Frozen:
    """`ctlr.shallow.features.Embedding` by an encoder, in float32 on the CPU.

    Args:
        encoder: With the weights that it keeps.
        key: Of encoder and weights: equal where features are.
    """

    def __init__(self, encoder: Encoder, key: str = "") -> None:
        self._encoder, self.key = encoder.eval(), key

    @classmethod
    def of(cls, study: Study) -> Self:
        """That which a study's method names.

        Raises:
            ConfigError: The file of weights is another one than it was, or holds another network.
        """
        encoder = _built(study.encoder, study.target.data.stored_shape)
        weights = study.method.starting_weights(encoder)
        assert weights is not None
        encoder.load_state_dict(weights)
        spec = study.encoder.model_dump_json(exclude={"label"})
        return cls(encoder, fingerprint(spec, study.method.model_dump_json(include={"sha256"})))

    @classmethod
    def from_arrays(cls, card: ModelCard, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """That which a model was saved with.

        Raises:
            ValueError: The arrays are not of the card's encoder.
        """
        if card.encoder is None:
            raise ValueError("its card names no encoder")
        encoder = _built(card.encoder, card.shape)
        try:
            encoder.load_state_dict({name: torch.from_numpy(np.array(each)) for name, each in arrays.items()})
        except RuntimeError as error:
            raise ValueError("the weights do not fit its card's encoder") from error
        return cls(encoder)

    @cached_property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The encoder's weights."""
        return {name: tensor.detach().contiguous().numpy() for name, tensor in self._encoder.state_dict().items()}

    def __call__(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(N, width) features of (N, C, *S) images."""
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), BLOCK):
                part = images[start : start + BLOCK]
                whole = np.concatenate([part, np.repeat(part[:1], BLOCK - len(part), axis=0)])
                found.append(self._encoder(torch.from_numpy(whole)).float().numpy()[: len(part)])
        return np.concatenate(found) if found else np.empty((0, self._encoder.width), np.float32)


def _built(spec: EncoderSpec, shape: tuple[int, ...]) -> Encoder:
    """With weights that are the same for every study, should the file lack some."""
    return build_encoder(spec, channels=shape[0], ndim=len(shape) - 1, seed=0)
