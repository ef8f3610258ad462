"""Values that flow between steps: frozen, checked at birth, JSON both ways.

What a user writes (datasets, tasks, methods, encoders, training) and what steps return
(stored arrays, checkpoints, study results) share one base, `Value`. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "DATASETS",
    "ENCODERS",
    "METHODS",
    "METRICS",
    "AnyDataset",
    "AnyMethod",
    "BidsSpec",
    "Checkpoint",
    "CohortSpec",
    "ComputeSpec",
    "DataTask",
    "DatasetSpec",
    "EncoderSpec",
    "FinetuneSpec",
    "FitSpec",
    "ImagesSpec",
    "MeanSpec",
    "MethodSpec",
    "ModelCard",
    "PreprocessSpec",
    "PretrainSpec",
    "ScratchSpec",
    "SimCLRSpec",
    "SplitSpec",
    "StoredArrays",
    "Study",
    "StudyResult",
    "SupervisedSpec",
    "TaskSpec",
    "VATSpec",
    "Value",
    "ViewsSpec",
    "dns_name",
    "fingerprint",
]

METRICS = {
    "mae": "min", "rmse": "min", "r": "max", "r2": "max", "f1_bins": "max",
    "accuracy": "max", "balanced_accuracy": "max", "precision": "max", "recall": "max", "f1": "max",
    "roc_auc": "max", "brier": "min", "ece": "min", "log_loss": "min",
}  # fmt: skip
"""Every metric and the direction in which it improves."""


def fingerprint(*parts: str) -> str:
    """Digest of the parts in order: 24 hexadecimal digits (96 bits) of SHA-256."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:24]


def dns_name(text: str, limit: int = 63) -> str:
    """Turn text into a DNS-1123 label: lower case, digits and '-', a letter first, at most `limit` long."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name or not name[0].isalpha():
        name = f"x-{name}".rstrip("-")
    return name[:limit].rstrip("-")


class Value(BaseModel):
    """A frozen value. Equal content has an equal identity, on every machine.

    Types are strict (`"20"` is no number); validate untrusted input with `model_validate_json`,
    which takes JSON's lists for tuples.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def identity(self) -> str:
        """Digest of the content, in field order; 24 hexadecimal digits."""
        return fingerprint(self.model_dump_json())


# ---------------------------------------------------------------- data


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


AnyDataset = Annotated[BidsSpec | ImagesSpec | CohortSpec, Field(discriminator="kind")]
DATASETS = {"bids": BidsSpec, "images": ImagesSpec, "cohort": CohortSpec}


class TaskSpec(Value):
    """What is predicted from an image."""

    name: str = ""
    """Filled from the key in the file."""
    target: str
    """Column of participants.tsv; `class` for image folders."""
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
    stratify: tuple[str, ...] = ()
    """Columns to balance besides the target, e.g. sex."""
    bins: Annotated[int, Field(ge=1, le=50)] = 5
    """Quantile bins of a numeric target for balancing."""
    group: str | None = None
    """Column (site, family) whose values never stand on two sides."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Draws the test set."""


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


# ---------------------------------------------------------------- encoders and methods

ENCODERS: dict[str, tuple[int, ...]] = {
    "small_cnn": (2, 3), "sfcn": (3,), "resnet18": (2, 3), "resnet34": (2, 3), "resnet50": (2, 3),
    "vgg11": (2, 3), "vgg16": (2, 3), "densenet121": (2, 3), "alexnet": (2,),
}  # fmt: skip
"""Every encoder, with the numbers of spatial dimensions that it takes."""


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
            from ctlr.errors import nearest

            raise ValueError(f"unknown encoder {self.name!r}. {nearest(self.name, ENCODERS)}")
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


AnyMethod = Annotated[MeanSpec | ScratchSpec | SupervisedSpec | SimCLRSpec | VATSpec, Field(discriminator="method")]
METHODS = {"mean": MeanSpec, "scratch": ScratchSpec, "supervised": SupervisedSpec, "simclr": SimCLRSpec, "vat": VATSpec}


class ComputeSpec(Value):
    """What decides the last digits of a number: the same for every worker, however many there are."""

    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """CPU threads of one worker; sums are taken in another order with another number."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """auto: bf16 where the processor multiplies it in hardware, else float32."""


# ---------------------------------------------------------------- studies


_UNIDENTIFYING: Any = {
    "target": {"data": {"root"}},
    "source": {"data": {"root"}},
    "method": {"label"},
    "encoder": {"label"},
}


class Study(Value):
    """One cell of a benchmark's grid, with all it needs."""

    target: DataTask
    source: DataTask | None = None
    """None for methods that use no source."""
    method: AnyMethod
    encoder: EncoderSpec
    n_train: Annotated[int, Field(ge=1)]
    """Labelled target subjects."""
    n_reserved: Annotated[int, Field(ge=1)]
    """Validation subjects set aside for the largest n_train: the pretraining pool leaves them all out."""
    seed: Annotated[int, Field(ge=0)]
    split: SplitSpec = SplitSpec()
    compute: ComputeSpec = ComputeSpec()

    @property
    def id(self) -> str:
        """DNS-1123 name from the content (at most 40 characters); folders' whereabouts do not count."""
        head = dns_name(f"{self.method.label}-{self.target.task.name}-n{self.n_train}-s{self.seed}", 29)
        return f"{head}-{self.identity()[:10]}"

    def identity(self) -> str:
        """Fingerprint without labels and folders: a study is the same under another name and on another machine."""
        return fingerprint(self.model_dump_json(exclude=_UNIDENTIFYING))


