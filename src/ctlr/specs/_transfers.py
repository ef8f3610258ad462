"""Transfers that are scored: whether a source can be told to help before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from ctlr.specs._data import DataTask, SplitSpec
from ctlr.specs._encoders import AnyEncoder
from ctlr.specs._methods import ComputeSpec
from ctlr.specs._studies import PretrainSpec, Study, placeless
from ctlr.specs._value import Value, fingerprint

__all__ = ["TRANSFER_SCORES", "ClassTable", "TransferScores", "TransferSpec", "transfers_to_score"]

TRANSFER_SCORES: dict[str, Literal["min", "max"]] = {
    "leep": "max", "nce": "max", "log_me": "max", "h_score": "max", "class_variance": "max",
    "hausdorff_modified": "min", "hausdorff_plain": "min",
}  # fmt: skip
"""Every score of a transfer, and the direction in which it promises more."""

_PLACES: Any = {"source": {"data": {"root"}}, "target": {"data": {"root"}}}
_UNIDENTIFYING: Any = _PLACES | {"pretraining": _PLACES | {"method": {"label"}, "encoder": {"label"}}}


class TransferSpec(Value):
    """All that the scores of a transfer depend on."""

    source: DataTask
    target: DataTask
    n_train: Annotated[int, Field(ge=1)]
    """Labelled target subjects whose images are looked at: as many as the largest study trains on."""
    n_reserved: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    """Draws those subjects."""
    split: SplitSpec
    compute: ComputeSpec
    pretraining: PretrainSpec | None = None
    """Whose features and predictions are scored; None for distances between the images themselves."""

    def identity(self) -> str:
        """Fingerprint without labels and folders."""
        return fingerprint(self.model_dump_json(exclude=_UNIDENTIFYING))

    def without_folders(self) -> TransferSpec:
        """Source and target for records that may travel: no dataset says where it lies."""
        return self.model_copy(update={"source": placeless(self.source), "target": placeless(self.target)})


class ClassTable(Value):
    """Distances of each source class (row) to each target class (column)."""

    forward: tuple[tuple[float, ...], ...]
    """From the source class to the target class."""
    backward: tuple[tuple[float, ...], ...]
    """From the target class to the source class."""


class TransferScores(Value):
    """What the scores of a transfer say. One that could not be computed is left out, with its reason."""

    source: DataTask
    target: DataTask
    """Neither says where its images lie."""
    n_train: int
    seed: int
    encoder: AnyEncoder | None = None
    """None for distances between images."""
    pretraining: str = ""
    """Identity of the pretraining that was scored; empty for distances between images."""
    scores: dict[str, float] = Field(default_factory=dict)
    """Names of `TRANSFER_SCORES` and, of distances, both directions: `<name>_forward` and `<name>_backward`."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Score -> why there is none."""
    source_classes: tuple[str, ...] = ()
    target_classes: tuple[str, ...] = ()
    tables: dict[str, ClassTable] = Field(default_factory=dict)
    """`modified` and `plain` Hausdorff distances by class."""
    per_class: int = 0
    """Images of each class that the tables are made from."""
    components: int = 0
    """Principal components that they are measured on."""
    explained: float = 0.0
    """Share of the variance that these hold."""
    images: int = 0
    """Target images that were looked at."""
    seconds: float = 0.0
    pictures: str = ""
    """File below the workspace from which distances are drawn; empty where there is none."""


def transfers_to_score(studies: Iterable[Study]) -> tuple[TransferSpec, ...]:
    """What is scored of a benchmark: nothing, unless it transfers between two pairs of source and target at least.

    Distances once for each pair, with the first seed; scores of features and predictions for each supervised
    pretraining. Both look at the training images of the largest sample size.
    """
    transferring = [study for study in studies if study.source is not None]
    pairs: dict[tuple[str, str], TransferSpec] = {}
    pretrained: dict[str, TransferSpec] = {}
    for study in sorted(transferring, key=lambda study: (-study.n_train, study.seed)):
        spec = _of(study)
        pairs.setdefault((spec.source.identity(), spec.target.identity()), spec)
        needed = PretrainSpec.of(study) if study.method.leaves_head else None
        if needed is not None:
            pretrained.setdefault(needed.identity(), spec.model_copy(update={"pretraining": needed}))
    return (*pairs.values(), *pretrained.values()) if len(pairs) > 1 else ()


def _of(study: Study) -> TransferSpec:
    assert study.source is not None
    return TransferSpec(
        source=study.source.alone(), target=study.target.alone(), n_train=study.n_train,
        n_reserved=study.n_reserved, seed=study.seed,
        split=study.split, compute=study.compute,
    )  # fmt: skip
