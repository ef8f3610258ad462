"""Tasks, splits and views: what is learned from datasets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ctlr.specs._datasets import AnyDataset
from ctlr.specs._inputs import Inputs, Text
from ctlr.specs._value import Value

__all__ = [
    "ALSO",
    "METRICS",
    "AlsoSpec",
    "DataTask",
    "LeakSpec",
    "SplitSpec",
    "TaskSpec",
    "ViewsSpec",
    "also_name",
]

METRICS = {
    "mae": "min", "rmse": "min", "r": "max", "r2": "max", "f1_bins": "max",
    "accuracy": "max", "balanced_accuracy": "max", "precision": "max", "recall": "max", "f1": "max",
    "roc_auc": "max", "top5_accuracy": "max", "confidence": "max", "brier": "min", "ece": "min", "log_loss": "min",
}  # fmt: skip
"""Every metric and the direction in which it improves."""


ALSO = "also_"
"""Begins the names of what is said of other targets than the first: metrics (`also_sex_accuracy`) and columns."""


def _check_classes(kind: str, classes: Sequence[str] | None) -> None:
    if classes is not None and (kind == "regression" or len(set(classes)) < 2):
        raise ValueError("`classes` needs a classification task and at least two different names")


class AlsoSpec(Value):
    """Another target that the same network learns, with a head of its own on the same encoder."""

    target: Text
    """Column of participants.tsv."""
    kind: Literal["regression", "classification"]
    classes: tuple[Text, ...] | None = None
    """Keep these classes only, in this order; of other images the answer counts as unknown."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Of its loss, beside the first target's: a regression's is the squared error in units of the training subjects'
    variance, a classification's the cross-entropy in nats."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_classes(self.kind, self.classes)
        return self

    @property
    def task(self) -> TaskSpec:
        """What is asked, by itself."""
        return TaskSpec(name=self.target, target=self.target, kind=self.kind, classes=self.classes)


