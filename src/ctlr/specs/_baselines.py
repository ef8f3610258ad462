"""What stands beside the methods in every table: models without a network, and the source's model as it is.

A reader asks first what a plain model would have done with the same labels. These need no validation subjects, so they
learn from those of a study too: as many labelled subjects as a network has consumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from ctlr.specs._data import DataTask
from ctlr.specs._methods import (
    FitSpec,
    MeanSpec,
    MethodSpec,
    NetworkMethod,
    PooledSpec,
    ScratchSpec,
    SelfferSpec,
    SimCLRSpec,
    SupervisedSpec,
    VATSpec,
)

__all__ = [
    "BASELINES",
    "METHODS",
    "AnyMethod",
    "GradientBoostingSpec",
    "LinearSpec",
    "NearestSpec",
    "ShallowMethod",
    "UnchangedLinearSpec",
    "UnchangedSpec",
    "shares_task",
]


class _BaselineSpec(MethodSpec):
    role: ClassVar[Literal["method", "baseline", "floor"]] = "baseline"
    trains_network: ClassVar[bool] = False


class _ShallowSpec(_BaselineSpec):
    mirror: bool | Literal["auto"] = "auto"
    """Average each image with its mirror image; auto: where a view of one of the benchmark's methods is mirrored."""

    has_encoder: ClassVar[bool] = False
    untuned: ClassVar[str] = "a baseline chooses what it has to choose by cross-validation among its own labels"

    @property
    def reads_source(self) -> bool:
        """It learns the target's labels."""
        return self.needs_shared_task

    def settled(self, peers: Sequence[MethodSpec]) -> Self:
        """Mirrored or not, as the others take it."""
        if self.mirror != "auto":
            return self
        return self.model_copy(update={"mirror": any(peer.flips for peer in peers)})


class _RidgeSpec(_ShallowSpec):
    features: Literal["voxels", "pca"] = "voxels"
    """What the model is linear in: every voxel or pixel, or the leading principal components of the labelled images."""
    components: Annotated[int, Field(ge=1, le=1000)] = 50
    """Of `pca`; fewer where there are not as many."""


class LinearSpec(_RidgeSpec):
    """Ridge or multinomial logistic regression on voxels, on training and validation labels: no network at all."""

    method: Literal["linear"] = "linear"


class GradientBoostingSpec(_ShallowSpec):
    """Boosted trees on the means of coarse regions, on training and validation labels: no network at all."""

    method: Literal["gradient_boosting"] = "gradient_boosting"
    iterations: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Trees, or trees a class."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What each tree adds, as a share of what would fit best."""


class NearestSpec(_ShallowSpec):
    """The nearest labelled images on principal components, training and validation labels: no network at all."""

    method: Literal["nearest"] = "nearest"
    components: Annotated[int, Field(ge=1, le=1000)] = 20
    """Of the labelled images, between which distances are measured; fewer where there are not as many."""


class UnchangedSpec(_BaselineSpec):
    """The network that learned the source's labels, applied to the target as it is: no target label is used."""

    method: Literal["unchanged"] = "unchanged"
    pretrain: FitSpec = FitSpec()
    """Of the source's network; where a `supervised` method has the same, it is trained once."""

    needs_shared_task: ClassVar[bool] = True
    untuned: ClassVar[str] = "the source's model stands as it is"

    @classmethod
    def automatic(cls, peers: Sequence[MethodSpec]) -> Self | None:
        """That of the first method that learns the source's labels, which costs no training."""
        pretrained = next((peer.pretrain for peer in peers if isinstance(peer, SupervisedSpec)), None)
        return None if pretrained is None else cls(label="unchanged", pretrain=pretrained)

    def learned_by(self) -> SupervisedSpec:
        """The method whose pretraining it is."""
        return SupervisedSpec(pretrain=self.pretrain)


class UnchangedLinearSpec(_RidgeSpec):
    """The linear model of all the source's labels, applied to the target as it is: no target label is used."""

    method: Literal["unchanged_linear"] = "unchanged_linear"

    needs_shared_task: ClassVar[bool] = True


ShallowMethod = LinearSpec | GradientBoostingSpec | NearestSpec | UnchangedLinearSpec
"""Models without a network."""

AnyMethod = Annotated[MeanSpec | NetworkMethod | ShallowMethod | UnchangedSpec, Field(discriminator="method")]
METHODS: Mapping[str, type[MethodSpec]] = {
    "mean": MeanSpec, "scratch": ScratchSpec, "supervised": SupervisedSpec, "selffer": SelfferSpec,
    "simclr": SimCLRSpec, "vat": VATSpec, "pooled": PooledSpec, "linear": LinearSpec,
    "gradient_boosting": GradientBoostingSpec, "nearest": NearestSpec, "unchanged": UnchangedSpec,
    "unchanged_linear": UnchangedLinearSpec,
}  # fmt: skip
BASELINES = tuple(name for name, spec in METHODS.items() if spec.role == "baseline")
"""Names of those that stand in every table, whether they are listed or not."""


def shares_task(source: DataTask | None, target: DataTask) -> bool:
    """Whether a model of the source predicts the target as it is: another dataset, the same question, like images.

    Classes of a folder of pictures are known only when they are read, so both tasks have to name them.
    """
    if source is None or source.data.name == target.data.name:
        return False
    first, second = source.data.preprocess, target.data.preprocess
    alike = (first.shape, first.channels) == (second.shape, second.channels)
    asked = [(end.task.target, end.task.kind) for end in (source, target)]
    return alike and asked[0] == asked[1] and _classes(source) == _classes(target) != frozenset()


def _classes(end: DataTask) -> frozenset[str] | None:
    """Names that the task keeps, or else as `DatasetSpec.known_classes` has them."""
    return end.data.known_classes if end.task.classes is None else frozenset(end.task.classes)
