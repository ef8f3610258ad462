"""Datasets, tasks, splits and views: what is learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ctlr.errors import nearest
from ctlr.specs._collections import DIGITS, PUBLISHED
from ctlr.specs._value import Value

__all__ = [
    "DATASETS",
    "METRICS",
    "AnyDataset",
    "BidsSpec",
    "CohortSpec",
    "CollectionSpec",
    "DataTask",
    "DatasetSpec",
    "DigitsSpec",
    "ImagesSpec",
    "LeakSpec",
    "PreprocessSpec",
    "SplitSpec",
    "TaskSpec",
    "TorchvisionSpec",
    "ViewsSpec",
]

METRICS = {
    "mae": "min", "rmse": "min", "r": "max", "r2": "max", "f1_bins": "max",
    "accuracy": "max", "balanced_accuracy": "max", "precision": "max", "recall": "max", "f1": "max",
    "roc_auc": "max", "brier": "min", "ece": "min", "log_loss": "min",
}  # fmt: skip
"""Every metric and the direction in which it improves."""


class PreprocessSpec(Value):
    """How one dataset's images become one array."""

    shape: Annotated[tuple[Annotated[int, Field(ge=8, le=1024)], ...], Field(min_length=2, max_length=3)] = (32, 32, 32)
    """Voxels or pixels a side after cropping and padding: three numbers for volumes, two for pictures."""
    spacing: Annotated[float, Field(gt=0)] = 6.0
    """Edge of a voxel in mm after resampling; not used for pictures."""
    normalise: Literal["zscore", "percentile", "none"] = "zscore"
    """Per image: zscore of the voxels inside the brain (mask or foreground), or 1st-99th percentile onto 0-1."""
    dtype: Literal["float16", "uint8"] = "float16"
    """How values are stored; uint8 keeps the range -4..4 (zscore) or 0..1 in 256 steps."""
    channels: Literal[1, 3] = 1
    """Channels of pictures; grey ones are repeated."""
    on_bad_subject: Literal["stop", "exclude"] = "stop"
    """What an unusable image does: stop the run, or be listed and left out."""


class DatasetSpec(Value):
    """A source of subjects with images; see its kinds below."""

    name: str = ""
    """Filled from the key in the file."""
    preprocess: PreprocessSpec = PreprocessSpec()
    ndim: ClassVar[int] = 3
    """Sides of an image: 3 for volumes, 2 for pictures."""
    apart: ClassVar[bool] = False
    """Whether the way it came about rules out that one image lies in it twice: no copy is looked for inside it then."""

    @property
    def people(self) -> str:
        """Where equal subject ids of two datasets are one subject for certain, or for certain two: datasets with the
        same word share their subjects, others do not. Empty where only the tables can tell."""
        return ""


class BidsSpec(DatasetSpec):
    """A BIDS folder: participants.tsv and sub-*/[ses-*/]anat/*_T1w.nii[.gz], raw or derivative."""

    kind: Literal["bids"] = "bids"
    root: str
    """Folder; relative paths start at the benchmark file."""
    session: str | None = None
    """Keep this session only (without `ses-`)."""
    desc: str | None = None
    """Keep derivatives with this `desc-` only."""
    space: str | None = None
    """Keep derivatives in this `space-` only."""
    mask: bool = True
    """Normalise inside a `*_mask.nii[.gz]` where there is one."""


class ImagesSpec(DatasetSpec):
    """A folder of pictures: one folder a class, below train/val/test folders or not."""

    kind: Literal["images"] = "images"
    root: str
    """Folder; relative paths start at the benchmark file."""
    ndim: ClassVar[int] = 2


class CollectionSpec(DatasetSpec):
    """Classes of a published set of pictures; each picture is a subject. See its kinds below."""

    classes: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """Keep these classes only; two datasets of one set may so hold different classes. By default all."""
    per_class: Annotated[int, Field(ge=1)] | None = None
    """At most so many pictures a class; fewer lie inside more. By default all."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws them."""
    ndim: ClassVar[int] = 2
    apart: ClassVar[bool] = True

    @property
    def people(self) -> str:
        """Pictures are numbered as the set has them."""
        return " ".join(self.held())

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        held = self.held()
        for place, name in enumerate(self.classes or ()):
            if name not in held:
                raise ValueError(f"`classes`: there is no class {name!r}. {nearest(name, held)}")
            if name in (self.classes or ())[:place]:
                raise ValueError(f"`classes` must name each class once; {name!r} stands there twice")
        return self

    def held(self) -> Mapping[str, int]:
        """Pictures by class of the whole set."""
        raise NotImplementedError

    @property
    def subjects(self) -> int:
        """Pictures that are kept, known without reading; a picture that stands in the set twice counts twice."""
        counts = [count for name, count in self.held().items() if self.classes is None or name in self.classes]
        return sum(count if self.per_class is None else min(count, self.per_class) for count in counts)