class TaskSpec(Value):
    """What is predicted from an image, and from columns beside it."""

    name: str = ""
    """Filled from the key in the file."""
    target: Text
    """Column of participants.tsv; `class` for pictures."""
    kind: Literal["regression", "classification"]
    metric: str | None = None
    """Headline metric; mae for regression, balanced_accuracy for classification."""
    classes: tuple[Text, ...] | None = None
    """Keep these classes only, in this order."""
    inputs: Annotated[Inputs, Field(exclude_if=lambda inputs: not inputs)] = Field(default_factory=dict)
    """Columns that the answer is computed from beside the image: `[sex, site]`, or what each holds, `{site: category}`;
    auto: a number where every cell is one."""
    fusion: Annotated[Literal["late", "none"], Field(exclude_if=lambda fusion: fusion == "late")] = "late"
    """How `inputs` meet the image: late puts them beside the encoder's features, before the head; none keeps them from
    the network, so that only the baselines `covariates` and `linear_covariates` read them."""
    fusion_width: Annotated[int, Field(ge=1, le=1024, exclude_if=lambda width: width == 16)] = 16
    """Hidden units that `inputs` become before they stand beside the encoder's features."""
    also: Annotated[tuple[AlsoSpec, ...], Field(exclude_if=lambda also: not also)] = ()
    """More targets that the same network learns, a head each. `target` stays the one that is reported, chosen by and
    split by."""
    balance: Annotated[Literal["fixed", "uncertainty"], Field(exclude_if=lambda balance: balance == "fixed")] = "fixed"
    """What the losses of several targets weigh: fixed, or as the noise of each that is learned beside the network says,
    times the fixed ones (Kendall et al. 2018)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        regression = {"mae", "rmse", "r", "r2", "f1_bins"}
        allowed = regression if self.kind == "regression" else set(METRICS) - regression
        if self.metric is not None and self.metric not in allowed:
            raise ValueError(
                f"`metric` of a {self.kind} task must be one of {', '.join(sorted(allowed))}; got {self.metric!r}"
            )
        _check_classes(self.kind, self.classes)
        if self.metric == "top5_accuracy" and self.classes is not None and len(self.classes) <= 5:
            raise ValueError(
                f"`metric: top5_accuracy` needs more than 5 `classes`; got {len(self.classes)}. Take accuracy"
            )
        if self.target in self.inputs:
            raise ValueError(f"`inputs` must not hold the target; {self.target!r} is it. Remove it")
        asked = [self.target, *(other.target for other in self.also)]
        if twice := sorted({target for target in asked if asked.count(target) > 1}):
            raise ValueError(f"`also` must name other targets, once each; {twice[0]!r} is there twice. Remove one")
        if told := sorted(set(asked) & self.inputs.keys()):
            raise ValueError(
                f"`inputs` must not hold a target; {told[0]!r} is one of `also`. Remove it from one of both"
            )
        if self.balance != "fixed" and not self.also:
            raise ValueError(
                f"`balance: {self.balance}` weighs several targets; got one. Name more in `also`, or remove it"
            )
        if self.fusion == "none" and not self.inputs:
            raise ValueError("`fusion: none` keeps `inputs` from the network; got none. Name some, or remove it")
        return self

    @property
    def fused(self) -> Mapping[str, str]:
        """Columns that the network reads, and what each holds."""
        return self.inputs if self.fusion == "late" else {}

    def alone(self) -> Self:
        """The first target, asked of images alone: what a task is to a pretraining, and as a source."""
        beside = {"inputs": {}, "fusion": "late", "fusion_width": 16, "also": (), "balance": "fixed"}
        return self.model_copy(update=beside) if self.inputs or self.also else self

    @property
    def kinds(self) -> set[str]:
        """Of all its targets."""
        return {self.kind, *(other.kind for other in self.also)}

    @property
    def headline(self) -> str:
        """The metric that the report opens with."""
        return self.metric or ("mae" if self.kind == "regression" else "balanced_accuracy")

    @property
    def direction(self) -> str:
        """`min` or `max`: how the headline metric improves."""
        return METRICS[self.headline]


def also_name(target: str) -> str:
    """What stands for another target in the names of metrics and columns: letters, digits and `_`."""
    return ALSO + re.sub(r"\W+", "_", target)


class DataTask(Value):
    """A task on a dataset: one end of a transfer."""

    data: AnyDataset
    task: TaskSpec

    def alone(self) -> Self:
        """The same data, asked for the first target of images alone."""
        task = self.task.alone()
        return self if task is self.task else self.model_copy(update={"task": task})

    @property
    def others(self) -> tuple[DataTask, ...]:
        """What else the network learns."""
        return tuple(DataTask(data=self.data, task=other.task) for other in self.task.also)


class SplitSpec(Value):
    """Who trains, validates and tests. Sides never share a subject."""

    test: Annotated[float, Field(gt=0)] = 0.25
    """Share of the subjects (below 1) or their number; the same ones for every study of a benchmark."""
    validation: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Validation subjects for each labelled training subject."""
    source_validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of a source task's labelled subjects that watch over its pretraining."""
    stratify: tuple[Text, ...] = ()
    """Columns to balance besides the target, e.g. sex."""
    bins: Annotated[int, Field(ge=1, le=50)] = 5
    """Quantile bins of a numeric target for balancing."""
    group: Text | None = None
    """Column (site, family) whose values never stand on two sides."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws the test set."""

    def n_validation(self, n_train: int) -> int:
        """Validation subjects beside `n_train` labelled training subjects."""
        return max(2, round(n_train * self.validation))


class LeakSpec(Value):
    """What counts as a leak between those who are learned from and those who validate or test."""

    copies: Annotated[float, Field(ge=0.9, lt=1)] | None = 0.99
    """Correlation from which two images count as one, where others are by far less alike; null compares bytes alone."""
    accept: tuple[Annotated[tuple[str, ...], Field(min_length=2, max_length=2)], ...] = ()
    """Pairs that are no leak: two subjects (ids, or the pseudonyms of the message), or two datasets whose equal ids are
    different people."""


POINTS_NOISE = 0.1
"""Standard deviation at most, in units of the features, of the noise of points whose views say nothing else."""


