"""Encoders, methods and their training: how it is learned."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ctlr.errors import nearest
from ctlr.specs._data import ViewsSpec
from ctlr.specs._value import Value

__all__ = [
    "BLOCKS",
    "ENCODERS",
    "METHODS",
    "AnyMethod",
    "ComputeSpec",
    "EncoderSpec",
    "FinetuneSpec",
    "FitSpec",
    "MeanSpec",
    "MethodSpec",
    "ScratchSpec",
    "SelfferSpec",
    "SimCLRSpec",
    "SupervisedSpec",
    "VATSpec",
]

ENCODERS: dict[str, tuple[int, ...]] = {
    "small_cnn": (2, 3), "sfcn": (3,), "resnet18": (2, 3), "resnet34": (2, 3), "resnet50": (2, 3),
    "vgg11": (2, 3), "vgg16": (2, 3), "densenet121": (2, 3), "alexnet": (2,),
}  # fmt: skip
"""Every encoder, with the numbers of spatial dimensions that it takes."""

BLOCKS: dict[str, int] = {
    "small_cnn": 4, "sfcn": 6, "resnet18": 5, "resnet34": 5, "resnet50": 5, "vgg11": 5, "vgg16": 5, "densenet121": 5,
    "alexnet": 5,
}  # fmt: skip
"""How many blocks each encoder has, the units of copying and freezing; known here without torch."""


class EncoderSpec(Value):
    """Which encoder turns images into features."""

    label: str = ""
    """Filled from the key in the file."""
    name: str
    norm: Literal["batch", "group"] = "batch"
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Multiplies the number of channels of every block (3-D encoders and small_cnn)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name not in ENCODERS:
            raise ValueError(f"unknown encoder {self.name!r}. {nearest(self.name, ENCODERS)}")
        if self.name == "alexnet" and self.norm == "group":
            raise ValueError("`norm: group` needs norm layers to replace; alexnet has none. Leave `norm` out")
        return self


class FitSpec(Value):
    """How one training stage runs."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 16
    steps_per_epoch: Annotated[int, Field(ge=1)] | None = None
    """Batches an epoch; by default as many as cover the data once."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of sgd."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: Annotated[float, Field(ge=0)] = 1.0
    """Epochs of linear warm-up."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the head."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many epochs without a better validation score; the best epoch's weights are kept in any case."""
    class_weights: Literal["balanced"] | None = None
    views: ViewsSpec | None = None
    """Augment training images; None trains on them as they are."""


class FinetuneSpec(FitSpec):
    """How the target task is learned on a (pre)trained encoder."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    n_frozen: Annotated[int, Field(ge=0)] = 0
    """The lower blocks that keep their pretrained weights (and batch-norm statistics)."""
    n_copied: Annotated[int, Field(ge=1)] | None = None
    """The lower blocks that take pretrained weights; those above are drawn at random. null: all."""
    linear_probe: bool = False
    """Freeze the whole encoder; only the head learns."""


class MethodSpec(Value):
    """A method and its options; see its kinds below."""

    label: str = ""
    """Filled from the key in the file; names the method in the report."""
    finetune: FinetuneSpec = FinetuneSpec()


class MeanSpec(MethodSpec):
    """Predict the training mean or majority class: the floor that every table shows."""

    method: Literal["mean"] = "mean"


class ScratchSpec(MethodSpec):
    """The same encoder from random weights: the baseline of every gain."""

    method: Literal["scratch"] = "scratch"


class SupervisedSpec(MethodSpec):
    """Pretrain on the source task's labels, then finetune."""

    method: Literal["supervised"] = "supervised"
    pretrain: FitSpec = FitSpec()


class SelfferSpec(MethodSpec):
    """Learn the target twice: copy blocks of the first network into a second one (selffer, Yosinski et al. 2014)."""

    method: Literal["selffer"] = "selffer"
    pretrain: FitSpec = FitSpec()
    """Of the first network, on the study's own labelled training subjects."""


class SimCLRSpec(MethodSpec):
    """Contrast two random views of each image (Chen et al. 2020), then finetune."""

    method: Literal["simclr"] = "simclr"
    pretrain: FitSpec = FitSpec(batch_size=32, views=ViewsSpec())
    temperature: Annotated[float, Field(gt=0)] = 0.2
    """Divides the cosine between views."""
    projection: Annotated[int, Field(ge=2)] = 64
    """Width of the projection head's output."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images are contrasted; the target's validation and test images never are."""


class VATSpec(MethodSpec):
    """No pretraining: labelled and unlabelled, source and target data at once (Miyato et al. 2018)."""

    method: Literal["vat"] = "vat"
    epsilon: Annotated[float, Field(gt=0)] = 0.1
    """Root mean square of the adversarial perturbation over an image's voxels, in image units."""
    xi: Annotated[float, Field(gt=0)] = 0.1
    """Root mean square of the finite difference that finds its direction."""
    power_iterations: Annotated[int, Field(ge=1, le=10)] = 1
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the virtual adversarial loss."""
    consistency: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the difference between the predictions for an image and for its warped view."""
    source_weight: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the source task's loss; 0 leaves its labels out."""
    views: ViewsSpec = ViewsSpec()
    """The warp under which predictions have to agree."""
    unlabelled_batch_size: Annotated[int, Field(ge=2)] = 16


AnyMethod = Annotated[
    MeanSpec | ScratchSpec | SupervisedSpec | SelfferSpec | SimCLRSpec | VATSpec, Field(discriminator="method")
]
METHODS = {
    "mean": MeanSpec, "scratch": ScratchSpec, "supervised": SupervisedSpec, "selffer": SelfferSpec,
    "simclr": SimCLRSpec, "vat": VATSpec,
}  # fmt: skip


class ComputeSpec(Value):
    """What decides the last digits of a number: the same for every worker, however many there are."""

    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """CPU threads of one worker; sums are taken in another order with another number."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """auto: bf16 where the processor multiplies it in hardware, else float32."""
