"""An encoder that others have trained, from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ctlr.specs import MethodSpec

if TYPE_CHECKING:
    from torch import Tensor

    from ctlr.encoders.base import Encoder

__all__ = ["PretrainedSpec"]


class PretrainedSpec(MethodSpec):
    """Finetune an encoder from a file: published weights, or those of an earlier benchmark."""

    method: Literal["pretrained"] = "pretrained"
    weights: str
    """File of weights: safetensors, or a `.pth` of torchvision's that holds tensors alone."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file, as `sha256sum` prints it: the same weights wherever the benchmark runs."""
    licence: Annotated[str, Field(min_length=1)]
    """Under which the weights may be used, for the report."""
    trained_on: Annotated[tuple[str, ...], Field(min_length=1)]
    """Cohorts that the weights were trained on, by the names of datasets or their folders: where the target is one of
    them nothing runs, since its test subjects would not be new."""
    encoder: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """Key of the encoder whose weights they are; null where they fit every encoder of the benchmark."""
    pretrains: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("weights",)
    example: ClassVar[Mapping[str, Any]] = {
        "weights": "encoder.safetensors", "sha256": "0" * 64, "licence": "CC-BY-4.0", "trained_on": ["a biobank"],
    }  # fmt: skip

    @property
    def only_encoder(self) -> str | None:
        """As the file says."""
        return self.encoder

    @property
    def seen_cohorts(self) -> tuple[str, ...]:
        """Those that the file says."""
        return self.trained_on

    def starting_weights(self, encoder: Encoder) -> dict[str, Tensor]:
        """The file's weights under the encoder's names; what the file lacks or has besides is told.

        Raises:
            ConfigError: It is another file than it was, or holds another network.
        """
        from ctlr.encoders.published import file_weights

        return file_weights(encoder, Path(self.weights), self.sha256, f"methods.{self.label}.weights")