class ViewsSpec(Value):
    """How strongly a random view of an image is changed; 0 leaves a part out. Drawn anew for each image.

    Of signals the one side is time; they are neither rotated nor shaded. Points have no side: `noise`, `drop` and `mix`
    are all that there is of them, and 0.1 stands for `noise` where it is 0. `drop` and `mix` are for those two alone,
    `stain` and `turn` for pictures.
    """

    rotate: Annotated[float, Field(ge=0, le=180)] = 8.0
    """Degrees, uniform in -x..x about each axis."""
    translate: Annotated[float, Field(ge=0, le=0.5)] = 0.04
    """Share of the side, uniform in -x..x along each axis."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.06
    """Log-scale, uniform in -x..x along each axis."""
    warp: Annotated[float, Field(ge=0, le=0.2)] = 0.01
    """Elastic warp: standard deviation of the displacement along each axis at a control point, as a share of the side
    (0.01 moves a 192 mm volume by 2 mm)."""
    warp_points: Annotated[int, Field(ge=4, le=32)] = 7
    """Control points of the cubic B-spline along each axis; the outermost two lie beyond the image."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Smallest side of a random crop, resized back, as a share of the side; 1 crops nothing."""
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability of mirroring the first spatial axis (left-right in RAS volumes; for pictures the last)."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Largest standard deviation of Gaussian noise, in image units."""
    blur: Annotated[float, Field(ge=0, le=5)] = 0.0
    """Largest standard deviation of a Gaussian blur, voxels."""
    brightness: Annotated[float, Field(ge=0)] = 0.0
    """Offset in image units, uniform in -x..x."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Log-gain about the image's mean, uniform in -x..x."""
    bias: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Standard deviation of the logarithm of a smooth field that multiplies what stands above the image's minimum."""
    cutout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest side of one box set to the image's mean, as a share of the side."""
    stain: Annotated[float, Field(ge=0, le=1, exclude_if=lambda value: value == 0)] = 0.0
    """Of coloured pictures in 0 to 1: haematoxylin, eosin and DAB each multiplied by 1-x..1+x and shifted by -x..x, in
    the units of scikit-image's `rgb2hed`; 0.05 is slight, 0.2 strong (Tellez et al. 2019)."""
    turn: Annotated[float, Field(ge=0, le=1, exclude_if=lambda value: value == 0)] = 0.0
    """Probability that a picture is turned by 90, 180 or 270 degrees, to the pixel; one that is not square by 180."""
    drop: Annotated[float, Field(ge=0, lt=1, exclude_if=lambda value: value == 0)] = 0.0
    """Probability that a channel of a signal, or a feature of a point, is set to 0; one is always kept."""
    mix: Annotated[float, Field(ge=0, lt=0.5, exclude_if=lambda value: value == 0)] = 0.0
    """Largest share of another signal or point of the batch that is mixed in, uniform in 0..x (Zhang et al. 2018)."""

    @classmethod
    def off(cls) -> dict[str, float]:
        """Every part's strength that leaves it out."""
        return {name: 1.0 if name == "crop" else 0.0 for name in cls.model_fields if name != "warp_points"}

    @classmethod
    def none(cls) -> Self:
        """No change at all."""
        return cls.model_validate(cls.off())

    @classmethod
    def meaningless(cls, ndim: int) -> frozenset[str]:
        """Parts that images of so many sides do not have."""
        if ndim == 0:
            return frozenset(cls.off().keys() - {"noise", "drop", "mix"})
        if ndim == 1:
            return frozenset({"rotate", "bias", "stain", "turn"})
        return frozenset({"drop", "mix"} if ndim == 2 else {"drop", "mix", "stain", "turn"})

    def at(self, ndim: int) -> Self:
        """As it acts on images of so many sides: parts that they do not have are off."""
        off = {name: value for name, value in self.off().items() if name in self.meaningless(ndim)}
        noise = {} if ndim or self.noise else {"noise": POINTS_NOISE}
        changed = {name: value for name, value in (off | noise).items() if value != getattr(self, name)}
        return self.model_copy(update=changed) if changed else self

    @property
    def words(self) -> str:
        """The parts that are on, with their strengths: `rotate 8, flip 0.5`."""
        on = {name: getattr(self, name) for name, off in self.off().items() if getattr(self, name) != off}
        return ", ".join(f"{name} {value:g}" for name, value in on.items()) or "none"
