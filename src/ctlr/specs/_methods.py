"""Methods and their training: how it is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs._data import ViewsSpec
from ctlr.specs._value import Value

__all__ = [
    "ComputeSpec",
    "FinetuneSpec",
    "FitSpec",
    "MeanSpec",
    "MethodSpec",
    "NetworkMethod",
    "PooledSpec",
    "PretrainedMethod",
    "ScratchSpec",
    "SelfferSpec",
    "SimCLRSpec",
    "SupervisedSpec",
    "VATSpec",
]

ENOUGH_TO_CHOOSE = 100
"""Subjects that an epoch is chosen on, unless a file says otherwise; with fewer the last one is kept."""


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
    """Stop after this many epochs without a better validation score."""
    keep: Literal["auto", "best", "last"] = "auto"
    """Whose weights are kept: of the epoch that was best on the subjects that watch, or of the last one. auto: the best
    where 100 subjects or more watch or `patience` is set, else the last: few subjects choose by chance."""
    class_weights: Literal["balanced"] | None = None
    views: ViewsSpec | None = None
    """Augment training images; None trains on them as they are."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.optimiser == "nesterov" and self.momentum == 0:
            raise ValueError("`optimiser: nesterov` needs a `momentum` above 0; got 0. Raise it, or write sgd")
        return self

    @model_validator(mode="after")
    def _patience_chooses(self) -> Self:
        if self.keep == "last" and self.patience is not None:
            raise ValueError("`keep: last` asks no validation score, and `patience` stops by it. Remove one of them")
        return self

    def keeps_best(self, watching: int) -> bool:
        """Whether the best epoch's weights are kept where so many subjects validate, not the last one's."""
        return self.keep == "best" or (self.keep == "auto" and (watching >= ENOUGH_TO_CHOOSE or bool(self.patience)))


class FinetuneSpec(FitSpec):
    """How the target task is learned on a (pre)trained encoder."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    keep: Literal["auto", "best", "last"] = "best"
    """Whose weights are kept: of the epoch that was best on the validation subjects, or of the last one; auto: as for
    pretraining."""
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
    refit: bool = False
    """Once an epoch is chosen, train again from the same first weights for as many epochs, on training and validation
    subjects together. Trials of a search do not."""

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
    role: ClassVar[Literal["method", "baseline", "floor"]] = "method"
    """What the report holds it against: training from scratch; or it is held against the methods, beside which it
    stands in every table; or it is the least that anybody has to beat."""
    trains_network: ClassVar[bool] = True
    """Whether a study trains a network on its target: it is then finetuned, searched, and billed by the image."""
    has_encoder: ClassVar[bool] = True
    """Whether an encoder has a part in it; what has none runs once, however many encoders there are."""
    needs_shared_task: ClassVar[bool] = False
    """Whether it runs only where another dataset is the source and asks the same of its images as the target."""
    untuned: ClassVar[str] = ""
    """Why there is nothing to search in it; empty where there is."""
    pretrains: ClassVar[bool] = False
    """Whether its finetuning begins from pretrained weights."""
    reads_source_while_finetuning: ClassVar[bool] = False
    """Whether the finetuning itself looks at the source."""

    @property
    def needs_source(self) -> bool:
        """Whether it cannot run without a source."""
        return False

    @property
    def shares_encoder(self) -> bool:
        """Whether one encoder sees source and target, where there is a source."""
        return self.reads_source_while_finetuning

    @property
    def images_beside(self) -> int:
        """Images that a finetuning step takes beside the labelled batch."""
        return 0

    @property
    def views_by_stage(self) -> dict[str, ViewsSpec | None]:
        """Random views through which each of its stages sees its labelled images (or those that it contrasts)."""
        learned = {"pretrain": "pretrain" in type(self).model_fields, "finetune": self.trains_network}
        stages = [stage for stage, there in learned.items() if there]
        return {stage: getattr(self, stage).views for stage in stages}

    @property
    def views_words(self) -> str:
        """The same in words: `pretraining: none; finetuning: flip 0.5`; a dash where it sees no image."""
        named = {"pretrain": "pretraining", "finetune": "finetuning"}
        words = [f"{named[stage]}: {seen.words if seen else 'none'}" for stage, seen in self.views_by_stage.items()]
        return "; ".join(words) or "–"

    @property
    def reads_source(self) -> bool:
        """Whether it looks at the source, where there is one."""
        return True

    @property
    def flips(self) -> bool:
        """Whether a view of its training is mirrored now and then: a mirrored image then means the same."""
        fields = [getattr(self, name) for name in type(self).model_fields]
        views = [field.views if isinstance(field, FitSpec) else field for field in fields]
        return any(isinstance(each, ViewsSpec) and each.flip > 0 for each in views)

    @classmethod
    def automatic(cls, peers: Sequence[MethodSpec]) -> Self | None:
        """The method as it stands beside others without being listed; None where it cannot."""
        return cls.model_validate({"label": cls.model_fields["method"].default})

    def settled(self, peers: Sequence[MethodSpec]) -> Self:
        """The method with what it takes over from those that it stands beside."""
        return self


class MeanSpec(MethodSpec):
    """Predict the training mean or majority class: the floor that every table shows."""

    method: Literal["mean"] = "mean"
    role: ClassVar[Literal["method", "baseline", "floor"]] = "floor"
    trains_network: ClassVar[bool] = False
    has_encoder: ClassVar[bool] = False
    untuned: ClassVar[str] = "the mean predictor learns nothing"

    @property
    def reads_source(self) -> bool:
        """It looks at no image."""
        return False


class ScratchSpec(MethodSpec):
    """The same encoder from random weights: the baseline of every gain."""

    method: Literal["scratch"] = "scratch"

    @property
    def reads_source(self) -> bool:
        """It starts from nothing."""
        return False


class SupervisedSpec(MethodSpec):
    """Pretrain on the source task's labels, then finetune."""

    method: Literal["supervised"] = "supervised"
    pretrain: FitSpec = FitSpec()
    pretrains: ClassVar[bool] = True

    @property
    def needs_source(self) -> bool:
        """Always: its labels are what is learned first."""
        return True

    @property
    def shares_encoder(self) -> bool:
        """Always."""
        return True


