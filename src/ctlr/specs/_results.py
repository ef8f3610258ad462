"""What steps return."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ctlr.specs._encoders import AnyEncoder
from ctlr.specs._inputs import InputColumn
from ctlr.specs._methods import AnyMethod
from ctlr.specs._preparation import Coverage, Preparation
from ctlr.specs._studies import Study
from ctlr.specs._value import Value

__all__ = [
    "Answer",
    "Checkpoint",
    "DrawnViews",
    "Exclusion",
    "ModelCard",
    "StoredArrays",
    "StudyResult",
    "TargetSummary",
]


class Exclusion(Value):
    """Why an image was left out, and which one it was. Only the reason travels."""

    place: str
    """File or subject, relative to the dataset."""
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def _earlier(value: Any) -> Any:
    """Earlier versions wrote place and reason as one text, which cannot be told apart."""
    return {"place": value, "reason": "left out by an earlier version of CTLR."} if isinstance(value, str) else value


class StoredArrays(Value):
    """A dataset's images as one array, rows in the order of its table.

    Files below `path` (relative to the workspace): `images.npy` (N, C, *shape) and `table.json`
    (one record a row: subject, session, file, sha256 of the content, site, columns).
    """

    fingerprint: str
    path: str
    rows: int
    subjects: int
    shape: tuple[int, ...]
    """(C, *spatial) of one row."""
    dtype: Literal["float16", "uint8", "float32"]
    scale: float = 1.0
    offset: float = 0.0
    """value = stored * scale + offset."""
    excluded: tuple[Annotated[Exclusion, BeforeValidator(_earlier)], ...] = ()
    """Images that were left out."""
    seconds: float = 0.0
    masked: int = 0
    """Images that were normalised inside a mask."""
    joined: Annotated[int, Field(exclude_if=lambda count: not count)] = 0
    """Subjects that count as others, of which they hold copies."""
    moved: Annotated[int, Field(exclude_if=lambda count: not count)] = 0
    """Images that stand on another side than the dataset gives, for they are copies of one there."""
    coverage: Coverage | None = None
    """The worst of all images; None where there is no row."""
    units: dict[str, str] = Field(default_factory=dict)
    """By column, where the dataset says them."""


class DrawnViews(Value):
    """What random views made of a few images of a dataset.

    `views.npz` below `path` (relative to the workspace) holds `images` (n, C, ...) and `views` (n, V, C, ...) of
    pictures, slices of volumes, or signals.
    """

    data: str
    path: str
    words: str
    """What the views change, and how strongly: `rotate 8, flip 0.5`."""
    seen_by: tuple[str, ...]
    """Which methods see such views, and when: `simclr (pretraining)`."""
    more: int = 0
    """Kinds of views of the dataset that come after it and are not drawn."""


class TargetSummary(Value):
    """What a dataset holds of a task's target, by images."""

    data: str
    task: str
    column: str
    images: int
    known: int
    """With a target, and where the task keeps some classes only, one of those."""
    unit: str = ""
    """As the dataset says it."""
    low: float | None = None
    median: float | None = None
    high: float | None = None
    """Of a regression."""
    classes: dict[str, int] = Field(default_factory=dict)
    """Images by class, in the order of the codes."""
    others: int = 0
    """Images of classes that the task does not keep."""
    warnings: tuple[str, ...] = ()
    """What may not be meant."""

    @property
    def words(self) -> str:
        """What is known: `20.1 to 79.5 years, median 51`, or `F 20, M 18`."""
        if self.low is None:
            others = f"; {self.others} of other classes" if self.others else ""
            return ", ".join(f"{name} {count}" for name, count in self.classes.items()) + others
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.low:.4g} to {self.high:.4g}{unit}, median {self.median:.4g}"


class Checkpoint(Value):
    """Weights that a stage left: `model.safetensors` below `path` (relative to the workspace)."""

    path: str
    stage: Literal["pretrain", "finetune"]
    sha256: str
    epochs: int
    best_epoch: int
    """Best on validation; its weights are kept, unless the stage keeps the last ones."""
    scores: dict[str, float] = Field(default_factory=dict)
    """Validation metrics of the epoch whose weights are kept; with a refit those of the training that chose it."""
    refit: bool = False
    """Whether the weights were then learned again with the validation subjects among those that train."""
    seconds: float = 0.0
    """Of its epochs, validation included."""
    wall: float = 0.0
    """Of the whole step: reading, building and writing too; without what an interrupted attempt took."""
    samples: int = 0
    """Images that went through the loss."""
    device: Annotated[str, Field(exclude_if=lambda name: not name)] = ""
    """Device, precision and memory format that it was computed in; empty where that was not noted."""


