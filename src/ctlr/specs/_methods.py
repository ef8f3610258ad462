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
    "PretrainedMethod",
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
    optimiser: Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw"] = "adamw"
    """PyTorch's; `sgd` has no momentum."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of `momentum` and `nesterov`."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Of weights; biases and norms do not decay."""
    schedule: Literal["constant", "step", "cosine", "warm_restarts", "triangular", "one_cycle"] = "cosine"
    """How the rate goes from step to step; `lr` is its peak."""
    cycle: Annotated[float, Field(ge=1)] = 10.0
    """Epochs between two drops of `step`, of the first cycle of `warm_restarts`, of a rise and fall of `triangular`."""
    cycle_growth: Annotated[float, Field(ge=1)] = 1.0
    """Each cycle of `warm_restarts` is so many times as long as the one before."""
    gamma: Annotated[float, Field(gt=0, le=1)] | None = None
    """Peak of each cycle, as a share of the one before; null: 0.1 with `step`, else 1."""
    warmup: Annotated[float, Field(ge=0)] = 1.0
    """Epochs in which the rate rises to where the schedule begins."""
    warmup_shape: Literal["linear", "cosine"] = "linear"
    """cosine: half a cosine, reversed: slow at both ends."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the head."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many epochs without a better validation score; the best epoch's weights are kept in any case."""
    class_weights: Literal["balanced"] | None = None
    views: ViewsSpec | None = None
    """Augment training images; None trains on them as they are."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.optimiser == "nesterov" and self.momentum == 0:
            raise ValueError("`optimiser: nesterov` needs a `momentum` above 0; got 0. Raise it, or write sgd")
        return self


class FinetuneSpec(FitSpec):
    """How the target task is learned on a (pre)trained encoder."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    n_frozen: Annotated[int, Field(ge=0)] = 0
    """The lower blocks that keep their pretrained weights (and batch-norm statistics)."""
    n_copied: Annotated[int, Field(ge=1)] | None = None
    """The lower blocks that take pretrained weights; those above are drawn at random. null: all."""
    strategy: Literal["full", "discriminative", "linear_probe", "probe_then_full", "gradual", "chain_thaw"] = "full"
    """Which layers learn, when, and at which rates; see the page on finetuning."""
    w: Annotated[float, Field(gt=0, le=1)] | None = None
    """Rate of each block, as a share of the next one's; the head has `lr`. null: 0.3 with `discriminative`, else 1."""
    stage_epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of each stage of `gradual` (null: 1), `probe_then_full` (null: half of all) and `chain_thaw` (null: equal
    parts) but the last, which takes what is left."""
    plateau: Annotated[int, Field(ge=1)] | None = None
    """Go on to the next stage after so many epochs without a better validation score, `stage_epochs` (null: equal
    parts) at the latest."""
    l2_sp: Annotated[float, Field(ge=0)] = 0.0
    """Pulls the encoder's weights to the pretrained ones (L2-SP); `weight_decay` is then left to the head."""
    norm_statistics: Literal["train", "frozen"] = "train"
    """Batch norms of blocks that learn: normalise by the batch and keep running averages, or by the pretrained ones."""

    @property
    def rate_ratio(self) -> float:
        """`w` as it applies."""
        return self.w if self.w is not None else 0.3 if self.strategy == "discriminative" else 1.0

    @property
    def staged(self) -> bool:
        """Whether the layers that learn change on the way."""
        return self.strategy in ("probe_then_full", "gradual", "chain_thaw")


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


PretrainedMethod = SupervisedSpec | SelfferSpec | SimCLRSpec
"""Methods whose finetuning begins from a pretraining."""

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
    """auto: bf16 for each layer that the processor multiplies in hardware and gets right, else float32."""