class SelfferSpec(MethodSpec):
    """Learn the target twice: copy blocks of the first network into a second one (selffer, Yosinski et al. 2014)."""

    method: Literal["selffer"] = "selffer"
    pretrain: FitSpec = FitSpec()
    """Of the first network, on the study's own labelled training subjects."""
    pretrains: ClassVar[bool] = True

    @property
    def reads_source(self) -> bool:
        """Its first network learns the target."""
        return False


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
    pretrains: ClassVar[bool] = True

    @property
    def needs_source(self) -> bool:
        """Where it contrasts the source's images alone."""
        return self.pool == "source"

    @property
    def shares_encoder(self) -> bool:
        """Unless it contrasts the target's images alone."""
        return self.pool != "target"

    @property
    def reads_source(self) -> bool:
        """Unless the pool is the target's alone."""
        return self.pool != "target"


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
    reads_source_while_finetuning: ClassVar[bool] = True

    @property
    def images_beside(self) -> int:
        """Images of the pool."""
        return self.unlabelled_batch_size


class PooledSpec(MethodSpec):
    """No pretraining: labels of source and target learned together from the start (Caruana 1997)."""

    method: Literal["pooled"] = "pooled"
    source_weight: Annotated[float, Field(gt=0)] = 1.0
    """Of the source's loss, beside the target's."""
    source_batch_size: Annotated[int, Field(ge=2, le=4096)] = 16
    """Source images of a step, beside the target's `batch_size`."""
    reads_source_while_finetuning: ClassVar[bool] = True

    @property
    def needs_source(self) -> bool:
        """Always: without one it is training from scratch."""
        return True

    @property
    def images_beside(self) -> int:
        """Images of the source."""
        return self.source_batch_size


PretrainedMethod = SupervisedSpec | SelfferSpec | SimCLRSpec
"""Methods whose finetuning begins from a pretraining."""

NetworkMethod = ScratchSpec | SupervisedSpec | SelfferSpec | SimCLRSpec | VATSpec | PooledSpec
"""Methods that train a network on the target."""


class ComputeSpec(Value):
    """What decides the last digits of a number: the same for every worker, however many there are."""

    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """CPU threads of one worker; sums are taken in another order with another number."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """auto: bf16 for each layer that the processor multiplies in hardware and gets right, else float32."""
