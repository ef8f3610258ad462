"""What a method gives to the training loop: an objective over named batches. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from ctlr.methods.lazily import nn, torch
from ctlr.specs import ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

    from ctlr.encoders.base import Encoder
    from ctlr.methods.losses import TaskLoss

__all__ = ["Batch", "Objective", "Parts", "Pool", "Rows", "Task", "head_outputs", "predict_outputs", "random_views"]

Pool = Literal["source", "target", "both"]
"""Whose images."""
Rows = Any
"""Images, perhaps with targets, that the loop cuts into batches; a method hands them on as they are."""


@dataclass(frozen=True)
class Batch:
    """Images with their labels.

    Attributes:
        images: (B, C, *S) float, or features (B, ...) of the frozen lower blocks.
        target: (B,) int64 codes (-1: unknown) or float standardised targets (NaN: unknown); None where there are none.
        columns: (B, C) float, what the task reads beside the image; None where it reads nothing.
    """

    images: Tensor
    target: Tensor | None = None
    columns: Tensor | None = None


class Objective:
    """A loss together with all that it trains.

    Contract: a call takes one `Batch` for each name in `streams` and returns a finite scalar; every random number comes
    from `rng`, a CPU generator (dropout alone uses torch's global state, which the loop seeds and stores). Networks are
    attributes: those that learn, and followers of them (`ctlr.methods.following`), whose weights are buffers.
    """

    streams: ClassVar[tuple[str, ...]]
    """Names of the batches it takes; the first one's rows are seen once an epoch, the others keep up."""

    batch_sizes: Mapping[str, int] = MappingProxyType({})
    """Rows of a batch where they differ from the stage's `batch_size`."""

    rows: Mapping[str, Rows] = MappingProxyType({})
    """Rows of each batch, but for the labelled ones of the task that is learned."""

    step: int = 0
    """Steps of the stage that are behind; the loop says it before each step."""
    done: float = 0.0
    """The same as a share of all of them."""
    predicts_with: tuple[Encoder, nn.Module] | None = None
    """Encoder and head that predict, where they are not those that learn: followers of them."""

    encoder: Encoder

    @cached_property
    def networks(self) -> nn.Module:
        """All networks among the attributes as one module, under the attributes' names and in their order."""
        together = nn.Module()
        for name, part in vars(self).items():
            if isinstance(part, nn.Module):
                together.add_module(name, part)
        return together

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        """Mean loss of one step."""
        raise NotImplementedError(type(self))

    def after_step(self) -> None:
        """Called when the weights have moved."""


class Task(NamedTuple):
    """A labelled task beside the one that is learned."""

    rows: Rows
    """With targets that are unknown where they are another dataset's."""
    head: nn.Module | None
    """None where the learned task's own head serves it too."""
    loss: TaskLoss


class Parts(Protocol):
    """What an objective is put together from: networks with their first weights, and rows.

    The same seed gives the same weights. Test images, and the validation images of the target, are in no rows.
    """

    @property
    def encoder(self) -> Encoder:
        """Turns images into features."""

    @property
    def head(self) -> nn.Module:
        """Of the task that is learned; of no meaning where a pretraining learns none."""

    @property
    def loss(self) -> TaskLoss:
        """Of the same."""

    def projection(self, outputs: int, purpose: str = "projection", inputs: int | None = None) -> nn.Module:
        """(B, inputs) -> (B, outputs): linear, batch norm, ReLU, linear; each purpose has weights of its own.

        Args:
            outputs: Width.
            purpose: Draws the weights.
            inputs: By default the encoder's width.
        """

    def decoder(self) -> nn.Module:
        """What leaves the encoder's last block, (B, width, *S'), -> (B, C, *S) images: one linear layer."""

    def pool(self, images: Pool = "both") -> Rows:
        """Images without labels."""

    def pool_with_source_labels(self, images: Pool = "both") -> Task | None:
        """The same with the source task's labels; None where there is no source."""

    def source_task(self) -> Task:
        """Every labelled image of the source."""

    def source_tasks(self, columns: Mapping[str, str]) -> Sequence[Task]:
        """The source's labelled images with its own task and with other columns of its table; each has a head.

        Args:
            columns: What each asks for: classification or regression.
        """


def predict_outputs(
    encoder: Encoder, head: nn.Module, images: Tensor, start: int = 0, *, columns: Tensor | None = None
) -> Tensor:
    """Raw outputs (B, K) in float32, also where the encoder runs in half precision.

    Args:
        encoder: Turns images into features.
        head: Turns features into outputs.
        images: (B, C, *S), or the output of the encoder's first `start` blocks.
        start: The block that comes first.
        columns: (B, C), where the head reads some beside the features.
    """
    return head_outputs(head, encoder(images, start=start), columns)


def head_outputs(head: nn.Module, features: Tensor, columns: Tensor | None) -> Tensor:
    """Raw outputs (B, K) in float32 from (B, width) features, and (B, C) columns where the head reads some."""
    # Ages in half precision would be rounded to a quarter of a standard deviation's percent.
    with torch.autocast(features.device.type, enabled=False):
        outputs: Tensor = head(features.float()) if columns is None else head(features.float(), columns)
    return outputs


def random_views(images: Tensor, views: ViewsSpec | None, rng: torch.Generator) -> Tensor:
    """(B, C, *S) images seen through a random view each; as they are where `views` is None."""
    if views is None:
        return images
    from ctlr.data import augment

    return augment.random_views(images, views, rng)