class PretrainSpec(Value):
    """All that a pretraining depends on; equal ones are done once and shared."""

    source: DataTask | None
    target: DataTask
    method: AnyMethod
    encoder: EncoderSpec
    n_reserved: int
    seed: int
    split: SplitSpec
    compute: ComputeSpec

    @classmethod
    def of(cls, study: Study) -> PretrainSpec | None:
        """The pretraining that a study needs; None when it needs none."""
        if not isinstance(study.method, SupervisedSpec | SimCLRSpec):
            return None
        method = study.method.model_copy(update={"label": "", "finetune": FinetuneSpec()})
        return cls(source=study.source, target=study.target, method=method, encoder=study.encoder,
                   n_reserved=study.n_reserved, seed=study.seed, split=study.split, compute=study.compute)  # fmt: skip

    def identity(self) -> str:
        """Fingerprint without labels and folders."""
        return fingerprint(self.model_dump_json(exclude=_UNIDENTIFYING))


# ---------------------------------------------------------------- results


class StoredArrays(Value):
    """A dataset's images as one memory-mapped array, rows in the order of its table.

    Files below `path` (relative to the workspace): `images.npy` (N, C, *shape) and `table.json`
    (one record a row: subject, session, file, sha256 of the content, site, columns).
    """

    fingerprint: str
    path: str
    rows: int
    subjects: int
    shape: tuple[int, ...]
    """(C, *spatial) of one row."""
    dtype: Literal["float16", "uint8"]
    scale: float = 1.0
    offset: float = 0.0
    """value = stored * scale + offset."""
    excluded: tuple[str, ...] = ()
    """Why each image that was left out is bad; names files relative to the dataset."""
    seconds: float = 0.0


class Checkpoint(Value):
    """Weights that a stage left: `model.safetensors` below `path` (relative to the workspace)."""

    path: str
    stage: Literal["pretrain", "finetune"]
    sha256: str
    epochs: int
    best_epoch: int
    scores: dict[str, float] = {}
    """Validation metrics of the best epoch."""
    seconds: float = 0.0
    samples: int = 0
    """Images that went through the loss."""


class StudyResult(Value):
    """What came of a study. A failed one is a value too."""

    study: Study
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""
    """Why it failed: one line without paths or subject ids."""
    scores: dict[str, dict[str, float]] = {}
    """split (train, validation, test) -> metric -> value."""
    seconds: dict[str, float] = {}
    """step (preprocess, pretrain, finetune, evaluate) -> wall-clock seconds; shared steps carry their whole cost."""
    device: str = "cpu"
    path: str = ""
    """Folder below the workspace with predictions.csv, history.csv and model.safetensors."""
    best_epoch: int = 0
    epochs: int = 0
    pretraining: str = ""
    """Identity of the shared pretraining; empty without one."""
    pretrain_scores: dict[str, float] = {}
    parameters: int = 0
    """Trained parameters of encoder and head."""
    arrays: str = ""
    """Fingerprint of the target's stored arrays."""
    split: str = ""
    """Fingerprint of the split's subject lists."""
    environment: dict[str, str] = {}
    """Package versions, git commit, platform."""

    def record(self) -> dict[str, Any]:
        """Flat row for long-form tables: the study's factors and every `<split>_<metric>`."""
        row: dict[str, Any] = {
            "study": self.study.id, "method": self.study.method.label, "data": self.study.target.data.name,
            "source": f"{self.study.source.data.name}.{self.study.source.task.name}" if self.study.source else "",
            "target": self.study.target.task.name, "encoder": self.study.encoder.label, "n_train": self.study.n_train,
            "seed": self.study.seed, "status": self.status, "reason": self.reason,
        }  # fmt: skip
        row |= {f"{split}_{metric}": value for split, scores in self.scores.items() for metric, value in scores.items()}
        return row | {f"seconds_{step}": seconds for step, seconds in self.seconds.items()}


class ModelCard(Value):
    """What a model's weights mean: all that is needed to build it again and to use it."""

    encoder: EncoderSpec
    channels: int
    ndim: int
    shape: tuple[int, ...]
    """(C, *spatial) of an image."""
    task: Literal["regression", "classification"]
    target: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    """Of the training target; predictions are `output * std + mean`."""
    std: float = 1.0

    @property
    def outputs(self) -> int:
        """Width of the head."""
        return max(1, len(self.classes))