class StudyResult(Value):
    """What came of a study. A failed one is a value too."""

    study: Study
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""
    """Why it failed: one line without paths or subject ids."""
    scores: dict[str, dict[str, float]] = Field(default_factory=dict)
    """split (train, validation, test) -> metric -> value. After a refit there is no validation: those subjects are
    among train, and `before_refit` has the scores by which the epoch was chosen."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """step (preprocess, pretrain, fit, finetune, evaluate) -> wall-clock seconds; shared ones carry their whole
    cost."""
    device: str = "cpu"
    path: str = ""
    """Folder below the workspace with predictions.csv, history.csv and model.safetensors."""
    best_epoch: int = 0
    epochs: int = 0
    pretraining: str = ""
    """Identity of the shared pretraining; empty without one."""
    pretrain_device: Annotated[str, Field(exclude_if=lambda name: not name)] = ""
    """Device, precision and memory format of that pretraining; empty where that was not noted."""
    pretrain_weights: Annotated[str, Field(exclude_if=lambda sha: not sha)] = ""
    """SHA-256 of the pretraining's encoder."""
    weights: Annotated[str, Field(exclude_if=lambda sha: not sha)] = ""
    """SHA-256 of the study's model; empty where there is no network, or where that was not noted."""
    pretrain_scores: dict[str, float] = Field(default_factory=dict)
    seconds_per_image: Annotated[float, Field(exclude_if=lambda seconds: not seconds)] = 0.0
    """Wall-clock seconds to read and predict an image of the test set, its share of a batch; without what a method does
    before it predicts."""
    parameters: int = 0
    """Trained parameters of encoder and head."""
    arrays: str = ""
    """Fingerprint of the target's stored arrays."""
    split: str = ""
    """Fingerprint of the split's subject lists."""
    n_validation: int | None = None
    """Validation subjects that the split had; None where that was not noted."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Package versions, git commit, platform."""

    @property
    def labelled_validation(self) -> int:
        """Validation subjects: as many as were noted, or as the study asks for."""
        return self.study.n_validation if self.n_validation is None else self.n_validation

    @property
    def labelled(self) -> str:
        """Labelled target subjects that the study used, in words: training and validation ones, `20 + 20`."""
        return f"{self.study.n_train} + {self.labelled_validation}"

    @property
    def chosen_by(self) -> dict[str, float]:
        """Validation scores of a network that was not trained on those subjects: this one, or that before its refit."""
        return self.scores.get("validation") or self.scores.get("before_refit", {})

    def record(self) -> dict[str, Any]:
        """Flat row for long-form tables: the study's factors and every `<split>_<metric>`."""
        row: dict[str, Any] = {
            "study": self.study.id, "method": self.study.method.label, "data": self.study.target.data.name,
            "source": f"{self.study.source.data.name}.{self.study.source.task.name}" if self.study.source else "",
            "target": self.study.target.task.name, "encoder": self.study.encoder.label, "n_train": self.study.n_train,
            "n_validation": self.labelled_validation, "seed": self.study.seed, "status": self.status,
            "reason": self.reason,
        }  # fmt: skip
        row |= {f"{split}_{metric}": value for split, scores in self.scores.items() for metric, value in scores.items()}
        return row | {f"seconds_{step}": seconds for step, seconds in self.seconds.items()}


class Answer(Value):
    """What a model says of a target."""

    target: str
    classes: tuple[str, ...] = ()
    """Empty of a regression."""
    mean: float = 0.0
    std: float = 1.0
    """As of the model card."""

    @property
    def width(self) -> int:
        """Outputs of the head that say it."""
        return max(1, len(self.classes))


class ModelCard(Value):
    """What a model's weights mean: all that is needed to build it again and to use it."""

    encoder: AnyEncoder | None
    """None where there is no network."""
    method: AnyMethod | None = None
    """What has learned without a network of its own; its features may be those of the encoder, frozen."""
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
    preparation: Preparation | None = None
    """What a file must go through; None in cards that were written before they said it."""
    inputs: Annotated[tuple[InputColumn, ...], Field(exclude_if=lambda inputs: not inputs)] = ()
    """Columns that it reads beside the image."""
    fusion_width: Annotated[int, Field(exclude_if=lambda width: not width)] = 0
    """Hidden units that they become; 0 where it reads none."""
    also: Annotated[tuple[Answer, ...], Field(exclude_if=lambda also: not also)] = ()
    """Its other targets, whose outputs follow the first one's."""

    @property
    def outputs(self) -> int:
        """Width of the head."""
        return sum(answer.width for answer in self.answers)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Of the first target and of the others, in the order of the outputs."""
        first = Answer(target=self.target, classes=self.classes, mean=self.mean, std=self.std)
        return (first, *self.also)
