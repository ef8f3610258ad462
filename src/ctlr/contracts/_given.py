"""Parts of an objective without data: networks from seeds, and a source task where one is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ctlr.encoders import build_encoder, build_head, fused_head, patch_decoder, projection_head
from ctlr.encoders.base import Encoder
from ctlr.methods.base import Task
from ctlr.methods.losses import TaskLoss
from ctlr.specs import encoder_spec

__all__ = ["SHAPES", "GivenParts", "parts_to_try"]


@dataclass
class GivenParts:
    """`ctlr.methods.base.Parts` whose rows nobody looks at: whoever tries an objective hands its batches over."""

    encoder: Encoder
    head: nn.Module
    loss: TaskLoss
    source: Task | None = None
    shape: tuple[int, ...] = (1, 32, 32)

    def projection(self, outputs: int, purpose: str = "projection", inputs: int | None = None) -> nn.Module:
        """A seed for each length of the purpose."""
        return projection_head(inputs or self.encoder.width, outputs, seed=len(purpose), hidden=self.encoder.width)

    def decoder(self) -> nn.Module:
        """Of images with the given shape."""
        return patch_decoder(self.encoder, self.shape, seed=0)

    def pool(self, images: str = "both") -> None:
        """No rows."""

    def pool_with_source_labels(self, images: str = "both") -> Task | None:
        """The source, if any."""
        return self.source

    def source_task(self) -> Task:
        """The source."""
        assert self.source is not None
        return self.source

    def source_tasks(self, columns: Mapping[str, str]) -> list[Task]:
        """Two classes each."""

        def head(outputs: int) -> nn.Module:
            return build_head(self.encoder.width, outputs, dropout=0.0, seed=outputs)

        return [Task(None, head(2), TaskLoss(classes=2)) for _ in range(1 + len(columns))]


SHAPES = {0: (8,), 1: (3, 32), 2: (1, 32, 32), 3: (1, 32, 32, 32)}
"""(C, *S) of an image to try, by its number of sides."""
ENCODERS_TO_TRY = {0: "mlp", 1: "cnn1d", 2: "small_cnn", 3: "small_cnn"}
"""A small encoder for it."""


def parts_to_try(
    classes: int = 0, ndim: int = 2, *, source_classes: int | None = None, encoder_name: str = "", columns: int = 0
) -> GivenParts:
    """A small encoder and its head, which reads columns where there are some; a source task has a head of its own."""
    shape, name = SHAPES[ndim], encoder_name or ENCODERS_TO_TRY[ndim]
    encoder = build_encoder(encoder_spec(name), channels=shape[0], ndim=ndim, seed=0)

    def head(outputs: int) -> nn.Module:
        return build_head(encoder.width, max(1, outputs), dropout=0.0, seed=0)

    source = None
    if source_classes is not None:
        source = Task(None, head(source_classes), TaskLoss(classes=source_classes))
    own = head(classes)
    if columns:
        own = fused_head(encoder.width, columns, 4, max(1, classes), dropout=0.0, seed=0)
    return GivenParts(encoder, own, TaskLoss(classes=classes), source, shape)