class TorchvisionSpec(CollectionSpec):
    """A set in the files that torchvision keeps; they are fetched by hand, never by CTLR."""

    kind: Literal["torchvision"] = "torchvision"
    set: Literal["cifar10", "emnist-balanced"]
    """Which one; its training and test part together."""
    root: str
    """Folder that torchvision calls `root`; relative paths start at the benchmark file."""

    def held(self) -> Mapping[str, int]:
        """Of its training and test part together."""
        return PUBLISHED[self.set].classes


class DigitsSpec(CollectionSpec):
    """scikit-learn's handwritten digits, which need no file."""

    kind: Literal["digits"] = "digits"
    domain: Literal["plain", "textured"] = "plain"
    """textured: the same digits, dark on bright, on a ground of stripes and stains; another one for each picture."""

    def held(self) -> Mapping[str, int]:
        """The same in both domains."""
        return DIGITS


class CohortSpec(DatasetSpec):
    """A synthetic T1 cohort, grown by CTLR from the MNI152 template and written as BIDS into the workspace."""

    kind: Literal["cohort"] = "cohort"
    subjects: Annotated[int, Field(ge=1, le=100_000)] = 400
    seed: Annotated[int, Field(ge=0)] = 0
    spacing: Annotated[float, Field(ge=1, le=12)] = 4.0
    """Edge of a voxel of the written NIfTI files, mm; a volume is a cube of 192 mm."""
    effect: Annotated[float, Field(ge=0)] = 2.2
    """Scales what age, sex and individuality do to the brain (head size apart), against nuisance and noise."""
    overlap: Annotated[float, Field(ge=-1, le=1)] = 0.6
    """Cosine between what sex and what age do: how much one can teach about the other."""
    head_gain: Annotated[float, Field(ge=0)] = 0.25
    """How much head size alone gives sex away: the shortcut that teaches nothing about age."""
    noise: Annotated[float, Field(ge=0)] = 0.04
    """Standard deviation of the Rician noise in each written voxel; white matter is 0.865."""
    nuisance: Annotated[float, Field(ge=0)] = 1.0
    """Scales bias field, affine, warp and contrast that tell nothing of age or sex."""
    apart: ClassVar[bool] = True

    @property
    def people(self) -> str:
        """Who a subject is depends on the seed and its number, whatever the knobs make of its image."""
        return f"{self.kind} {self.seed}"


AnyDataset = Annotated[BidsSpec | ImagesSpec | CohortSpec | TorchvisionSpec | DigitsSpec, Field(discriminator="kind")]
DATASETS = {"bids": BidsSpec, "images": ImagesSpec, "cohort": CohortSpec, "torchvision": TorchvisionSpec,
            "digits": DigitsSpec}  # fmt: skip


class TaskSpec(Value):
    """What is predicted from an image."""

    name: str = ""
    """Filled from the key in the file."""
    target: str
    """Column of participants.tsv; `class` for pictures."""
    kind: Literal["regression", "classification"]
    metric: str | None = None
    """Headline metric; mae for regression, balanced_accuracy for classification."""
    classes: tuple[str, ...] | None = None
    """Keep these classes only, in this order."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        regression = {"mae", "rmse", "r", "r2", "f1_bins"}
        allowed = regression if self.kind == "regression" else set(METRICS) - regression
        if self.metric is not None and self.metric not in allowed:
            raise ValueError(
                f"`metric` of a {self.kind} task must be one of {', '.join(sorted(allowed))}; got {self.metric!r}"
            )
        if self.classes is not None and (self.kind == "regression" or len(set(self.classes)) < 2):
            raise ValueError("`classes` needs a classification task and at least two different names")
        return self

    @property
    def headline(self) -> str:
        """The metric that the report opens with."""
        return self.metric or ("mae" if self.kind == "regression" else "balanced_accuracy")

    @property
    def direction(self) -> str:
        """`min` or `max`: how the headline metric improves."""
        return METRICS[self.headline]


class DataTask(Value):
    """A task on a dataset: one end of a transfer."""

    data: AnyDataset
    task: TaskSpec


class SplitSpec(Value):
    """Who trains, validates and tests. Sides never share a subject."""

    test: Annotated[float, Field(gt=0)] = 0.25
    """Share of the subjects (below 1) or their number; the same ones for every study of a benchmark."""
    validation: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Validation subjects for each labelled training subject."""
    source_validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of a source task's labelled subjects that watch over its pretraining."""
    stratify: tuple[str, ...] = ()
    """Columns to balance besides the target, e.g. sex."""
    bins: Annotated[int, Field(ge=1, le=50)] = 5
    """Quantile bins of a numeric target for balancing."""
    group: str | None = None
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


class ViewsSpec(Value):
    """How strongly a random view of an image is changed; 0 leaves a part out. Drawn anew for each image."""

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

    @property
    def words(self) -> str:
        """The parts that are on, with their strengths: `rotate 8, flip 0.5`."""
        off = {"crop": 1.0}
        on = {name: getattr(self, name) for name in type(self).model_fields if name != "warp_points"}
        return ", ".join(f"{name} {value:g}" for name, value in on.items() if value != off.get(name, 0)) or "none"
