"""Blocks of one network in another one of the same kind."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ctlr.encoders.base import Encoder
from ctlr.errors import ConfigError

__all__ = ["copy_blocks"]


def copy_blocks(encoder: Encoder, weights: Mapping[str, Tensor], n: int) -> None:
    """Give the lower n blocks another network's weights and batch-norm statistics; the others stay as they are.

    Args:
        encoder: Changed in place.
        weights: The other encoder's `state_dict`, of the same architecture.
        n: Blocks from the image on.

    Raises:
        ConfigError: The encoder has fewer blocks.
    """
    if not 1 <= n <= len(encoder.blocks):
        raise ConfigError(
            f"`n_copied` must lie between 1 and {len(encoder.blocks)}, the number of blocks of this encoder; got {n}. "
            "Lower it, or leave it out to copy all."
        )
    lower = tuple(f"blocks.{index}." for index in range(n))
    encoder.load_state_dict(encoder.state_dict() | {k: v for k, v in weights.items() if k.startswith(lower)})
